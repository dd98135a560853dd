package vfs

import (
	"errors"
	"io/fs"
	"path"
	"syscall"
)

// FS is a file system. Paths use slashes; any goroutine may call. Errors satisfy errors.Is with fs.ErrNotExist,
// fs.ErrExist and syscall.ENOSPC where these apply.
type FS interface {
	// Create makes an empty file (truncating an old one). Its name is durable after SyncDir.
	Create(path string) (File, error)
	// Open opens for reading, OpenRW for reading and writing.
	Open(path string) (File, error)
	OpenRW(path string) (File, error)
	Remove(path string) error
	RemoveAll(path string) error
	Rename(from, to string) error
	// List returns the base names in dir, sorted.
	List(dir string) ([]string, error)
	Stat(path string) (fs.FileInfo, error)
	MkdirAll(path string) error
	// SyncDir makes the names in dir durable. It takes a descriptor: see NoDescriptor.
	SyncDir(dir string) error
	// Lock takes an exclusive lock between processes on path, creating the file.
	Lock(path string) (unlock func() error, err error)
	// Space returns free (for this user) and total bytes of the volume that holds path.
	Space(path string) (free, total uint64, err error)
}

// File is an open file.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// WriteV writes bufs one after the other at off, with as few system calls as possible. The buffers are not
	// kept; the slice of buffers may be changed.
	WriteV(bufs [][]byte, off int64) (int, error)
	Sync() error
	SyncData() error
	Truncate(size int64) error
	// Preallocate reserves blocks up to size; with zero it writes zeros, so that later overwrites change no
	// metadata and their SyncData costs half (performance.md, section 3).
	Preallocate(size int64, zero bool) error
	Size() (int64, error)
	// Map maps the first size bytes read only. The file must not shrink while mapped.
	Map(size int64) (Mapping, error)
	Close() error
}

// Mapping is a read-only view of a file that no longer changes.
type Mapping interface {
	Bytes() []byte
	// Populate brings [off, off+n) into memory and reports an I/O error as an error, where touching the page
	// would raise a signal. Called by reader workers, never by a shard.
	Populate(off, n int64) error
	Unmap() error
}

// ErrClosed is returned by operations on a closed file.
var ErrClosed = errors.New("vfs: file is closed")

// WriteAtomic replaces path with data: whoever opens path later, also after a power cut, sees the old or
// the new content, never a mixture. The directory must exist.
func WriteAtomic(fsys FS, name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		// Best effort: a leftover is overwritten by the next attempt and ignored by readers.
		_ = fsys.Remove(tmp)
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// ReadFile returns the content of a file, refusing more than limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file is larger than expected")}
	}
	b := make([]byte, size)
	n, err := readFull(f, b, 0)
	return b[:n], err
}

// readFull reads len(p) bytes at off unless the file ends.
func readFull(f File, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		k, err := f.ReadAt(p[n:], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
		if k == 0 {
			break
		}
	}
	return n, nil
}

// SizeBelow returns the bytes of all files below dir; what cannot be read counts nothing.
func SizeBelow(fsys FS, dir string) (n int64) {
	names, err := fsys.List(dir)
	if err != nil {
		return 0
	}
	for _, name := range names {
		i, err := fsys.Stat(dir + "/" + name)
		switch {
		case err != nil:
		case i.IsDir():
			n += SizeBelow(fsys, dir+"/"+name)
		default:
			n += i.Size()
		}
	}
	return n
}

// NoDescriptor reports that err is the lack of a free file descriptor: the call did nothing to the file system, so that a sync
// that ended with it may be asked for again, unlike one that was tried and failed.
func NoDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
