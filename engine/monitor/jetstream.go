package monitor

import (
	"fmt"
	"net/http"

	"ramjet/proto/sysapi"
)

// JetStream is what the pages show of JetStream. Any goroutine; no method waits for a disk.
type JetStream interface {
	// Problem says why JetStream does not serve: it recovers, could not start, its volume failed; "" if it serves.
	Problem() string
	Config() sysapi.JetStreamConfig
	Limits() *sysapi.JSLimits
	Stats() sysapi.JetStreamStats
	// Accounts are the accounts that have JetStream enabled, in order.
	Accounts() []string
	// Account describes one of them, without its streams; nil if it is none of them.
	Account(name string) *sysapi.AccountDetail
	// Streams describes the streams of an account, in order.
	Streams(account string, o StreamDetails) []sysapi.StreamDetail
	// Assets counts what an account, or for "" every account, has.
	Assets(account string) JetStreamAssets
	// Problems are the assets that do not serve.
	Problems() []AssetProblem
	// Stream and Consumer report whether there is such an asset, and why it does not serve.
	Stream(account, name string) (found bool, problem string)
	Consumer(account, stream, name string) (found bool, problem string)
	// Journal and Dropped are for metrics: Dropped are messages that full queues refused.
	Journal() sysapi.JSJournal
	Dropped() uint64
}

// StreamDetails is what is to be told about streams.
type StreamDetails struct{ Config, Consumers, Direct bool }

// JetStreamAssets are the streams, consumers, messages and their bytes of an account or server.
type JetStreamAssets struct {
	Streams, Consumers int
	Messages, Bytes    uint64
}

// AssetProblem is an asset that does not serve. Consumer is "" for a stream.
type AssetProblem struct{ Account, Stream, Consumer, Text string }

func (s *Server) jsz(q *params) (any, error) {
	o := sysapi.JSzOptions{
		Account: q.string("acc"), Accounts: q.bool("accounts"), Streams: q.bool("streams"), Consumer: q.bool("consumers"),
		DirectConsumer: q.bool("direct-consumers"), Config: q.bool("config"), LeaderOnly: q.bool("leader-only"),
		RaftGroups: q.bool("raft"), StreamLeaderOnly: q.bool("stream-leader-only"),
	}
	o.Offset, o.Limit = q.page()
	return s.Jsz(&o)
}

// Jsz reports about JetStream. One server leads everything it has, so what is asked of leaders only is all there is.
func (s *Server) Jsz(o *sysapi.JSzOptions) (*sysapi.JSInfo, error) {
	v := &sysapi.JSInfo{ID: s.src.ID(), Now: s.src.Now().UTC()}
	js := s.src.JetStream()
	if js == nil {
		v.Disabled = true
		return v, nil
	}
	v.JetStreamStats, v.Config, v.Limits = js.Stats(), js.Config(), js.Limits()
	a := js.Assets("")
	v.Streams, v.Consumers, v.Messages, v.Bytes = a.Streams, a.Consumers, a.Messages, a.Bytes
	if o.RaftGroups {
		v.StreamsLeader, v.ConsumersLeader = a.Streams, a.Consumers
	}
	v.Damage = js.Journal().Damage
	names := js.Accounts()
	v.Total = len(names)
	switch {
	case o.Account != "":
		names = []string{o.Account}
	case o.Accounts || o.Streams || o.Consumer:
		offset, limit := pageOf(o.Offset, o.Limit)
		from, to := window(len(names), offset, limit)
		names = names[from:to]
	default:
		return v, nil
	}
	for _, name := range names {
		if d := s.accountDetail(js, name, o); d != nil {
			v.Accounts = append(v.Accounts, d)
		}
	}
	return v, nil
}

// JszAccount reports about JetStream of one account.
func (s *Server) JszAccount(o *sysapi.JSzOptions) (*sysapi.AccountDetail, error) {
	js := s.src.JetStream()
	if js == nil {
		return nil, errNoJetStream
	}
	if d := s.accountDetail(js, o.Account, o); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("account %q not jetstream enabled", o.Account)
}

var errNoJetStream = &statusError{http.StatusServiceUnavailable, "jetstream not enabled"}

// accountDetail describes an account with what o asks for, nil when JetStream is not enabled for it.
func (s *Server) accountDetail(js JetStream, name string, o *sysapi.JSzOptions) *sysapi.AccountDetail {
	d := js.Account(name)
	if d != nil && (o.Streams || o.Consumer) {
		d.Streams = js.Streams(name, StreamDetails{Config: o.Config, Consumers: o.Consumer, Direct: o.Consumer && o.DirectConsumer})
	}
	return d
}

// jetStreamVarz is the block of /varz.
func (s *Server) jetStreamVarz() sysapi.JetStreamVarz {
	js := s.src.JetStream()
	if js == nil {
		return sysapi.JetStreamVarz{}
	}
	c, st := js.Config(), js.Stats()
	return sysapi.JetStreamVarz{Config: &c, Stats: &st, Limits: js.Limits()}
}

// JetStreamStats is the block of statistics, nil when JetStream is off. They do not tell the directory.
func (s *Server) JetStreamStats() *sysapi.JetStreamVarz {
	v := s.jetStreamVarz()
	if v.Config == nil {
		return nil
	}
	v.Config.StoreDir = ""
	return &v
}

// jetStreamHealth adds what is wrong with JetStream, or what o names, to h.
func (s *Server) jetStreamHealth(o *sysapi.HealthzOptions, h *healthBuilder) {
	js := s.src.JetStream()
	if js == nil {
		return
	}
	if p := js.Problem(); p != "" {
		h.fail(http.StatusServiceUnavailable, sysapi.HealthError{Type: "JETSTREAM", Error: p})
		return
	}
	if o.JSEnabledOnly || o.JSEnabled || o.JSServerOnly || o.JSMetaOnly {
		return
	}
	if o.Account == "" {
		for _, p := range js.Problems() {
			kind := "STREAM"
			if p.Consumer != "" {
				kind = "CONSUMER"
			}
			h.fail(http.StatusServiceUnavailable, sysapi.HealthError{Type: kind, Account: p.Account, Stream: p.Stream, Consumer: p.Consumer, Error: p.Text})
		}
		return
	}
	if js.Account(o.Account) == nil {
		h.fail(http.StatusNotFound, sysapi.HealthError{Type: "ACCOUNT", Account: o.Account, Error: fmt.Sprintf("JetStream account %q not found", o.Account)})
		return
	}
	if o.Stream == "" {
		for _, p := range js.Problems() {
			if p.Account == o.Account {
				h.fail(http.StatusServiceUnavailable, sysapi.HealthError{Type: "STREAM", Account: p.Account, Stream: p.Stream, Consumer: p.Consumer, Error: p.Text})
			}
		}
		return
	}
	e := sysapi.HealthError{Type: "STREAM", Account: o.Account, Stream: o.Stream}
	found, problem := js.Stream(o.Account, o.Stream)
	if !found {
		e.Error = fmt.Sprintf("JetStream stream %q not found on account %q", o.Stream, o.Account)
		h.fail(http.StatusNotFound, e)
		return
	}
	if problem != "" {
		e.Error = problem
		h.fail(http.StatusServiceUnavailable, e)
	}
	if o.Consumer == "" {
		return
	}
	e = sysapi.HealthError{Type: "CONSUMER", Account: o.Account, Stream: o.Stream, Consumer: o.Consumer}
	if found, e.Error = js.Consumer(o.Account, o.Stream, o.Consumer); !found {
		e.Error = fmt.Sprintf("JetStream consumer %q not found for stream %q on account %q", o.Consumer, o.Stream, o.Account)
		h.fail(http.StatusNotFound, e)
	} else if e.Error != "" {
		h.fail(http.StatusServiceUnavailable, e)
	}
}
