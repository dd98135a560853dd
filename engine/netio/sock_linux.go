package netio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reads and writes of up to rawMax bytes are made without telling the Go scheduler, as they never block. Otherwise a call
// that takes more than 20 us, which a write to the loopback does when the kernel delivers within it, has its P taken
// away and must get one again, and keeps the scheduler's monitor awake; request and reply cost half as much without.
// A longer copy is announced, so that it holds up neither another goroutine of its P nor a collection.
const rawMax = 64 << 10

// writevFD keeps the vector on the stack, where unix.Writev would allocate it.
func writevFD(fd int, l *segList) (int, error) {
	var iov [maxIov]unix.Iovec
	k, size := 0, 0
	for s := l.head; s != nil && k < maxIov; s = s.next {
		iov[k].Base = unsafe.SliceData(s.b)
		iov[k].SetLen(len(s.b))
		size += len(s.b)
		k++
	}
	var n uintptr
	var e syscall.Errno
	if size <= rawMax {
		n, _, e = unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(k))
	} else {
		n, _, e = unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(k))
	}
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
