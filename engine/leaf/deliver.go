package leaf

import (
	"encoding/json"
	"strconv"

	"ramjet/engine"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

var _ dispatch.LinkSink = (*Leaf)(nil)

// Accepts implements dispatch.LinkSink: whether m may go to the other side at all. Any goroutine.
func (p *Leaf) Accepts(m *engine.Msg, _ *interest.Sub) bool {
	q := p.peer.Load()
	switch m.Origin {
	case engine.Router:
		// What came by a route has been sent to the hub by the server that has it from a client.
		if q.spoke && !hasPrefix(m.Subject, replyPrefix) || m.Cluster != "" && m.Cluster == q.cluster && !m.Crossed {
			return false
		}
	case engine.Leaf:
		if m.Crossed {
			// New to the cluster it came from, unless both ways lead to the same hub.
			if q.spoke && m.FromHub && (q.cluster == "" || m.Cluster == "" || q.cluster == m.Cluster) {
				return false
			}
		} else if m.Cluster != "" && m.Cluster == q.cluster {
			return false
		}
	}
	n := p.perms.Load()
	return n.send == nil || n.send.CanPub(m.Route())
}

// PeerName implements dispatch.Peer. Any goroutine.
func (p *Leaf) PeerName() string { return p.peer.Load().server }

// Traces implements dispatch.TraceLink. Any goroutine.
func (p *Leaf) Traces() bool { return p.peer.Load().traces }

// Fallback implements dispatch.LinkSink: dispatch takes leafnodes last anyway.
func (p *Leaf) Fallback(*interest.Sub) bool { return true }

// Deliver implements interest.Sink for messages of imported streams, which come one for each subscription.
func (p *Leaf) Deliver(from engine.LoopID, m *engine.Msg, s *interest.Sub) engine.Verdict {
	if !p.Accepts(m, s) {
		return engine.Refused
	}
	if s.HasQueue() {
		one := [1]*interest.Sub{s}
		return p.DeliverLink(from, m, nil, one[:])
	}
	return p.DeliverLink(from, m, s, nil)
}

// DeliverLink implements dispatch.LinkSink: LMSG or HMSG, with the names of the groups that the other side is to
// choose from. Any goroutine.
func (p *Leaf) DeliverLink(from engine.LoopID, m *engine.Msg, plain *interest.Sub, queues []*interest.Sub) engine.Verdict {
	if p.Closed() {
		return engine.Closed
	}
	if plain != nil {
		if ok, _ := plain.Take(); !ok && len(queues) == 0 {
			return engine.Refused
		}
	}
	q := p.peer.Load()
	hdr := m.Header
	switch {
	case !q.headers:
		hdr = nil
	case len(hdr) > 0 && len(m.Reply) > 0:
		hdr = p.svc.renamed(hdr)
	}
	if r := p.Replies(); r != nil && len(m.Reply) > 0 {
		r.Track(m.Reply, p.svc.env.Clock.Now().UnixNano())
	}
	b := p.Line(from)
	if len(hdr) > 0 {
		b = append(b, "HMSG "...)
	} else {
		b = append(b, "LMSG "...)
	}
	b = append(b, m.Route()...)
	b = append(b, ' ')
	switch {
	case len(queues) > 0 && len(m.Reply) > 0:
		b = append(b, "+ "...)
	case len(queues) > 0:
		b = append(b, "| "...)
	}
	if len(m.Reply) > 0 {
		b = append(b, m.Reply...)
		if m.To != nil && hasPrefix(m.Reply, ackPrefix) {
			b = append(append(b, '@'), m.Subject...)
		}
		b = append(b, ' ')
	}
	for _, s := range queues {
		b = append(append(b, s.Queue()...), ' ')
		if plain == nil || s != plain {
			s.Take()
		}
	}
	if len(hdr) > 0 {
		b = append(strconv.AppendInt(b, int64(len(hdr)), 10), ' ')
	}
	b = append(strconv.AppendInt(b, int64(len(hdr)+len(m.Payload)), 10), '\r', '\n')
	if len(hdr) == len(m.Header) && (len(hdr) == 0 || &hdr[0] == &m.Header[0]) {
		return p.Forward(from, b, m)
	}
	plainer := *m
	plainer.Header = hdr
	return p.Forward(from, b, &plainer)
}

// infoKey is the header that tells a service about who asks.
const infoKey = "Nats-Request-Info"

// renamed returns hdr with the account of who asks as its hub calls it.
func (s *Service) renamed(hdr []byte) []byte {
	v := header.Get(hdr, infoKey)
	if len(v) == 0 {
		return hdr
	}
	var info sysapi.ClientInfo
	if json.Unmarshal(v, &info) != nil {
		return hdr
	}
	name, ok := s.names.Load(info.Account)
	if !ok || name.(string) == info.Account {
		return hdr
	}
	info.Account = name.(string)
	b, err := json.Marshal(&info)
	if err != nil {
		return hdr
	}
	return header.AppendSet(make([]byte, 0, len(hdr)+len(b)), hdr, infoKey, b)
}
