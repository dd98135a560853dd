package netio

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/engine"
)

const (
	acceptMinDelay = 10 * time.Millisecond
	acceptMaxDelay = time.Second
	acceptLogEvery = time.Second
)

// ListenSpec describes a listener.
type ListenSpec struct {
	Name string // for logs: "client", "websocket"
	Addr string // host:port
	Rate int    // connections per second of one address, and ten seconds' worth at once; 0 = no limit
}

// Listener accepts connections on its own goroutine; descriptor exhaustion makes it back off
// (10 ms to 1 s) and never ends it.
type Listener struct {
	g       *Group
	spec    ListenSpec
	accept  AcceptFunc
	addr    net.Addr
	file    *os.File // the listening socket
	raw     syscall.RawConn
	rate    *acceptRate // nil = no limit
	refusal time.Time   // when the last refusal was logged
	mem     *memListener
	once    sync.Once
	start   sync.Once
	closed  chan struct{}
	done    chan struct{} // accept goroutine ended; closed at once if never started
}

// Listen binds addr and returns a listener that does not accept before Start; connections made before
// wait in the kernel's backlog. accept runs on the loop that gets the connection.
func (g *Group) Listen(spec ListenSpec, accept AcceptFunc) (*Listener, error) {
	l := &Listener{g: g, spec: spec, accept: accept, closed: make(chan struct{}), done: make(chan struct{})}
	if g.mem != nil {
		m, err := g.mem.listen(spec.Addr, l)
		if err != nil {
			return nil, err
		}
		l.mem = m
		close(l.done)
	} else {
		if err := l.bind(); err != nil {
			return nil, err
		}
		if spec.Rate > 0 {
			l.rate = newAcceptRate(spec.Rate)
		}
	}
	g.mu.Lock()
	stopping := g.stopping
	g.listeners[l] = struct{}{}
	g.mu.Unlock()
	if stopping {
		_ = l.Close()
		return nil, errStopped
	}
	return l, nil
}

// bind opens the socket. package net does it, as it knows host names, dual stack and backlog, but the
// loop of accepts needs the descriptor itself, which net does not lend: a duplicate in a plain file.
func (l *Listener) bind() error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets cost more per call, and nothing here uses several paths
	ln, err := lc.Listen(context.Background(), "tcp", l.spec.Addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	fd, err := dupRaw(raw)
	if err != nil {
		return err
	}
	l.addr = ln.Addr()
	l.file = os.NewFile(uintptr(fd), "listener")
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
	}
	return err
}

// dupRaw duplicates a descriptor that the Go runtime's poller knows: closing the original afterwards
// leaves one that it does not know.
func dupRaw(raw syscall.RawConn) (fd int, err error) {
	var dupErr error
	err = raw.Control(func(s uintptr) { fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return -1, os.NewSyscallError("dup", err)
	}
	return fd, nil
}

// Start begins accepting. Any goroutine; further calls have no effect.
func (l *Listener) Start() {
	l.start.Do(func() {
		if l.mem != nil {
			l.mem.begin()
			return
		}
		go l.run()
	})
}

// Addr returns the bound address. Any goroutine.
func (l *Listener) Addr() net.Addr {
	if l.mem != nil {
		return l.mem.addr
	}
	return l.addr
}

// Close stops accepting; accepted connections stay. Any goroutine.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		if l.mem != nil {
			l.mem.end()
		} else {
			err = l.file.Close()
		}
		l.start.Do(func() { // never started
			if l.mem == nil {
				close(l.done)
			}
		})
		l.g.mu.Lock()
		delete(l.g.listeners, l)
		l.g.mu.Unlock()
	})
	return err
}

func (l *Listener) wait() { <-l.done }

// run accepts until Close. The descriptor of a connection is taken with the system call itself, so that
// it never enters the Go runtime's poller.
func (l *Listener) run() {
	defer close(l.done)
	var (
		delay  time.Duration
		logged time.Time
	)
	for {
		var fail error
		err := l.raw.Read(func(fd uintptr) bool {
			for {
				nfd, sa, err := acceptFD(int(fd))
				switch {
				case err == nil:
					delay = 0
					l.take(nfd, sa)
				case err == unix.EAGAIN:
					return false // wait for the next connection
				case err == unix.EINTR || err == unix.ECONNABORTED:
				default:
					fail = err
					return true
				}
			}
		})
		select {
		case <-l.closed:
			return
		default:
		}
		if err != nil {
			fail = err
			if errors.Is(err, os.ErrClosed) {
				return
			}
		}
		delay = min(max(2*delay, acceptMinDelay), acceptMaxDelay)
		if now := time.Now(); now.Sub(logged) >= acceptLogEvery {
			logged = now
			why := "will try again"
			if isExhausted(fail) {
				why = "out of descriptors or memory, will try again"
			}
			l.g.logf(engine.Error, "RJ-N004", "%s listener: accept: %v (%s)", l.spec.Name, fail, why)
		}
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-l.closed:
			t.Stop()
			return
		}
	}
}

// take hands an accepted descriptor to a loop, unless its address connects too often.
func (l *Listener) take(fd int, sa unix.Sockaddr) {
	if l.rate != nil && !l.admit(addrPort(sa).Addr()) {
		_ = unix.Close(fd)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	var local netip.AddrPort
	if lsa, err := unix.Getsockname(fd); err == nil {
		local = addrPort(lsa)
	}
	l.g.adopt(fd, addrPort(sa), local, false, l.accept)
}

// admit applies the rate, and logs now and then what it refused.
func (l *Listener) admit(a netip.Addr) bool {
	now := time.Now()
	if l.rate.allow(a, int64(now.Sub(l.g.base))) {
		return true
	}
	if now.Sub(l.refusal) >= acceptLogEvery {
		l.refusal = now
		l.g.logf(engine.Warn, "RJ-N005", "%s listener: refused %d connections over the rate of %d a second, the last from %v",
			l.spec.Name, l.rate.refused, l.spec.Rate, l.rate.last)
		l.rate.refused = 0
	}
	return false
}

// adopt places a non-blocking descriptor on a loop; it is closed if the loop has stopped.
func (g *Group) adopt(fd int, remote, local netip.AddrPort, inproc bool, accept AcceptFunc) bool {
	loop := g.pick()
	c := newConn(loop, fd, remote, local)
	c.inproc = inproc
	if !loop.post(task{fn: func() { loop.enroll(c, accept) }}, false) {
		loop.placed.Add(-1)
		c.sockClose()
		return false
	}
	return true
}

// addrPort converts a socket address; the zero value for anything but IP.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 && ip.Is6() {
			if ifi, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				ip = ip.WithZone(ifi.Name)
			}
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}
