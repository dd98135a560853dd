//go:build linux

package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// maxIovecs is the kernel's limit of buffers in one writev.
const maxIovecs = 1024

func (o *osFile) SyncData() error {
	return o.control("fdatasync", unix.Fdatasync)
}

func (o *osFile) WriteV(bufs [][]byte, off int64) (int, error) {
	total := 0
	for len(bufs) > 0 {
		batch := bufs[:min(len(bufs), maxIovecs)]
		var n int
		err := o.control("pwritev", func(fd int) (err error) {
			n, err = unix.Pwritev(fd, batch, off)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		off += int64(n)
		bufs = advance(bufs, n)
	}
	return total, nil
}

// advance drops the first n bytes of bufs.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// allocate reserves blocks, extending the file. A file system without fallocate is fine: the caller's writes
// allocate, and report a full disk themselves.
func allocate(fd int, size int64) error {
	err := unix.Fallocate(fd, 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return unix.Ftruncate(fd, size)
	}
	return err
}

// populate faults the pages in; errors.ErrUnsupported where the kernel is older than 5.14.
func populate(b []byte) error {
	err := unix.Madvise(b, unix.MADV_POPULATE_READ)
	if errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
