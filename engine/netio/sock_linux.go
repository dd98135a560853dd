package netio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func readFD(fd int, b []byte) (int, error)  { return unix.Read(fd, b) }
func writeFD(fd int, b []byte) (int, error) { return unix.Write(fd, b) }

// writevFD keeps the vector on the stack, where unix.Writev would allocate it.
func writevFD(fd int, l *segList) (int, error) {
	var iov [maxIov]unix.Iovec
	k := 0
	for s := l.head; s != nil && k < maxIov; s = s.next {
		iov[k].Base = unsafe.SliceData(s.b)
		iov[k].SetLen(len(s.b))
		k++
	}
	n, _, e := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(k))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// acceptFD takes one connection from a listening socket.
func acceptFD(fd int) (int, unix.Sockaddr, error) {
	return unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
}

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}
