//go:build unix && !linux

package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

func (o *osFile) SyncData() error { return o.f.Sync() }

func (o *osFile) WriteV(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := o.f.WriteAt(b, off)
		total += n
		off += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func allocate(fd int, size int64) error { return unix.Ftruncate(fd, size) }

func populate([]byte) error { return errors.ErrUnsupported }
