package link

import (
	"bytes"

	"ramjet/engine"
	"ramjet/engine/netio"
	"ramjet/proto/base/bufpool"
	"ramjet/proto/wire"
)

// presize is the largest buffer a cut operation gets at once; a longer one grows as its bytes
// arrive, so that announcing a size costs the server nothing.
const presize = 64 << 10

// OnOpen implements netio.Handler.
func (c *Conn) OnOpen(*netio.Conn) { c.proto.OnOpen() }

// OnSecured implements netio.Handler.
func (c *Conn) OnSecured(*netio.Conn) { c.proto.OnSecured() }

// OnTurn implements netio.Handler. Counters are folded at the end of each OnData, because that is
// where the turn's scratch is still warm; nothing is left for here.
func (c *Conn) OnTurn(*netio.Conn) {}

// OnData implements netio.Handler: everything in data is consumed, borrowed until return.
func (c *Conn) OnData(nc *netio.Conn, data []byte, frame *bufpool.Frame) {
	l := c.lane
	l.Now = nc.Loop().Now()
	l.Trace = c.env.Logger.Enabled(engine.Trace)
	c.stats.lastIn.Store(l.Now)
	switch c.state {
	case closing:
		return
	case held:
		c.part = extend(c.part, data, len(c.part.B)+len(data))
		return
	}
	l.sent = 0
	c.feed(data, frame, true)
	if n := c.out.Pending(); n > ownPressed {
		c.checkOwn(n)
	}
	c.foldTurn(l)
}

// How often a feed looks at the clock: after so much work (operations, deliveries, and 4 KiB of what they copied), but at least
// after so many operations; the first time early, as nothing is known yet.
const (
	askWork  = 256
	askOps   = 128
	askFirst = 8
)

// done is the work of the lane so far.
func (t *laneTotals) done() int64 { return t.outMsgs + t.outBytes>>12 }

// pace returns after how many operations to ask next, when the last ops of them brought work to work.
func pace(ops int, work int64) int {
	return min(askOps, max(1, askWork*ops/(ops+int(work))))
}

// feed decodes and handles the operations in data. frame holds data when it is counted. shared: within OnData, where the rest can
// wait while other connections have their turn.
func (c *Conn) feed(data []byte, frame *bufpool.Frame, shared bool) {
	if c.part != nil {
		var ok bool
		if data, ok = c.finish(data); !ok {
			return
		}
	}
	l := c.lane
	l.Frame = frame
	op := &l.Op
	ops, left, mark := askFirst, askFirst, l.total.done()
	for len(data) > 0 {
		n, need, perr := c.next(data, op)
		if perr != nil {
			c.parseError(perr, data)
			break
		}
		if n == 0 {
			c.keep(data, need)
			break
		}
		if err := c.handle(op); err != nil {
			if err == ErrUpgraded {
				l.Frame = nil
				c.upgraded(data[n:])
				return
			}
			c.suspend(err, data, n)
			break
		}
		data = data[n:]
		if left--; left > 0 || !shared {
			continue
		}
		if len(data) > 0 && c.nc.Tired() {
			c.nc.Yield(data)
			break
		}
		done := l.total.done()
		ops = pace(ops, done-mark)
		left, mark = ops, done
	}
	l.Frame = nil
}

// next decodes what is at the start of data.
func (c *Conn) next(data []byte, op *wire.Op) (n, need int, err *wire.Error) {
	if c.packets != nil {
		return c.nextPacket(data)
	}
	return wire.Next(data, &c.lim, op)
}

// handle passes on what next decoded.
func (c *Conn) handle(op *wire.Op) error {
	if c.packets != nil {
		return c.packets.OnPacket()
	}
	return c.proto.OnOp(op)
}

// badPacket stands for an error that the protocol has dealt with.
var badPacket = &wire.Error{}

func (c *Conn) nextPacket(data []byte) (n, need int, err *wire.Error) {
	n, need, bad := c.packets.Next(data)
	if bad != nil {
		c.packets.OnBad(bad)
		return 0, 0, badPacket
	}
	return n, need, nil
}

// keep stores the cut operation at the end of a read.
func (c *Conn) keep(data []byte, need int) {
	c.need = need
	want := 2 * len(data)
	if need > 0 {
		want = need
	}
	c.part = extend(nil, data, want)
}

// finish adds the head of data to the cut operation; when that is complete it is handled and the rest
// returned. ok is false when nothing more is to be fed.
func (c *Conn) finish(data []byte) (rest []byte, ok bool) {
	l := c.lane
	for len(data) > 0 {
		k := len(data)
		if c.need > 0 {
			k = min(k, c.need-len(c.part.B))
		} else if c.packets != nil {
			k = 1 // the length is in the first bytes
		} else if i := bytes.IndexByte(data, '\n'); i >= 0 {
			k = i + 1
		}
		c.part = extend(c.part, data[:k], c.need)
		data = data[k:]
		if c.need > 0 && len(c.part.B) < c.need {
			return nil, false
		}
		n, need, perr := c.next(c.part.B, &l.Op)
		if perr != nil {
			c.parseError(perr, c.part.B)
			c.dropPart()
			return nil, false
		}
		if n == 0 {
			c.need = need
			continue
		}
		return c.handleCut(data, n)
	}
	return nil, false
}

// handleCut handles the operation of n bytes that now is complete in the connection's own buffer.
func (c *Conn) handleCut(data []byte, n int) (rest []byte, ok bool) {
	l, f := c.lane, c.part
	c.part, c.need = nil, 0
	l.Frame = f
	err := c.handle(&l.Op)
	l.Frame = nil
	if err == nil {
		f.Release()
		return data, true
	}
	// What waits is the rest of the cut buffer and all of data.
	switch err {
	case ErrRetry:
		c.state = held
		c.part = extend(f, data, len(f.B)+len(data))
		c.nc.PauseRead()
		return nil, false
	case ErrHold:
		c.suspend(err, data, 0)
	case ErrUpgraded:
		// What arrived with the end of a line is cut behind it, so nothing of the new form is in f.
		c.upgraded(data)
	default:
		c.suspend(err, nil, 0)
	}
	f.Release()
	return nil, false
}

// upgraded passes what followed an operation that pushed a stage through that stage.
func (c *Conn) upgraded(rest []byte) {
	if len(rest) > 0 && c.state != closing {
		c.nc.Reopen(rest)
	}
}

// suspend acts on an error of OnOp for the operation of n bytes at the start of data.
func (c *Conn) suspend(err error, data []byte, n int) {
	switch err {
	case ErrHold:
		data = data[n:]
	case ErrRetry:
	default:
		if c.state != closing {
			c.CloseErr("", netio.ReasonProtocolViolation)
		}
		return
	}
	if c.state == closing {
		return
	}
	c.state = held
	c.part, c.need = extend(nil, data, len(data)), 0
	c.nc.PauseRead()
}

// Resume continues the feed after ErrHold or ErrRetry. Loop.
func (c *Conn) Resume() {
	if c.state != held {
		return
	}
	c.state = feeding
	l, f := c.lane, c.part
	c.part = nil
	l.Now = c.nc.Loop().Now()
	c.feed(f.B, f, false)
	f.Release()
	c.foldTurn(l)
	if c.state != closing {
		// Balances the pause of the hold that ended; a new hold has paused for itself.
		c.nc.ResumeRead()
	}
}

// dropPart releases the buffer of the cut operation.
func (c *Conn) dropPart() {
	if c.part != nil {
		c.part.Release()
		c.part, c.need = nil, 0
	}
}

// extend appends data to f (nil = none yet), whose final length will be about total; it grows in
// steps. The result is a frame that only the caller holds.
func extend(f *bufpool.Frame, data []byte, total int) *bufpool.Frame {
	have := 0
	if f != nil {
		have = len(f.B)
		if have+len(data) <= cap(f.B) {
			f.B = append(f.B, data...)
			return f
		}
	}
	n := have + len(data)
	n = max(n, min(total, max(presize, 2*have)))
	g := bufpool.Get(n)
	g.B = g.B[:0]
	if f != nil {
		g.B = append(g.B, f.B...)
		f.Release()
	}
	g.B = append(g.B, data...)
	return g
}
