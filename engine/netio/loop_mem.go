package netio

// memPoller serves a loop of a simulation: readiness comes from the in-memory sockets, turns from
// Group.Step.
type memPoller struct{ l *Loop }

func newMemPoller(l *Loop) poller { return &memPoller{l: l} }

func (p *memPoller) add(c *Conn) error { return nil }
func (p *memPoller) update(*Conn)      { p.l.g.mem.touch() }
func (p *memPoller) remove(*Conn)      {}

// others implements poller.
func (p *memPoller) others(c *Conn) bool {
	for _, o := range p.l.conns {
		if o != nil && o != c && !o.share.queued && !o.unregistered && !o.detached && o.mem.events(o) != 0 {
			return true
		}
	}
	return false
}

func (p *memPoller) run()   { panic("netio: a simulated loop is driven by Group.Step") }
func (p *memPoller) wake()  { p.l.g.mem.touch() }
func (p *memPoller) close() {}
