package host

import (
	"time"

	"ramjet/js/api"
	"ramjet/proto/jsapi"
)

// Server implements api.Node.
func (h *Host) Server() *api.Server { return h.server.Load() }

// Now implements api.Node.
func (h *Host) Now() time.Time { return h.env.Clock.Now() }

// Account implements api.Node.
func (h *Host) Account(name string) api.Account {
	if a := h.account(name, false); a != nil && a.limits.Load() != nil && !h.closed.Load() {
		return a
	}
	return nil
}

// PurgeAccount implements api.Node.
func (h *Host) PurgeAccount(name string) *jsapi.Error {
	a := h.account(name, false)
	if a == nil {
		return nil
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	for _, s := range a.list() {
		if err := s.Delete(); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := range a.failed {
		if err := h.removeFailed(&decision{what: ends, account: name, stream: n}); err != nil {
			return jsapi.StreamDelete.Wrap(err)
		}
		delete(a.failed, n)
	}
	return nil
}

// Publish implements api.Node.
func (h *Host) Publish(account, subject string, hdr, body []byte) {
	h.publish(account, []byte(subject), hdr, body)
}

// Interest implements api.Node.
func (h *Host) Interest(account, subject string) bool {
	h.apiMu.Lock()
	defer h.apiMu.Unlock()
	return h.apiBus.Interest(account, []byte(subject))
}

// ClientInfo implements api.Node.
func (h *Host) ClientInfo(r *api.Request) []byte {
	if r.Client == 0 || h.env.ClientInfo == nil {
		return nil
	}
	return h.env.ClientInfo(r.Account, r.Client)
}

// SystemAccount implements api.Node.
func (h *Host) SystemAccount() string { return h.o.SystemAccount }

// Random implements api.Node.
func (h *Host) Random() (b [8]byte) {
	h.rndMu.Lock()
	defer h.rndMu.Unlock()
	h.rnd.Fill(b[:])
	return b
}

// apiInbox takes the requests of one account.
type apiInbox struct {
	h       *Host
	account string
}

// Deliver implements Inbox. What assets subscribe to themselves is left to them.
func (i *apiInbox) Deliver(m *Msg) Verdict {
	subj := string(m.Subject)
	var call jsapi.APICall
	if system := i.account == i.h.o.SystemAccount; !system && jsapi.ParseAPI(subj, &call) {
		switch call.Endpoint {
		case jsapi.ConsumerNext, jsapi.ConsumerReset, jsapi.DirectGet:
			return NotOne
		}
	}
	r := &api.Request{
		Account: i.account, System: i.account == i.h.o.SystemAccount, Client: m.Client,
		Subject: subj, Reply: string(m.Reply),
	}
	if len(m.Header) > 0 {
		r.Header = append([]byte(nil), m.Header...)
	}
	r.Body = append([]byte(nil), m.Payload...)
	i.h.router.Deliver(r)
	return Taken
}

// failedStream stands for a stream that cannot run here. Its files are untouched.
type failedStream struct {
	a         *Account
	name, why string
}

func (f *failedStream) refused() *jsapi.Error { return jsapi.StreamOfflineReason.With("err", f.why) }

// The methods implement api.Stream.
func (f *failedStream) Name() string                { return f.name }
func (f *failedStream) Created() time.Time          { return time.Time{} }
func (f *failedStream) Config() *jsapi.StreamConfig { return &jsapi.StreamConfig{Name: f.name} }
func (f *failedStream) Offline() string             { return f.why }
func (f *failedStream) Info(*jsapi.StreamInfoRequest, *jsapi.Page) *jsapi.StreamInfo {
	return &jsapi.StreamInfo{Config: *f.Config(), TimeStamp: f.a.h.Now().UTC()}
}
func (f *failedStream) Update(*jsapi.StreamConfig) *jsapi.Error { return f.refused() }

// Delete removes the files, which is what somebody asked for who knows that the stream is broken.
func (f *failedStream) Delete() *jsapi.Error {
	if err := f.a.h.removeFailed(&decision{what: ends, account: f.a.name, stream: f.name}); err != nil {
		return jsapi.StreamDelete.Wrap(err)
	}
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	delete(f.a.failed, f.name)
	return nil
}
func (f *failedStream) Purge(*jsapi.PurgeRequest) (uint64, *jsapi.Error) { return 0, f.refused() }
func (f *failedStream) GetMsg(*jsapi.MsgGetRequest) (*jsapi.StoredMsg, *jsapi.Error) {
	return nil, f.refused()
}
func (f *failedStream) DeleteMsg(*jsapi.MsgDeleteRequest) *jsapi.Error { return f.refused() }
func (f *failedStream) Consumer(string) api.Consumer                   { return nil }
func (f *failedStream) Consumers() []api.Consumer                      { return nil }
func (f *failedStream) CreateConsumer(string, *jsapi.ConsumerConfig, bool) (api.Consumer, *jsapi.Error) {
	return nil, f.refused()
}
func (f *failedStream) Bound(string, string) bool { return false }
func (f *failedStream) Snapshot(*api.Request, *jsapi.SnapshotRequest) (*jsapi.SnapshotResponse, func() error, *jsapi.Error) {
	return nil, nil, f.refused()
}
