package netio

import (
	"fmt"
	"sync/atomic"
	"time"

	gerrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
)

// gnetPoller runs a loop on gnet's exported poller (epoll on Linux, kqueue on macOS and BSD).
//
// That poller owns the goroutine and calls back per event, without an end of turn: the first event of a
// batch queues a task, which gnet runs when the batch is done. Descriptors are edge-triggered, with
// both directions watched all the time; pausing ignores events, and update asks the kernel again, so
// that what was ignored is reported.
type gnetPoller struct {
	l       *Loop
	p       *netpoll.Poller
	turn    bool        // beginTurn was called
	queued  atomic.Bool // the task of the end of the turn is queued
	taskRun queue.Func
	clock   clockAlarm
}

func newGnetPoller(l *Loop) (poller, error) {
	gp, err := netpoll.OpenPoller()
	if err != nil {
		return nil, fmt.Errorf("open poller: %w", err)
	}
	p := &gnetPoller{l: l, p: gp}
	p.taskRun = func(any) error { return p.end() }
	p.clock.l = l
	l.edge = true
	return p, nil
}

func (p *gnetPoller) attachment(c *Conn) *netpoll.PollAttachment {
	return &netpoll.PollAttachment{FD: int(c.fd), Callback: p.event}
}

func (p *gnetPoller) add(c *Conn) error { return p.p.AddReadWrite(p.attachment(c), true) }

func (p *gnetPoller) update(c *Conn) { _ = gnetRearm(p.p, p.attachment(c)) }

func (p *gnetPoller) remove(c *Conn) { _ = p.p.Delete(int(c.fd)) }

// others implements poller: gnet's poller cannot be asked within a turn.
func (p *gnetPoller) others(*Conn) bool { return true }

func (p *gnetPoller) wake() {
	if !p.queued.Swap(true) {
		_ = p.p.Trigger(queue.HighPriority, p.taskRun, nil)
	}
}

func (p *gnetPoller) close() { _ = p.p.Close() }

func (p *gnetPoller) run() {
	p.wake()
	_ = p.p.Polling(p.event)
}

// event is called by gnet for each ready descriptor.
func (p *gnetPoller) event(fd int, e netpoll.IOEvent, flags netpoll.IOFlags) error {
	if !p.turn {
		p.turn = true
		p.l.beginTurn()
	}
	p.wake()
	var ev events
	if netpoll.IsReadEvent(e) {
		ev = evRead
	}
	if gnetEnd(e, flags) {
		ev |= evRead | evEnd
	}
	if netpoll.IsWriteEvent(e) {
		ev |= evWrite
	}
	if netpoll.IsErrorEvent(e, flags) {
		ev |= evRead | evWrite | evHup
	}
	p.l.event(fd, ev)
	return nil
}

// end is the end of a turn: it runs in gnet's task queue.
func (p *gnetPoller) end() error {
	p.queued.Store(false)
	if !p.turn {
		p.l.beginTurn()
	}
	p.turn = false
	if !p.l.endTurn() {
		return gerrors.ErrEngineShutdown
	}
	if p.l.busy() || !p.l.in.sleep() {
		p.wake()
		return nil
	}
	if d, ok := p.l.untilTimer(); ok {
		if d == 0 {
			p.wake()
		} else {
			p.clock.set(max(d, int64(time.Millisecond)), true)
		}
	}
	return nil
}
