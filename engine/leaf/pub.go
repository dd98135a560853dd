package leaf

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/dispatch"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/engine/trace"
	"ramjet/proto/wire"
)

// largePayload is the size from which a payload is offered by reference to its frame.
const largePayload = 8 << 10

// onMsg handles LMSG and HMSG.
func (p *Leaf) onMsg(op *wire.Op) error {
	l := p.Lane()
	l.CountIn(len(op.Header) + len(op.Payload))
	if p.stage != ready {
		return p.outOfTurn()
	}
	if !p.admits(op.Subject) {
		if p.isSpoke() {
			return nil
		}
		return p.violation("Publish", op.Subject)
	}
	q := p.peer.Load()
	var t *trace.Trace
	if link.WantsTrace(op) {
		var drop bool
		if t, drop = p.BeginTrace(p.acct, op, q.server, p.mayPublish()); drop {
			return nil
		}
	}
	m := &l.Msg
	m.Account = p.acct.Ref()
	m.Subject, m.To, m.Reply, m.Header, m.Payload = op.Subject, nil, op.Reply, op.Header, op.Payload
	if reply, shown := splitAck(op.Reply); shown != nil {
		m.Subject, m.To, m.Reply = shown, op.Subject, reply
	}
	m.Frame = nil
	if l.Frame != nil && len(op.Payload) >= largePayload {
		m.Frame = l.Frame
	}
	m.Origin, m.OriginID, m.NoEcho = engine.Leaf, p.ID(), true
	m.Cluster, m.FromHub = q.cluster, q.spoke
	if t != nil {
		m.Trace = t
		defer t.End()
	}
	ctx := p.Ctx()
	out := p.svc.env.Router.PublishQueues(ctx, p.acct, m, op.Queues)
	m.Cluster, m.FromHub, m.To, m.Trace = "", false, nil, nil
	if out.Slow {
		p.stalled(ctx)
	}
	return nil
}

// mayPublish says where the other side may have traces sent to, nil for everywhere.
func (p *Leaf) mayPublish() func([]byte) bool {
	n := p.perms.Load()
	switch {
	case n.from != nil:
		return n.from.CanPub
	case n.recv != nil && p.isSpoke():
		return func(subj []byte) bool { return n.recv.CanSub(subj, nil) }
	}
	return nil
}

// splitAck separates what follows the reply subject of a JetStream message that has left its server: the subject
// to be shown (reference/interserver.md, section 1.6). shown is nil when there is none.
func splitAck(reply []byte) (ack, shown []byte) {
	if !hasPrefix(reply, ackPrefix) {
		return reply, nil
	}
	const leastDots = 8
	at, dots := 0, 0
	for {
		i := bytes.IndexByte(reply[at:], '@')
		if i < 0 {
			return reply, nil
		}
		dots += bytes.Count(reply[at:at+i], []byte{'.'})
		at += i + 1
		if dots >= leastDots {
			break
		}
	}
	if at == len(reply) {
		return reply, nil
	}
	return reply[: at-1 : at-1], reply[at:]
}

// stalled waits for queues in the server that a message of the other side has filled. Clients that are slow do
// not hold up a whole server.
func (p *Leaf) stalled(ctx *dispatch.Ctx) {
	var queues [4]interest.Sink
	n := 0
	for _, s := range ctx.SlowSinks {
		switch s.(type) {
		case *link.Conn, dispatch.LinkSink:
		default:
			if n < len(queues) {
				queues[n] = s
				n++
			}
		}
	}
	if n > 0 {
		p.StallFor(queues[:n])
	}
	ctx.ResetSlow()
}
