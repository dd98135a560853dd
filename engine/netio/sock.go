package netio

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// isTemporary reports that a non-blocking call had nothing to do, or was interrupted.
func isTemporary(err error) bool {
	return err == unix.EAGAIN || err == unix.EINTR
}

// sockRead reads once: (0, nil) is the end of the stream.
func (c *Conn) sockRead(b []byte) (int, error) {
	if c.mem != nil {
		return c.mem.read(b)
	}
	n, err := readFD(int(c.fd), b)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// sockWrite writes once; it may write less than b.
func (c *Conn) sockWrite(b []byte) (int, error) {
	if c.mem != nil {
		return c.mem.write(b)
	}
	for {
		n, err := writeFD(int(c.fd), b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		return n, nil
	}
}

// sockWritev writes the head of l, at most maxIov pieces, in one call.
func (c *Conn) sockWritev(l *segList) (int, error) {
	if c.mem != nil {
		return c.mem.writeList(l)
	}
	if l.head.next == nil {
		return c.sockWrite(l.head.b)
	}
	for {
		n, err := writevFD(int(c.fd), l)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		return n, nil
	}
}

// sockShutdown ends our direction of the stream.
func (c *Conn) sockShutdown() error {
	if c.mem != nil {
		return c.mem.shutdown()
	}
	return unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

// sockClose closes the descriptor. Called once, by whoever is last.
func (c *Conn) sockClose() {
	if c.mem != nil {
		c.mem.close()
		return
	}
	_ = unix.Close(int(c.fd))
}

// isExhausted reports an error of accept or socket that other connections' ends will cure.
func isExhausted(err error) bool {
	for _, e := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
