//go:build unix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sort"

	"golang.org/x/sys/unix"
)

// fileMode and dirMode are the permissions of data files (reference/config.md, section 9).
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) open(path string, flag int) (File, error) {
	f, err := openFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &osFile{f: f}, nil
}

// openFile is os.OpenFile without the attempt to make the poller wait for the file, which it can not do for files and directories: four system calls of six.
func openFile(path string, flag int) (*os.File, error) {
	for {
		fd, err := unix.Open(path, flag|unix.O_CLOEXEC, fileMode)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (o osFS) Create(path string) (File, error) {
	return o.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}
func (o osFS) Open(path string) (File, error)   { return o.open(path, os.O_RDONLY) }
func (o osFS) OpenRW(path string) (File, error) { return o.open(path, os.O_RDWR) }

func (osFS) Remove(path string) error              { return os.Remove(path) }
func (osFS) RemoveAll(path string) error           { return os.RemoveAll(path) }
func (osFS) Rename(from, to string) error          { return os.Rename(from, to) }
func (osFS) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }
func (osFS) MkdirAll(path string) error            { return os.MkdirAll(path, dirMode) }

func (osFS) List(dir string) ([]string, error) {
	d, err := openFile(dir, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

func (osFS) SyncDir(dir string) error {
	d, err := openFile(dir, os.O_RDONLY)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func (osFS) Lock(path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return f.Close, nil // closing the descriptor releases the lock
}

func (osFS) Space(path string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	bs := uint64(st.Bsize)
	return uint64(st.Bavail) * bs, uint64(st.Blocks) * bs, nil
}

type osFile struct{ f *os.File }

func (o *osFile) ReadAt(p []byte, off int64) (int, error)  { return o.f.ReadAt(p, off) }
func (o *osFile) WriteAt(p []byte, off int64) (int, error) { return o.f.WriteAt(p, off) }
func (o *osFile) Sync() error                              { return o.f.Sync() }
func (o *osFile) Truncate(size int64) error                { return o.f.Truncate(size) }
func (o *osFile) Close() error                             { return o.f.Close() }

func (o *osFile) Size() (int64, error) {
	st, err := o.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (o *osFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: o.f.Name(), Err: err}
}

// control runs fn with the descriptor, retrying interrupted calls.
func (o *osFile) control(op string, fn func(fd int) error) error {
	raw, err := o.f.SyscallConn()
	if err != nil {
		return o.wrap(op, err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) {
		for {
			if inner = fn(int(fd)); !errors.Is(inner, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return o.wrap(op, err)
	}
	return o.wrap(op, inner)
}

// zeros is what Preallocate writes; never written to.
var zeros [1 << 20]byte

func (o *osFile) Preallocate(size int64, zero bool) error {
	if err := o.control("fallocate", func(fd int) error { return allocate(fd, size) }); err != nil {
		return err
	}
	if !zero {
		return nil
	}
	for off := int64(0); off < size; {
		n, err := o.f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
		off += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *osFile) Map(size int64) (Mapping, error) {
	m := &osMapping{file: o}
	if size == 0 {
		return m, nil
	}
	err := o.control("mmap", func(fd int) (err error) {
		m.b, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

type osMapping struct {
	file *osFile
	b    []byte
}

func (m *osMapping) Bytes() []byte { return m.b }

func (m *osMapping) Unmap() error {
	if m.b == nil {
		return nil
	}
	b := m.b
	m.b = nil
	return m.file.wrap("munmap", unix.Munmap(b))
}

func (m *osMapping) Populate(off, n int64) error {
	if n <= 0 || len(m.b) == 0 {
		return nil
	}
	page := int64(os.Getpagesize())
	start := off &^ (page - 1)
	end := min(off+n, int64(len(m.b)))
	err := populate(m.b[start:end])
	if !errors.Is(err, errors.ErrUnsupported) {
		return m.file.wrap("populate", err)
	}
	// No MADV_POPULATE_READ: reading through the descriptor fills the page cache and reports errors.
	buf := make([]byte, 64<<10)
	for p := start; p < end; {
		k, err := m.file.f.ReadAt(buf[:min(int64(len(buf)), end-p)], p)
		p += int64(k)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
