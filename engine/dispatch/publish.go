package dispatch

import (
	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/base/clock"
)

// Router routes messages of all accounts.
type Router struct {
	reg   *account.Registry
	hooks Hooks
}

// NewRouter returns the router over reg.
func NewRouter(reg *account.Registry) *Router {
	return &Router{reg: reg, hooks: Hooks{Clock: clock.System()}}
}

// Publish routes m, published in acct: mapping (Client and Leaf origin), match, rules by kind, queue
// selection, fan-out. Re-entrant for different ctx, and for the same ctx from inside a Deliver; m is
// borrowed, and is as before when Publish returns, but for m.Account, which is acct. No allocation
// per message.
func (r *Router) Publish(ctx *Ctx, acct *account.Account, m *engine.Msg) Outcome {
	m.Account = acct.Ref()
	return r.publish(ctx, acct.Index(), acct.Snap().Map, m, nil)
}

// PublishMapped is Publish for a message whose subject was mapped before.
func (r *Router) PublishMapped(ctx *Ctx, acct *account.Account, m *engine.Msg) Outcome {
	m.Account = acct.Ref()
	return r.route(ctx, acct.Index(), m, nil, nil)
}

// PublishQueues is Publish for a message that came from another server: of the queue groups here
// only those named in queues get it. They are borrowed.
func (r *Router) PublishQueues(ctx *Ctx, acct *account.Account, m *engine.Msg, queues [][]byte) Outcome {
	m.Account = acct.Ref()
	return r.publish(ctx, acct.Index(), acct.Snap().Map, m, queues)
}

// mapFunc is account.Snapshot.Map.
type mapFunc = func(in, scratch []byte, rnd uint64) (out []byte, mapped, ok bool)

func (r *Router) publish(ctx *Ctx, x *interest.Index, mapping mapFunc, m *engine.Msg, queues [][]byte) Outcome {
	if mapping == nil || !mapsSubject(m.Origin) {
		return r.route(ctx, x, m, queues, nil)
	}
	return r.mapped(ctx, x, mapping, m, queues, nil)
}

// mapped is stage 1, then route.
func (r *Router) mapped(ctx *Ctx, x *interest.Index, mapping mapFunc, m *engine.Msg, queues [][]byte, via *hop) Outcome {
	subject, at := m.Subject, len(ctx.mapped)
	to, mapped, ok := mapping(subject, ctx.mapped[at:], ctx.random())
	if !ok {
		return Outcome{Mapped: mapped, Dropped: true}
	}
	if !mapped {
		return r.route(ctx, x, m, queues, via)
	}
	switch {
	case via == nil && m.Trace != nil:
		traceOf(m).Mapped(to)
	case via != nil && via.trace != nil:
		via.trace.Remapped(to)
	}
	if via != nil && r.hooks.Crossed != nil && len(m.Header) > 0 && m.Origin == engine.Client {
		r.hooks.Crossed(r.reg.ByID(m.Account.ID), to, m)
	}
	m.Subject = to
	ctx.keepMapped(at, to)
	out := r.deliver(ctx, x, m, queues, via, true)
	out.Mapped = true
	ctx.mapped = ctx.mapped[:min(at, len(ctx.mapped))]
	m.Subject = subject
	return out
}

// route is stages 2 to 5. via is how the message came from another account, nil if it did not.
func (r *Router) route(ctx *Ctx, x *interest.Index, m *engine.Msg, queues [][]byte, via *hop) Outcome {
	return r.deliver(ctx, x, m, queues, via, false)
}

// deliver is route; mapped says that the subject was changed by a mapping.
func (r *Router) deliver(ctx *Ctx, x *interest.Index, m *engine.Msg, queues [][]byte, via *hop, mapped bool) (out Outcome) {
	if ctx.depth >= maxDepth {
		return Outcome{Dropped: true}
	}
	if IsRouted(m.Route()) && r.hooks.Routed != nil {
		if out, ok := r.hooks.Routed(ctx, r.reg.ByID(m.Account.ID), m); ok {
			return out
		}
	}
	res := ctx.Cache.Lookup(x, m.Route())
	if res.Empty() {
		return out
	}
	p := pass{r: r, ctx: ctx, m: m, res: res, via: via, mapped: mapped, links: len(ctx.links), picks: len(ctx.picks)}
	ctx.enter()
	p.plain()
	if len(res.Queues) > 0 {
		p.queues(queues)
	}
	if res.Remote {
		p.sendLinks()
	}
	ctx.leave()
	return p.out
}

// pass is one message on its way through the stages.
type pass struct {
	r            *Router
	ctx          *Ctx
	m            *engine.Msg
	res          *interest.Result
	via          *hop
	mapped       bool
	out          Outcome
	links, picks int    // where its part of ctx.links and ctx.picks begins
	shown        string // traced, on the way to a subscriber of another account: its subject as this account sees it
}

// enter and leave enclose deliveries: what a Sink publishes meanwhile uses other scratch.
func (c *Ctx) enter() {
	c.depth++
	c.Cache.Hold()
}

func (c *Ctx) leave() {
	c.Cache.Release()
	c.depth--
}

// keepMapped makes to, appended by a mapping behind ctx.mapped[:at], part of ctx.mapped, so that a
// delivery that publishes maps into memory behind it.
func (c *Ctx) keepMapped(at int, to []byte) {
	if free := c.mapped[at:cap(c.mapped)]; cap(free) >= len(to) && len(to) > 0 && &free[:1][0] == &to[0] {
		c.mapped = c.mapped[:at+len(to)]
	} else if at == 0 && cap(to) <= maxMapped {
		c.mapped = to // it grew: keep the larger one
	}
}
