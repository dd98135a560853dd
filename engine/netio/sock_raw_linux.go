//go:build !race

package netio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// readFD reads once from a non-blocking socket. What it brings is bounded by the read buffer, so it is always raw.
func readFD(fd int, b []byte) (int, error) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// writeFD writes once to a non-blocking socket.
func writeFD(fd int, b []byte) (int, error) {
	if len(b) > rawMax {
		return unix.Write(fd, b)
	}
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
