package server

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ramjet/engine/monitor"
	"ramjet/engine/sysacc"
	"ramjet/js/api"
	"ramjet/js/host"
	"ramjet/proto/jsapi"
	"ramjet/proto/sysapi"
)

// JetStream is what monitoring shows of JetStream, nil when it is off.
func (v source) JetStream() monitor.JetStream {
	if js := v.s.js.Load(); js != nil {
		return jsView{js}
	}
	return nil
}

// jsView implements monitor.JetStream. Any goroutine but a shard's.
type jsView struct{ js *jetStream }

// Problem says why JetStream does not serve.
func (v jsView) Problem() string {
	js := v.js
	if js.ready.Load() {
		return js.host.Load().Health()
	}
	select {
	case <-js.ended:
		if js.err != nil {
			return js.failure().Error()
		}
	default:
	}
	return "JetStream is recovering its store"
}

// Config returns what JetStream works with.
func (v jsView) Config() sysapi.JetStreamConfig {
	o, l, opts := &v.js.o, v.js.limits.Load(), v.js.s.opts.Load()
	c := sysapi.JetStreamConfig{MaxMemory: l.memory, MaxStore: l.store, StoreDir: o.Dir, Domain: o.Domain, Strict: !o.Lenient}
	if j := opts.JetStream; j != nil {
		c.SyncInterval, c.SyncAlways, c.UniqueTag = j.SyncInterval, j.SyncAlways, j.UniqueTag
		c.CompressOK = j.MaxMemory > 0 && j.MaxStore > 0 // as nats-server shows it
	}
	return c
}

// Limits returns the limits of the configuration.
func (v jsView) Limits() *sysapi.JSLimits {
	j := v.js.s.opts.Load().JetStream
	if j == nil {
		return nil
	}
	l := &j.Limits
	return &sysapi.JSLimits{MaxRequestBatch: l.MaxRequestBatch, MaxAckPending: l.MaxAckPending, MaxHAAssets: l.MaxHAAssets,
		Duplicates: l.DuplicateWindow, MaxBatchInflightPerStream: l.BatchMaxInflightPerStream, MaxBatchInflightTotal: l.BatchMaxInflightTotal,
		MaxBatchSize: l.BatchMaxMsgs, MaxBatchTimeout: l.BatchTimeout, DefaultMaxConsumers: l.DefaultMaxConsumers}
}

// Stats returns what is used.
func (v jsView) Stats() sysapi.JetStreamStats {
	st := sysapi.JetStreamStats{API: sysapi.JSAPIStats{Level: APILevel}}
	h := v.js.host.Load()
	if h == nil {
		return st
	}
	u, r := h.Usage(), h.Router().Stats()
	st.Memory, st.Store, st.ReservedMemory, st.ReservedStore = uint64(u.Memory), uint64(u.Store), uint64(u.ReservedMemory), uint64(u.ReservedStore)
	st.Accounts = len(h.Accounts())
	st.API.Total, st.API.Errors, st.API.Inflight = r.Total, r.Errors, uint64(r.Inflight)
	return st
}

// accounts returns the accounts that have JetStream enabled, in order.
func (v jsView) accounts() []*host.Account {
	h := v.js.host.Load()
	if h == nil {
		return nil
	}
	l := h.Accounts()
	slices.SortFunc(l, func(a, b *host.Account) int { return strings.Compare(a.Name(), b.Name()) })
	return l
}

// Accounts returns their names.
func (v jsView) Accounts() []string {
	l := v.accounts()
	names := make([]string, len(l))
	for i, a := range l {
		names[i] = a.Name()
	}
	return names
}

// account returns one of them, nil if it is none.
func (v jsView) account(name string) api.Account {
	if h := v.js.host.Load(); h != nil {
		return h.Account(name)
	}
	return nil
}

// Account describes one of them.
func (v jsView) Account(name string) *sysapi.AccountDetail {
	a := v.account(name)
	if a == nil {
		return nil
	}
	i := a.Info()
	d := &sysapi.AccountDetail{Name: name, ID: name}
	if x := v.js.s.accounts.Lookup(name); x != nil {
		d.Name = x.NameTag()
	}
	d.Memory, d.Store = i.Memory, i.Store
	if i.Tiers == nil { // what is reserved is what the account may use
		d.ReservedMemory, d.ReservedStore = uint64(i.Limits.MaxMemory), uint64(i.Limits.MaxStore)
	}
	d.API.Total, d.API.Errors = v.js.host.Load().Router().AccountStats(name)
	return d
}

// Streams describes the streams of an account.
func (v jsView) Streams(account string, o monitor.StreamDetails) []sysapi.StreamDetail {
	a := v.account(account)
	if a == nil {
		return nil
	}
	problems := a.(*host.Account).Problems()
	var out []sysapi.StreamDetail
	for _, s := range a.Streams() {
		i := s.Info(&jsapi.StreamInfoRequest{}, &jsapi.Page{})
		if i == nil {
			continue
		}
		d := sysapi.StreamDetail{Name: s.Name(), Created: s.Created(), Cluster: &jsapi.ClusterInfo{Leader: v.js.s.Name()}, State: i.State,
			Mirror: i.Mirror, Sources: i.Sources, Problem: problems[s.Name()]}
		if o.Config {
			d.Config = &i.Config
		}
		if o.Consumers || o.Direct {
			for _, c := range s.Consumers() {
				direct := c.Config().Direct
				if direct && !o.Direct || !direct && !o.Consumers {
					continue
				}
				k := c.Info()
				if k == nil {
					continue
				}
				if !o.Config {
					k.Config = nil
				}
				if direct {
					d.DirectConsumers = append(d.DirectConsumers, k)
				} else {
					d.Consumers = append(d.Consumers, k)
				}
			}
		}
		out = append(out, d)
	}
	return out
}

// Assets counts what an account or all have.
func (v jsView) Assets(account string) monitor.JetStreamAssets {
	h := v.js.host.Load()
	if h == nil {
		return monitor.JetStreamAssets{}
	}
	return monitor.JetStreamAssets(h.Totals(account))
}

// Problems lists what does not serve.
func (v jsView) Problems() []monitor.AssetProblem {
	var l []monitor.AssetProblem
	for _, a := range v.accounts() {
		for stream, why := range a.Problems() {
			l = append(l, monitor.AssetProblem{Account: a.Name(), Stream: stream, Text: why})
		}
	}
	slices.SortFunc(l, func(a, b monitor.AssetProblem) int {
		return strings.Compare(a.Account+"\x00"+a.Stream, b.Account+"\x00"+b.Stream)
	})
	return l
}

// Stream finds a stream.
func (v jsView) Stream(account, name string) (found bool, problem string) {
	a := v.account(account)
	if a == nil {
		return false, ""
	}
	s := a.Stream(name)
	if s == nil {
		return false, ""
	}
	for _, x := range v.accounts() {
		if x.Name() == account {
			return true, x.Problems()[name]
		}
	}
	return true, s.Offline()
}

// Consumer finds a consumer.
func (v jsView) Consumer(account, stream, name string) (found bool, problem string) {
	a := v.account(account)
	if a == nil {
		return false, ""
	}
	s := a.Stream(stream)
	if s == nil {
		return false, ""
	}
	c := s.Consumer(name)
	if c == nil {
		return false, ""
	}
	return true, c.Offline()
}

// Journal returns the counters of the journal.
func (v jsView) Journal() sysapi.JSJournal {
	h := v.js.host.Load()
	if h == nil {
		return sysapi.JSJournal{}
	}
	j := h.JournalStats()
	return sysapi.JSJournal{Records: j.Records, Bytes: j.Bytes, Batches: j.Batches, Syncs: j.Syncs, SyncTime: time.Duration(j.SyncNanos),
		Files: j.Files, Queued: j.Queued, Damage: h.Findings()}
}

// Dropped returns the messages that full inboxes refused.
func (v jsView) Dropped() uint64 {
	if h := v.js.host.Load(); h != nil {
		return h.Dropped()
	}
	return 0
}

// clientInfo describes a connection to the audience of advisories, nil if it is gone. Any goroutine.
func (s *Server) clientInfo(_ string, cid uint64) []byte {
	c := s.registry.Get(cid)
	if c == nil {
		return nil
	}
	i := sysacc.DescribeClient(c, s.clk.Now())
	i.Server = s.Name()
	b, err := json.Marshal(&i)
	if err != nil {
		panic(err) // plain data
	}
	return b
}
