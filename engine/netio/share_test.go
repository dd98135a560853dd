package netio

import (
	"bytes"
	"io"
	"math/rand"
	"testing"
	"time"

	"ramjet/proto/base/bufpool"
	"ramjet/proto/base/clock"
)

// shareWorld is a simulated loop whose time passes only by the work of handlers.
type shareWorld struct {
	*testing.T
	g    *Group
	net  *MemNet
	clk  *clock.Manual
	addr string
	next *shareHand
}

// opCost is what one byte takes in the handler of these tests.
const opCost = 10 * time.Microsecond

// shareHand works on each byte for opCost, and asks whether it is tired after every 8.
type shareHand struct {
	*hand
	w      *shareWorld
	got    int // bytes
	yields int
}

func newShareWorld(t *testing.T) *shareWorld {
	w := &shareWorld{T: t, net: NewMemNet(), clk: clock.NewManual(time.Unix(0, 0))}
	g, err := NewGroup(Config{Backend: "mem", Net: w.net, Clock: w.clk, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.g = g
	l, err := g.Listen(ListenSpec{Name: "test", Addr: "127.0.0.1:0"}, func(*Conn) Handler { return w.next })
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	w.addr = l.Addr().String()
	t.Cleanup(func() { _ = g.Stop(t.Context()) })
	return w
}

func (w *shareWorld) connect() (*MemConn, *shareHand) {
	h := &shareHand{hand: newHand(), w: w}
	w.next = h
	c, err := w.net.Dial(w.addr)
	if err != nil {
		w.Fatal(err)
	}
	w.g.Step()
	return c, h
}

func (h *shareHand) OnData(c *Conn, b []byte, _ *bufpool.Frame) {
	for i := range b {
		h.got++
		h.w.clk.Advance(opCost)
		if i%8 == 7 && i+1 < len(b) && c.Tired() {
			h.yields++
			c.Yield(b[i+1:])
			return
		}
	}
}

func (w *shareWorld) send(c *MemConn, n int) {
	if k, err := c.TryWrite(make([]byte, n)); err != nil || k != n {
		w.Fatalf("sent %d of %d: %v", k, n, err)
	}
}

// TestShareIsFair: who has little to do waits for one slice of the others and not for all of their work, the others get the same
// share, and nothing is lost.
func TestShareIsFair(t *testing.T) {
	w := newShareWorld(t)
	const floods, size = 5, 20_000
	light, lh := w.connect()
	var hs []*shareHand
	var cs []*MemConn
	for range floods {
		c, h := w.connect()
		cs, hs = append(cs, c), append(hs, h)
	}
	for _, c := range cs {
		w.send(c, size)
	}
	// Bounds in bytes: a slice ends at the first question after its time; the ring has one more than its time at most. The first
	// turn is the exception: nobody is known yet, so each gets a slice.
	slice := int(time.Duration(tiredTime)/opCost) + 8
	ring := int(time.Duration(ringTime)/opCost) + slice
	total := func() (n int) {
		for _, h := range hs {
			n += h.got
		}
		return n
	}
	for turn := 0; total() < floods*size; turn++ {
		w.send(light, 1)
		before, had := total(), lh.got
		w.g.Step()
		if lh.got != had+1 {
			t.Fatalf("turn %d: the light connection was not served", turn)
		}
		limit := ring
		if turn == 0 {
			limit += floods * slice
		}
		if did := total() - before; did == 0 || did > limit {
			t.Fatalf("turn %d: %d bytes of the others were handled, at most %d should be", turn, did, limit)
		}
		if turn > 0 {
			least, most := size, 0
			for _, h := range hs {
				least, most = min(least, h.got), max(most, h.got)
			}
			if least < size-slice && most-least > 2*slice {
				t.Fatalf("turn %d: one had %d bytes handled, another %d", turn, most, least)
			}
		}
	}
	for w.g.Step() {
	}
	for i, h := range hs {
		if h.got != size || h.yields == 0 {
			t.Errorf("flood %d: %d bytes, %d yields", i, h.got, h.yields)
		}
	}
}

// TestAloneIsNeverTired: a connection nobody waits behind is served in whole reads, which grow.
func TestAloneIsNeverTired(t *testing.T) {
	w := newShareWorld(t)
	c, h := w.connect()
	w.connect() // somebody who sends nothing
	w.send(c, memBuffer)
	for w.g.Step() {
	}
	if h.got != memBuffer || h.yields != 0 {
		t.Errorf("%d bytes, %d yields", h.got, h.yields)
	}
}

// TestWhatIsKeptIsBounded: what a connection may read shrinks to what it gets done in a slice, and so does what is kept of it.
func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newShareWorld(t)
	a, ah := w.connect()
	b, bh := w.connect()
	loop := w.g.loops[0]
	for range 2000 {
		if ah.got < 1<<20 {
			_, _ = a.TryWrite(make([]byte, 4*firstRead))
			_, _ = b.TryWrite(make([]byte, 4*firstRead))
		}
		w.g.Step()
	}
	for _, c := range loop.conns {
		if c == nil {
			continue
		}
		if n := int(c.share.readMax); n > leastRead {
			t.Errorf("may read %d bytes, though a slice is worth %d", n, time.Duration(tiredTime)/opCost)
		}
		if k := c.share.kept; k != nil && cap(k.B) > bufpool.Cap(leastRead) {
			t.Errorf("%d bytes are kept", cap(k.B))
		}
	}
	if ah.yields == 0 || bh.yields == 0 {
		t.Error("nobody was tired")
	}
}

// TestCloseWithKeptInput: the end of a connection, by the peer or by us, releases what was kept, and no more of it is delivered.
func TestCloseWithKeptInput(t *testing.T) {
	w := newShareWorld(t)
	a, ah := w.connect()
	b, bh := w.connect()
	w.send(a, firstRead)
	w.send(b, firstRead)
	w.g.Step()
	var conns []*Conn
	for _, c := range w.g.loops[0].conns {
		if c != nil {
			conns = append(conns, c)
		}
	}
	if len(conns) != 2 || conns[0].share.kept == nil || conns[1].share.kept == nil {
		t.Fatal("nothing is kept")
	}
	conns[0].CloseAfterFlush(ReasonServerShutdown)
	conns[1].Abort(ReasonServerShutdown)
	had := ah.got + bh.got
	for w.g.Step() {
	}
	_, _ = a.TryRead(nil)
	for _, c := range conns {
		if c.share.kept != nil {
			t.Error("input is still kept")
		}
	}
	if n := ah.got + bh.got - had; n > 0 {
		t.Errorf("%d bytes were delivered to closed connections", n)
	}
}

// rot is a stage that changes every byte and hands them on in small pieces.
type rot struct{}

func (rot) Open(in []byte, emit func([]byte) error) error {
	for len(in) > 0 {
		n := min(len(in), 700)
		out := make([]byte, n)
		for i, b := range in[:n] {
			out[i] = b ^ 0x55
		}
		if err := emit(out); err != nil {
			return err
		}
		in = in[n:]
	}
	return nil
}

func (rot) Seal(dst, plain []byte) ([]byte, error) { return append(dst, plain...), nil }
func (rot) Finish(dst []byte, _ Reason) []byte     { return dst }

// TestYieldKeepsOrder: whatever a handler does with its input (consume, yield, give back, pause), every byte comes once and in
// order, with a stage and without.
func TestYieldKeepsOrder(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		for _, staged := range []bool{false, true} {
			seed := time.Now().UnixNano()
			r := rand.New(rand.NewSource(seed))
			w := newWorld(t, backend, Config{Loops: 1})
			const size = 1 << 20
			h := newHand()
			var got []byte
			done := make(chan struct{})
			h.open = func(c *Conn) {
				if staged {
					c.Push(rot{})
				}
			}
			h.timer = func(c *Conn, _ uint8) { c.ResumeRead() }
			h.data = func(c *Conn, b []byte, f *bufpool.Frame) {
				if f != nil && !bytes.Contains(f.B[:cap(f.B)], b[:min(len(b), 64)]) {
					t.Error("the frame does not hold the data")
				}
				n := 1 + r.Intn(len(b))
				choice := r.Intn(6)
				if c.pauses > 0 {
					choice = 0 // a stage that has more
				}
				switch choice {
				case 0:
					c.Yield(b[n:])
				case 1:
					c.Unread(b[n:])
				case 2:
					c.PauseRead()
					c.SetTimer(0, time.Millisecond)
					c.Unread(b[n:])
				case 3:
					c.PauseRead()
					c.SetTimer(0, time.Millisecond)
					c.Yield(b[n:])
				default:
					n = len(b)
				}
				got = append(got, b[:n]...)
				if len(got) == size {
					close(done)
				}
			}
			data := make([]byte, size)
			r.Read(data) // before the loop draws from it
			nc := w.dial(w.listen(h.accept))
			wire := data
			if staged {
				wire = make([]byte, size)
				for i, b := range data {
					wire[i] = b ^ 0x55
				}
			}
			go func() { _, _ = io.Copy(nc, bytes.NewReader(wire)) }()
			wait(t, done, "all bytes")
			if !bytes.Equal(got, data) {
				t.Errorf("stage %v, seed %d: the input is not what was sent", staged, seed)
			}
			w.stop()
		}
	})
}

// TestBackground: a job takes turns with connections and with other jobs, and a loop that ends finishes it.
func TestBackground(t *testing.T) {
	w := newShareWorld(t)
	loop := w.g.loops[0]
	var steps [2]int
	job := func(i int) func() bool {
		return func() bool {
			steps[i]++
			w.clk.Advance(time.Duration(jobTime))
			return steps[i] < 100
		}
	}
	loop.Background(job(0))
	loop.Background(job(1))
	c, h := w.connect()
	for i := range 10 {
		w.send(c, 1)
		had, did := h.got, steps[0]+steps[1]
		w.g.Step()
		if h.got != had+1 || steps[0]+steps[1] != did+1 {
			t.Fatalf("turn %d: %d bytes, %v steps", i, h.got-had, steps)
		}
	}
	if d := steps[0] - steps[1]; d < -1 || d > 1 {
		t.Errorf("steps %v", steps)
	}
	if err := w.g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if steps != [2]int{100, 100} {
		t.Errorf("steps %v after the end", steps)
	}
	if loop.Background(job(0)) {
		t.Error("a stopped loop took a job")
	}
}
