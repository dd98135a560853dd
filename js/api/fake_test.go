package api

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// fakeNode is a runtime in memory. Its assets hold just enough to make every answer.
type fakeNode struct {
	mu        sync.Mutex
	server    Server
	now       time.Time
	accounts  map[string]*fakeAccount
	listens   map[string]bool // "account subject"
	published []published
	purged    []string
	seed      uint64
	onPublish func(published)
}

type published struct {
	account, subject string
	hdr, body        string
}

func newFakeNode() *fakeNode {
	n := &fakeNode{
		server:   Server{Name: "REF", ID: "NREF", Version: "2.15.2", Strict: true, QueueLimit: 100, InfoLimit: 100},
		now:      time.Date(2026, 11, 27, 12, 0, 0, 7, time.UTC),
		accounts: map[string]*fakeAccount{},
		listens:  map[string]bool{},
	}
	n.account("a", jsapi.AccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1,
		MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1})
	n.account("l", jsapi.AccountLimits{MaxMemory: 1 << 20, MaxStore: 1 << 20, MaxStreams: 1, MaxConsumers: 1, MaxAckPending: -1,
		MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1})
	return n
}

func (n *fakeNode) account(name string, l jsapi.AccountLimits) *fakeAccount {
	a := &fakeAccount{node: n, name: name, limits: l, streams: map[string]*fakeStream{}}
	n.accounts[name] = a
	return a
}

func (n *fakeNode) Server() *Server { return &n.server }

// Now moves on, so that no two assets have the same age.
func (n *fakeNode) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(time.Microsecond)
	return n.now
}

func (n *fakeNode) Account(name string) Account {
	if a := n.accounts[name]; a != nil {
		return a
	}
	return nil
}

func (n *fakeNode) PurgeAccount(name string) *jsapi.Error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.purged = append(n.purged, name)
	return nil
}

func (n *fakeNode) Publish(account, subj string, hdr, body []byte) {
	p := published{account, subj, string(hdr), string(body)}
	n.mu.Lock()
	n.published = append(n.published, p)
	fn := n.onPublish
	n.mu.Unlock()
	if fn != nil {
		fn(p)
	}
}

func (n *fakeNode) take() []published {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.published
	n.published = nil
	return p
}

func (n *fakeNode) Interest(account, subj string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listens[account+" "+subj] || n.listens[account+" >"]
}

func (n *fakeNode) ClientInfo(r *Request) []byte {
	return fmt.Appendf(nil, `{"acc":%q,"id":%d}`, r.Account, r.Client)
}
func (n *fakeNode) SystemAccount() string { return "s" }

func (n *fakeNode) Random() (b [8]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seed++
	binary.LittleEndian.PutUint64(b[:], n.seed*0x9e3779b97f4a7c15)
	return b
}

type fakeAccount struct {
	sync.Mutex
	node      *fakeNode
	name      string
	limits    jsapi.AccountLimits
	noTier    bool
	streams   map[string]*fakeStream
	restore   func(*Restored)
	restoring *jsapi.RestoreRequest
	making    map[string]*fakeStream
	disk      func(name string) *jsapi.Error // nil: nobody waits for it
}

func (a *fakeAccount) Name() string { return a.name }

func (a *fakeAccount) Info() *jsapi.AccountInfo {
	i := &jsapi.AccountInfo{}
	i.Limits = a.limits
	for _, s := range a.streams {
		i.Streams++
		if s.cfg.MaxBytes > 0 {
			i.ReservedStore += uint64(s.cfg.MaxBytes)
		}
		i.Consumers += len(s.consumers)
	}
	return i
}

func (a *fakeAccount) Tier(int) (jsapi.AccountLimits, *jsapi.Error) {
	if a.noTier {
		return jsapi.AccountLimits{}, jsapi.NoLimits.Err()
	}
	return a.limits, nil
}

func (a *fakeAccount) Reserve(old, next *jsapi.StreamConfig) *jsapi.Error {
	if old == nil && a.limits.MaxStreams > 0 && len(a.streams) >= a.limits.MaxStreams {
		return jsapi.MaximumStreamsLimit.Err()
	}
	bound, err := a.limits.MaxStore, jsapi.StorageResourcesExceeded
	if next.Storage == jsapi.MemoryStorage {
		bound, err = a.limits.MaxMemory, jsapi.MemoryResourcesExceeded
	}
	if bound > 0 && next.MaxBytes > bound {
		return err.Err()
	}
	return nil
}

func (a *fakeAccount) Stream(name string) Stream {
	if s := a.streams[name]; s != nil {
		return s
	}
	return nil
}

func (a *fakeAccount) Streams() []Stream {
	var all []Stream
	for _, s := range a.streams {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name() < all[j].Name() })
	return all
}

func (a *fakeAccount) Each(fn func(*jsapi.StreamConfig) bool) {
	for _, s := range a.Streams() {
		if !fn(s.Config()) {
			return
		}
	}
	for _, s := range a.making {
		if !fn(&s.cfg) {
			return
		}
	}
}

func (a *fakeAccount) CreateStream(cfg *jsapi.StreamConfig) (Stream, func() *jsapi.Error, *jsapi.Error) {
	s := &fakeStream{acc: a, cfg: *cfg, created: a.node.Now(), first: 1, consumers: map[string]*fakeConsumer{}}
	if a.disk == nil {
		a.streams[cfg.Name] = s
		return s, nil, nil
	}
	a.making[cfg.Name] = s
	return s, func() *jsapi.Error {
		err := a.disk(cfg.Name)
		a.Lock()
		defer a.Unlock()
		if delete(a.making, cfg.Name); err == nil {
			a.streams[cfg.Name] = s
		}
		return err
	}, nil
}

func (a *fakeAccount) Restore(_ *Request, req *jsapi.RestoreRequest, done func(*Restored)) (string, *jsapi.Error) {
	a.restoring = req
	a.restore = done
	return jsapi.RestorePrefix + req.Config.Name + ".id", nil
}

type fakeMsg struct {
	subject   string
	seq       uint64
	hdr, data []byte
	time      time.Time
}

type fakeStream struct {
	acc       *fakeAccount
	cfg       jsapi.StreamConfig
	created   time.Time
	offline   string
	msgs      []fakeMsg
	first     uint64
	last      uint64
	lastTime  time.Time
	consumers map[string]*fakeConsumer
	snapshot  error // of run
}

// store keeps a message in the stream that takes its subject.
func (a *fakeAccount) store(subj string, hdr, data []byte) {
	for _, s := range a.streams {
		if collides(s.cfg.Subjects, subj) {
			s.last++
			s.lastTime = a.node.Now()
			s.msgs = append(s.msgs, fakeMsg{subj, s.last, hdr, data, s.lastTime})
		}
	}
}

func (s *fakeStream) Name() string                { return s.cfg.Name }
func (s *fakeStream) Created() time.Time          { return s.created }
func (s *fakeStream) Config() *jsapi.StreamConfig { return &s.cfg }
func (s *fakeStream) Offline() string             { return s.offline }

func (s *fakeStream) firstSeq() uint64 {
	if len(s.msgs) > 0 {
		return s.msgs[0].seq
	}
	return s.last + 1
}

func (s *fakeStream) Info(r *jsapi.StreamInfoRequest, page *jsapi.Page) *jsapi.StreamInfo {
	i := &jsapi.StreamInfo{Config: s.cfg, Created: s.created, TimeStamp: s.acc.node.Now()}
	st := &i.State
	st.Msgs, st.LastSeq, st.LastTime, st.Consumers = uint64(len(s.msgs)), s.last, s.lastTime, s.visible()
	if s.last > 0 {
		st.FirstSeq = s.firstSeq()
	}
	bySubject := map[string]uint64{}
	for k, m := range s.msgs {
		if k == 0 {
			st.FirstTime = m.time
		}
		st.Bytes += uint64(len(m.data) + len(m.hdr))
		bySubject[m.subject]++
	}
	st.NumSubjects = len(bySubject)
	var names []string
	for n := range bySubject {
		if r.SubjectsFilter != "" && subject.Match(n, r.SubjectsFilter) {
			names = append(names, n)
		}
	}
	if len(names) > 0 {
		sort.Strings(names)
		*page = jsapi.Page{Total: len(names), Offset: min(r.Offset, len(names)), Limit: jsapi.SubjectsPage}
		st.Subjects = map[string]uint64{}
		for _, n := range names[page.Offset:] {
			st.Subjects[n] = bySubject[n]
		}
	}
	return i
}

func (s *fakeStream) visible() (n int) {
	for _, o := range s.consumers {
		if !o.cfg.Direct {
			n++
		}
	}
	return n
}

func (s *fakeStream) Update(cfg *jsapi.StreamConfig) *jsapi.Error {
	s.cfg = *cfg
	return nil
}

func (s *fakeStream) Delete() *jsapi.Error {
	delete(s.acc.streams, s.cfg.Name)
	return nil
}

func (s *fakeStream) Purge(r *jsapi.PurgeRequest) (n uint64, err *jsapi.Error) {
	s.msgs = slices.DeleteFunc(s.msgs, func(m fakeMsg) bool {
		gone := (r.Seq == 0 || m.seq < r.Seq) && (r.Filter == "" || subject.Match(m.subject, r.Filter))
		if gone {
			n++
		}
		return gone
	})
	return n, nil
}

func (s *fakeStream) GetMsg(r *jsapi.MsgGetRequest) (*jsapi.StoredMsg, *jsapi.Error) {
	var found *fakeMsg
	for k := range s.msgs {
		m := &s.msgs[k]
		switch {
		case r.LastFor != "":
			if subject.Match(m.subject, r.LastFor) {
				found = m
			}
		case found != nil, r.StartTime != nil && m.time.Before(*r.StartTime), m.seq < r.Seq:
		case r.NextFor != "":
			if subject.Match(m.subject, r.NextFor) {
				found = m
			}
		case r.Seq == 0 || m.seq == r.Seq:
			found = m
		}
	}
	if found == nil {
		return nil, jsapi.NoMessageFound.Err()
	}
	return &jsapi.StoredMsg{Subject: found.subject, Seq: found.seq, Header: found.hdr, Data: found.data, Time: found.time}, nil
}

func (s *fakeStream) DeleteMsg(r *jsapi.MsgDeleteRequest) *jsapi.Error {
	switch {
	case s.cfg.Sealed:
		return jsapi.StreamSealed.Err()
	case s.cfg.DenyDelete:
		return jsapi.StreamMsgDeleteFailed.With("err", "message delete not permitted")
	case r.Seq > s.last:
		return jsapi.StreamMsgDeleteFailed.With("err", "stream store EOF")
	}
	for k, m := range s.msgs {
		if m.seq == r.Seq {
			s.msgs = slices.Delete(s.msgs, k, k+1)
			return nil
		}
	}
	return jsapi.StreamMsgDeleteFailed.With("err", "no message found")
}

func (s *fakeStream) Consumer(name string) Consumer {
	if o := s.consumers[name]; o != nil {
		return o
	}
	return nil
}

func (s *fakeStream) Consumers() []Consumer {
	var all []Consumer
	for _, o := range s.consumers {
		all = append(all, o)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name() < all[j].Name() })
	return all
}

func (s *fakeStream) CreateConsumer(name string, cfg *jsapi.ConsumerConfig, legacy bool) (Consumer, *jsapi.Error) {
	o := &fakeConsumer{in: s, name: name, cfg: *cfg, created: s.acc.node.Now(), start: s.last}
	if s.last > 0 {
		o.start = s.firstSeq() - 1
	}
	if legacy {
		o.cfg.Name = ""
	}
	s.consumers[name] = o
	return o, nil
}

func (s *fakeStream) Bound(deliver, _ string) bool { return s.acc.node.Interest(s.acc.name, deliver) }

func (s *fakeStream) Snapshot(*Request, *jsapi.SnapshotRequest) (*jsapi.SnapshotResponse, func() error, *jsapi.Error) {
	var page jsapi.Page
	i := s.Info(&jsapi.StreamInfoRequest{}, &page)
	return &jsapi.SnapshotResponse{Config: &i.Config, State: &i.State}, func() error { return s.snapshot }, nil
}

type fakeConsumer struct {
	in      *fakeStream
	name    string
	cfg     jsapi.ConsumerConfig
	created time.Time
	start   uint64
	offline string
	unpins  []string
}

func (o *fakeConsumer) Name() string                  { return o.name }
func (o *fakeConsumer) Config() *jsapi.ConsumerConfig { return &o.cfg }
func (o *fakeConsumer) Offline() string               { return o.offline }

func (o *fakeConsumer) Info() *jsapi.ConsumerInfo {
	cfg, now := o.cfg, o.in.acc.node.Now()
	i := &jsapi.ConsumerInfo{Stream: o.in.cfg.Name, Name: o.name, Created: o.created, Config: &cfg, TimeStamp: now}
	i.Delivered.Stream, i.AckFloor.Stream = o.start, o.start
	i.PushBound = !cfg.Pull() && o.in.Bound(cfg.DeliverSubject, "")
	if cfg.PauseUntil != nil && now.Before(*cfg.PauseUntil) {
		i.Paused, i.PauseRemaining = true, cfg.PauseUntil.Sub(now)
	}
	if len(cfg.PriorityGroups) > 0 {
		i.PriorityGroups = []jsapi.PriorityGroupState{{Group: cfg.PriorityGroups[0], PinnedTS: &time.Time{}}}
	}
	return i
}

func (o *fakeConsumer) Update(cfg *jsapi.ConsumerConfig) *jsapi.Error {
	o.cfg = *cfg
	return nil
}

func (o *fakeConsumer) Delete() *jsapi.Error {
	delete(o.in.consumers, o.name)
	return nil
}

func (o *fakeConsumer) Pause(until time.Time) *jsapi.Error {
	o.cfg.PauseUntil = nil
	if !until.IsZero() {
		o.cfg.PauseUntil = &until
	}
	return nil
}

func (o *fakeConsumer) Begin() {}

func (o *fakeConsumer) Unpin(group string) *jsapi.Error {
	o.unpins = append(o.unpins, group)
	return nil
}

// identityOf is the identity of a stream as the tests compute it.
func identityOf(s *fakeStream) string { return jsapi.Hash(s.created.Format(time.RFC3339Nano)) }
