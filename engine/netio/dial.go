package netio

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const defaultDialTimeout = 2 * time.Second

// DialSpec describes an outbound connection.
type DialSpec struct {
	Addr    string        // host:port
	Timeout time.Duration // 0 = 2 s
}

// Dial connects from the blocking pool; accept runs on the chosen loop, fail on the pool (on a
// goroutine of its own if the pool is full). Exactly one of them is called, unless the
// group stops between connecting and accept. Any goroutine.
func (g *Group) Dial(spec DialSpec, accept AcceptFunc, fail func(error)) {
	if spec.Timeout <= 0 {
		spec.Timeout = defaultDialTimeout
	}
	ok := g.pool.Submit(func() {
		if err := g.dial(spec, accept); err != nil {
			fail(err)
		}
	})
	if !ok {
		go fail(fmt.Errorf("netio: dial %s: the blocking pool is full or stopped", spec.Addr))
	}
}

func (g *Group) dial(spec DialSpec, accept AcceptFunc) error {
	if g.mem != nil {
		return g.mem.dialGroup(g, spec.Addr, accept)
	}
	ctx, cancel := context.WithTimeout(g.ctx, spec.Timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", spec.Addr)
	if err != nil {
		return err
	}
	tc := nc.(*net.TCPConn)
	defer tc.Close() // the duplicate lives on, outside the Go runtime's poller
	raw, err := tc.SyscallConn()
	if err != nil {
		return err
	}
	fd, err := dupRaw(raw)
	if err != nil {
		return err
	}
	remote := tc.RemoteAddr().(*net.TCPAddr).AddrPort()
	local := tc.LocalAddr().(*net.TCPAddr).AddrPort()
	if !g.adopt(fd, remote, local, false, accept) {
		return errStopped
	}
	return nil
}

// Pipe returns the client end of an in-process connection whose server end is enrolled. Any goroutine.
func (g *Group) Pipe(accept AcceptFunc) (net.Conn, error) {
	if g.mem != nil {
		return g.mem.pipe(g, accept)
	}
	fds, err := socketpair()
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[1]), "pipe")
	nc, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, err
	}
	if !g.adopt(fds[0], addrPort(nil), addrPort(nil), true, accept) {
		_ = nc.Close()
		return nil, errStopped
	}
	return nc, nil
}
