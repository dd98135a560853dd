package netio

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDescriptorExhaustion runs its body in a child process with few descriptors: established
// connections go on, new ones wait and are served as soon as descriptors are free.
func TestDescriptorExhaustion(t *testing.T) {
	if backend := os.Getenv("NETIO_EXHAUST"); backend != "" {
		exhaust(t, backend)
		return
	}
	for _, backend := range []string{"epoll", "gnet"} {
		t.Run(backend, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestDescriptorExhaustion$", "-test.v", "-test.timeout", "60s")
			cmd.Env = append(os.Environ(), "NETIO_EXHAUST="+backend)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "recovered") {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// client makes a connected socket without the Go runtime, which would need more descriptors.
func client(t *testing.T, addr string) int {
	ap := net.TCPAddr{}
	if a, err := net.ResolveTCPAddr("tcp", addr); err == nil {
		ap = *a
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: ap.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func roundTrip(t *testing.T, fd int, s string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(s)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(s))
	n, err := unix.Read(fd, buf)
	for err == unix.EINTR { // a receive timeout is not restarted after the runtime's preemption signal
		n, err = unix.Read(fd, buf)
	}
	if err != nil || string(buf[:n]) != s {
		t.Fatalf("echo %q: %q %v", s, buf[:max(n, 0)], err)
	}
}

func exhaust(t *testing.T, backend string) {
	w := newWorld(t, backend, Config{Loops: 2})
	h := newHand()
	h.data = echo
	addr := w.listen(h.accept)
	settled := w.dial(addr)
	ping := func(s string) {
		t.Helper()
		if _, err := settled.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(s))
		if _, err := io.ReadFull(settled, b); err != nil || string(b) != s {
			t.Fatalf("%q %v", b, err)
		}
	}
	ping("before")
	// client sockets first, then lower the limit to what is open and a little more
	var fds []int
	for range 30 {
		fds = append(fds, client(t, addr))
	}
	for _, fd := range fds {
		roundTrip(t, fd, "served")
	}
	extra, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	// extra is the lowest free number: nothing above it may be opened
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(extra) + 1, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	ap, _ := net.ResolveTCPAddr("tcp", addr)
	if err := unix.Connect(extra, &unix.SockaddrInet4{Port: ap.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err) // the kernel's backlog takes it
	}
	_ = unix.SetsockoptTimeval(extra, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	for start := time.Now(); !w.log.has("RJ-N004"); {
		ping("during")
		if time.Since(start) > 10*time.Second {
			t.Fatal("accept did not fail")
		}
	}
	ping("after the failure")
	_ = unix.Close(fds[0]) // the server's end closes too: two descriptors come free
	roundTrip(t, extra, "recovered")
	n := 0
	w.log.mu.Lock()
	for _, l := range w.log.lines {
		if strings.Contains(l, "RJ-N004") {
			n++
		}
	}
	w.log.mu.Unlock()
	if n > 12 {
		t.Errorf("logged %d times", n)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds[1:] {
		roundTrip(t, fd, "still served")
		_ = unix.Close(fd)
	}
	_ = unix.Close(extra)
	fmt.Println("recovered")
}

// TestNoDescriptorLeak: connections of all kinds, closed in all ways, leave no descriptor behind.
func TestNoDescriptorLeak(t *testing.T) {
	count := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(d)
	}
	for _, backend := range []string{"epoll", "gnet"} {
		w0 := newWorld(t, backend, Config{}) // the first one also makes the runtime open its poller
		w0.stop()
		before := count()
		w := newWorld(t, backend, Config{})
		h := newHand()
		addr := w.listen(h.accept)
		for i := range 40 {
			var nc net.Conn
			if i%2 == 0 {
				nc = w.dial(addr)
			} else {
				var err error
				if nc, err = w.g.Pipe(h.accept); err != nil {
					t.Fatal(err)
				}
			}
			c := wait(t, h.conn, "open")
			switch i % 5 {
			case 0:
				_ = nc.Close()
			case 1:
				c.Abort(ReasonKicked)
			case 2:
				w.on(c, func() { c.CloseAfterFlush(ReasonKicked) })
			case 3:
				w.on(c, func() {
					c.Out().Append(c.Loop().Index(), make([]byte, 8<<20))
					c.Out().Flush(c.Loop().Index())
					c.Abort(ReasonKicked)
				})
			case 4: // left to Stop
				defer nc.Close()
				continue
			}
			wait(t, h.closed, "close")
			_ = nc.Close()
		}
		w.stop()
		// 8 client ends stay open until the defers
		if after := count(); after > before+8 {
			t.Errorf("%s: %d descriptors, %d before", backend, after, before)
		}
	}
}
