package vfs

import "io/fs"

// CONTRACT: signatures other packages compile against; the owner gives each its own file.

// FS is the only way anything in the tree touches files. Paths are slash-separated and clean. Any
// goroutine. Implementations: OS, Mem (crashable), and the wrappers Error, Slow, Trace.
type FS interface {
	Create(path string) (File, error) // truncates; the name is durable after SyncDir
	Open(path string) (File, error)   // read only
	OpenRW(path string) (File, error)
	Remove(path string) error
	RemoveAll(path string) error
	Rename(from, to string) error
	List(dir string) ([]string, error) // base names, sorted
	Stat(path string) (fs.FileInfo, error)
	MkdirAll(path string) error
	SyncDir(dir string) error
	Lock(path string) (unlock func() error, err error) // exclusive, across processes
	Space(path string) (free, total uint64, err error)
}

// File is an open file. One writer; reads may be concurrent.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// WriteV writes the buffers one after the other at off with as few system calls as possible.
	WriteV(bufs [][]byte, off int64) (int, error)
	Sync() error     // data and metadata
	SyncData() error // fdatasync
	Truncate(size int64) error
	// Preallocate reserves blocks up to size (ENOSPC now rather than later); zero true also writes zeros,
	// so that later overwrites change no metadata.
	Preallocate(size int64, zero bool) error
	Size() (int64, error)
	// Map maps size bytes read only; Populate of the mapping reports I/O errors as errors. ErrNoMap where
	// the implementation has no mappings (Mem returns a plain copy).
	Map(size int64) (Mapping, error)
	Close() error
}

// Mapping is a read-only mapping of a sealed file.
type Mapping interface {
	Bytes() []byte
	Populate(off, n int64) error // MADV_POPULATE_READ or a read of every page through ReadAt
	Unmap() error
}
