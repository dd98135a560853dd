//go:build !linux

package netio

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func readFD(fd int, b []byte) (int, error)  { return unix.Read(fd, b) }
func writeFD(fd int, b []byte) (int, error) { return unix.Write(fd, b) }

// writevFD writes piece by piece: not every system here offers a portable writev.
func writevFD(fd int, l *segList) (int, error) {
	total := 0
	for s := l.head; s != nil; s = s.next {
		n, err := unix.Write(fd, s.b)
		if err != nil {
			if total > 0 {
				return total, nil
			}
			return 0, err
		}
		total += n
		if n < len(s.b) {
			break
		}
	}
	return total, nil
}

// acceptFD takes one connection from a listening socket.
func acceptFD(fd int) (int, unix.Sockaddr, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	nfd, sa, err := unix.Accept(fd)
	if err != nil {
		return -1, nil, err
	}
	unix.CloseOnExec(nfd)
	if err := unix.SetNonblock(nfd, true); err != nil {
		_ = unix.Close(nfd)
		return -1, nil, err
	}
	return nfd, sa, nil
}

func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return fds, err
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return fds, nil
}
