package netio

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	memBuffer    = 128 << 10 // bytes in flight in one direction of a link
	memFirstPort = 20000
)

// MemNet is a simulated network: links between in-memory sockets, no descriptors, no goroutine. The
// groups that use it (Config.Net) take turns through Group.Step, so that a run with a manual clock and
// scripted peers is deterministic. Safe for any goroutine.
type MemNet struct {
	mu        sync.Mutex // a leaf: guards everything below and all ends
	listeners map[string]*memListener
	port      uint16
	refuse    func(addr string) error
	ready     chan struct{} // capacity 1: there may be work for Step
}

// NewMemNet returns an empty network.
func NewMemNet() *MemNet {
	return &MemNet{listeners: map[string]*memListener{}, port: memFirstPort, ready: make(chan struct{}, 1)}
}

// Ready receives a value when Step may have something to do.
func (n *MemNet) Ready() <-chan struct{} { return n.ready }

// Refuse sets a function that can make Dial to an address fail (partition); nil allows all.
func (n *MemNet) Refuse(fn func(addr string) error) {
	n.mu.Lock()
	n.refuse = fn
	n.mu.Unlock()
}

func (n *MemNet) touch() {
	select {
	case n.ready <- struct{}{}:
	default:
	}
}

// memEnd is one end of a link: what it may read is in. All fields are guarded by MemNet.mu.
type memEnd struct {
	net   *MemNet
	peer  *memEnd
	in    []byte
	off   int
	fin   bool // the peer sends no more
	reset bool // the link is cut
	shut  bool // this end sends no more
	done  bool // this end was closed
	held  bool // Hold: what arrives waits in limbo
	limbo []byte
	cond  *sync.Cond // the client's side
	local netip.AddrPort
}

// memListener is a listening address.
type memListener struct {
	net     *MemNet
	l       *Listener
	addr    net.Addr
	key     string
	started bool
	backlog []*memEnd
}

func (n *MemNet) nextPort() uint16 {
	n.port++
	return n.port
}

// link makes two connected ends. Under mu.
func (n *MemNet) link(client, server netip.AddrPort) (a, b *memEnd) {
	a = &memEnd{net: n, local: client}
	b = &memEnd{net: n, local: server}
	a.peer, b.peer = b, a
	return a, b
}

func (n *MemNet) listen(addr string, l *Listener) (*memListener, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("netio: simulated address: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ap.Port() == 0 {
		ap = netip.AddrPortFrom(ap.Addr(), n.nextPort())
	}
	key := ap.String()
	if n.listeners[key] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", unix.EADDRINUSE)}
	}
	m := &memListener{net: n, l: l, addr: net.TCPAddrFromAddrPort(ap), key: key}
	n.listeners[key] = m
	return m, nil
}

func (m *memListener) begin() {
	m.net.mu.Lock()
	m.started = true
	waiting := m.backlog
	m.backlog = nil
	m.net.mu.Unlock()
	for _, e := range waiting {
		m.l.g.adoptMem(e, false, m.l.accept)
	}
}

func (m *memListener) end() {
	m.net.mu.Lock()
	delete(m.net.listeners, m.key)
	waiting := m.backlog
	m.backlog = nil
	m.net.mu.Unlock()
	for _, e := range waiting {
		e.close()
	}
}

// connect makes a link to a listener and returns the client's end.
func (n *MemNet) connect(addr string) (*memEnd, error) {
	n.mu.Lock()
	m := n.listeners[addr]
	var err error
	if n.refuse != nil {
		err = n.refuse(addr)
	}
	if err == nil && m == nil {
		err = unix.ECONNREFUSED
	}
	if err != nil {
		n.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	server := netip.MustParseAddrPort(addr)
	a, b := n.link(netip.AddrPortFrom(server.Addr(), n.nextPort()), server)
	if !m.started {
		m.backlog = append(m.backlog, b)
		n.mu.Unlock()
		return a, nil
	}
	n.mu.Unlock()
	m.l.g.adoptMem(b, false, m.l.accept)
	return a, nil
}

// Dial connects to a listener of the network and returns a blocking client end.
func (n *MemNet) Dial(addr string) (*MemConn, error) {
	e, err := n.connect(addr)
	if err != nil {
		return nil, err
	}
	return newMemConn(e), nil
}

func (n *MemNet) dialGroup(g *Group, addr string, accept AcceptFunc) error {
	e, err := n.connect(addr)
	if err != nil {
		return err
	}
	if !g.adoptMem(e, false, accept) {
		return errStopped
	}
	return nil
}

func (n *MemNet) pipe(g *Group, accept AcceptFunc) (net.Conn, error) {
	n.mu.Lock()
	a, b := n.link(netip.AddrPort{}, netip.AddrPort{})
	n.mu.Unlock()
	if !g.adoptMem(b, true, accept) {
		return nil, errStopped
	}
	return newMemConn(a), nil
}

// adoptMem places a simulated socket on a loop.
func (g *Group) adoptMem(e *memEnd, inproc bool, accept AcceptFunc) bool {
	loop := g.pick()
	c := newConn(loop, -1, e.peer.local, e.local)
	c.inproc, c.mem = inproc, e
	ok := loop.post(task{fn: func() {
		c.fd = int32(loop.freeSlot())
		loop.enroll(c, accept)
	}}, false)
	if !ok {
		loop.placed.Add(-1)
		e.close()
		return false
	}
	return true
}

// freeSlot returns an unused index of conns, which stands for a descriptor.
func (l *Loop) freeSlot() int {
	for i, c := range l.conns {
		if c == nil {
			return i
		}
	}
	return len(l.conns)
}

func (e *memEnd) avail() int { return len(e.in) - e.off }

// read is the reactor's non-blocking read.
func (e *memEnd) read(b []byte) (int, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.readLocked(b)
}

func (e *memEnd) readLocked(b []byte) (int, error) {
	switch {
	case e.done:
		return 0, unix.EBADF
	case e.avail() > 0:
		n := copy(b, e.in[e.off:])
		e.off += n
		if e.off == len(e.in) {
			e.in, e.off = nil, 0
		}
		e.peer.changed() // there is room again
		return n, nil
	case e.reset:
		return 0, unix.ECONNRESET
	case e.fin:
		return 0, nil
	}
	return 0, unix.EAGAIN
}

// changed tells the owner of e that reading or writing may go on. Under mu.
func (e *memEnd) changed() {
	if e.cond != nil {
		e.cond.Broadcast()
	}
	e.net.touch()
}

// room is what e may send now. Under mu.
func (e *memEnd) room() int { return memBuffer - e.peer.avail() - len(e.peer.limbo) }

func (e *memEnd) writeLocked(b []byte) (int, error) {
	switch {
	case e.done, e.shut:
		return 0, unix.EPIPE
	case e.reset:
		return 0, unix.ECONNRESET
	case e.peer.done:
		return 0, unix.EPIPE
	}
	n := min(len(b), e.room())
	if n <= 0 {
		return 0, unix.EAGAIN
	}
	if e.peer.held {
		e.peer.limbo = append(e.peer.limbo, b[:n]...)
		return n, nil
	}
	if e.peer.off > 0 && len(e.peer.in)+n > cap(e.peer.in) {
		e.peer.in = append(e.peer.in[:0:0], e.peer.in[e.peer.off:]...)
		e.peer.off = 0
	}
	e.peer.in = append(e.peer.in, b[:n]...)
	e.peer.changed()
	return n, nil
}

func (e *memEnd) write(b []byte) (int, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.writeLocked(b)
}

func (e *memEnd) writeList(l *segList) (int, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	total := 0
	for s, k := l.head, 0; s != nil && k < maxIov; s, k = s.next, k+1 {
		n, err := e.writeLocked(s.b)
		total += n
		if err != nil {
			if total > 0 {
				return total, nil
			}
			return 0, err
		}
		if n < len(s.b) {
			break
		}
	}
	return total, nil
}

func (e *memEnd) shutdown() error {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.reset || e.done {
		return unix.ENOTCONN
	}
	e.shut = true
	e.peer.fin = true
	e.peer.changed()
	return nil
}

func (e *memEnd) close() {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.done {
		return
	}
	e.done, e.shut = true, true
	if e.avail() > 0 { // as TCP: unread input turns the end into a reset
		e.peer.reset = true
	}
	e.peer.fin = true
	e.in, e.off, e.limbo = nil, 0, nil
	if e.cond != nil {
		e.cond.Broadcast()
	}
	e.peer.changed()
}

// events returns what a poller would report for c. Under mu of nobody.
func (e *memEnd) events(c *Conn) (ev events) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if c.wantRead && (e.avail() > 0 || e.fin || e.reset) {
		ev |= evRead
	}
	if c.wantWrite && (e.room() > 0 || e.reset || e.peer.done) {
		ev |= evWrite
	}
	if e.reset {
		ev |= evHup | evWrite
	}
	return ev
}

// Step runs one turn of each loop that has something to do, then at most one function of the blocking
// pool; it reports whether anything was done. Simulation ("mem" backend) only; steps of one group exclude each other.
func (g *Group) Step() bool {
	g.stepping.Lock()
	defer g.stepping.Unlock()
	did := false
	for _, l := range g.loops {
		did = l.stepMem() || did
	}
	return g.pool.step() || did
}

// UntilTimer returns how long until the next timer of any loop; false if there is none. Simulation
// only.
func (g *Group) UntilTimer() (d time.Duration, ok bool) {
	g.stepping.Lock()
	defer g.stepping.Unlock()
	for _, l := range g.loops {
		l.tell()
		if n, has := l.untilTimer(); has && !l.stopped && (!ok || time.Duration(n) < d) {
			d, ok = time.Duration(n), true
		}
	}
	return d, ok
}

// stepMem runs a turn if there is anything to do.
func (l *Loop) stepMem() bool {
	if l.stopped {
		return false
	}
	l.beginTurn()
	did := false
	for fd := range l.conns {
		c := l.conns[fd]
		if c == nil || c.unregistered || c.detached {
			continue
		}
		if ev := c.mem.events(c); ev != 0 {
			did = true
			l.event(fd, ev)
		}
	}
	if at, ok := l.wheel.Next(); ok && at <= l.mono {
		did = true
	}
	if l.busy() || !l.in.sleep() {
		did = true
	}
	if !did {
		return false
	}
	if !l.endTurn() {
		close(l.done)
	}
	return true
}

// stopMem ends a simulated group: what the peers do not take without time passing is dropped.
func (g *Group) stopMem() {
	for g.Step() {
	}
	for _, l := range g.loops {
		l.post(task{fn: l.kill}, false)
	}
	for g.Step() {
	}
}

// MemConn is the client end of a simulated connection, a blocking net.Conn. TryRead and TryWrite are
// for scripted peers of a deterministic run.
type MemConn struct {
	e        *memEnd
	deadline time.Time
	timer    *time.Timer
}

func newMemConn(e *memEnd) *MemConn {
	e.cond = sync.NewCond(&e.net.mu)
	return &MemConn{e: e}
}

// TryRead reads what is there; os.ErrDeadlineExceeded if there is nothing.
func (c *MemConn) TryRead(b []byte) (int, error) {
	n, err := c.e.read(b)
	return n, memErr(n, err)
}

// TryWrite writes what fits; os.ErrDeadlineExceeded if nothing does.
func (c *MemConn) TryWrite(b []byte) (int, error) {
	n, err := c.e.write(b)
	if n == 0 {
		return 0, memErr(1, err)
	}
	return n, nil
}

func memErr(n int, err error) error {
	switch {
	case err == unix.EAGAIN:
		return os.ErrDeadlineExceeded
	case err == unix.EBADF:
		return net.ErrClosed
	case err == nil && n == 0:
		return io.EOF
	}
	return err
}

func (c *MemConn) expired() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

// Read waits for data, the end or the deadline.
func (c *MemConn) Read(b []byte) (int, error) {
	c.e.net.mu.Lock()
	defer c.e.net.mu.Unlock()
	for {
		n, err := c.e.readLocked(b)
		if err != unix.EAGAIN || c.expired() {
			return n, memErr(n, err)
		}
		c.e.cond.Wait()
	}
}

// Write waits until everything is in the link.
func (c *MemConn) Write(b []byte) (int, error) {
	c.e.net.mu.Lock()
	defer c.e.net.mu.Unlock()
	total := 0
	for total < len(b) {
		n, err := c.e.writeLocked(b[total:])
		total += n
		if err == unix.EAGAIN && !c.expired() {
			c.e.cond.Wait()
			continue
		}
		if err != nil {
			return total, memErr(1, err)
		}
	}
	return total, nil
}

// Close ends the connection; unread input makes the peer see a reset.
func (c *MemConn) Close() error {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.e.close()
	return nil
}

// CloseWrite ends our direction.
func (c *MemConn) CloseWrite() error { return c.e.shutdown() }

// Cut breaks the link: both ends see a reset, what was under way is lost.
func (c *MemConn) Cut() {
	c.e.net.mu.Lock()
	defer c.e.net.mu.Unlock()
	for _, e := range []*memEnd{c.e, c.e.peer} {
		e.reset = true
		e.in, e.off, e.limbo = nil, 0, nil
		e.changed()
	}
}

// Hold makes what either end sends wait (half-open connection) until Hold(false).
func (c *MemConn) Hold(on bool) {
	c.e.net.mu.Lock()
	defer c.e.net.mu.Unlock()
	for _, e := range []*memEnd{c.e, c.e.peer} {
		e.held = on
		if !on && len(e.limbo) > 0 {
			e.in = append(e.in, e.limbo...)
			e.limbo = nil
		}
		e.changed()
	}
}

// LocalAddr returns the client's address.
func (c *MemConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.e.local) }

// RemoteAddr returns the server's address.
func (c *MemConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.e.peer.local) }

// SetDeadline makes waiting calls give up at t.
func (c *MemConn) SetDeadline(t time.Time) error {
	c.e.net.mu.Lock()
	defer c.e.net.mu.Unlock()
	if c.e.done {
		return net.ErrClosed
	}
	c.deadline = t
	if c.timer != nil {
		c.timer.Stop()
	}
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), func() {
			c.e.net.mu.Lock()
			c.e.cond.Broadcast()
			c.e.net.mu.Unlock()
		})
	}
	return nil
}

// SetReadDeadline is SetDeadline.
func (c *MemConn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline is SetDeadline.
func (c *MemConn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }

var _ net.Conn = (*MemConn)(nil)
