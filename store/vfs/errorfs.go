package vfs

import (
	"io/fs"
	"strings"
	"sync"
)

// Op is a kind of file system call, for injection and traces.
type Op string

// The calls.
const (
	OpCreate   Op = "create"
	OpOpen     Op = "open"
	OpRemove   Op = "remove"
	OpRename   Op = "rename"
	OpList     Op = "list"
	OpStat     Op = "stat"
	OpMkdir    Op = "mkdir"
	OpSyncDir  Op = "syncdir"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpAllocate Op = "allocate"
	OpMap      Op = "map"
	OpClose    Op = "close"
)

// Call describes one call before it is made.
type Call struct {
	Op   Op
	Path string
	Off  int64
	Len  int64
	To   string // rename
}

// Hook sees each call before it happens. A non-nil error is returned instead of making the call, except
// that a write writes its first Short bytes when short >= 0 (a short write). Any goroutine.
type Hook func(c *Call) (short int64, err error)

// Intercept wraps fsys so that hook sees every call: the base of error injection, slow disks and traces.
func Intercept(fsys FS, hook Hook) FS { return &hookFS{FS: fsys, hook: hook} }

type hookFS struct {
	FS
	hook Hook
}

func (h *hookFS) check(c Call) error {
	_, err := h.hook(&c)
	if err != nil {
		return &fs.PathError{Op: string(c.Op), Path: c.Path, Err: err}
	}
	return nil
}

func (h *hookFS) open(op Op, p string, fn func(string) (File, error)) (File, error) {
	if err := h.check(Call{Op: op, Path: p}); err != nil {
		return nil, err
	}
	f, err := fn(p)
	if err != nil {
		return nil, err
	}
	return &hookFile{File: f, fs: h, path: p}, nil
}

func (h *hookFS) Create(p string) (File, error) { return h.open(OpCreate, p, h.FS.Create) }
func (h *hookFS) Open(p string) (File, error)   { return h.open(OpOpen, p, h.FS.Open) }
func (h *hookFS) OpenRW(p string) (File, error) { return h.open(OpOpen, p, h.FS.OpenRW) }

func (h *hookFS) Remove(p string) error {
	if err := h.check(Call{Op: OpRemove, Path: p}); err != nil {
		return err
	}
	return h.FS.Remove(p)
}

func (h *hookFS) RemoveAll(p string) error {
	if err := h.check(Call{Op: OpRemove, Path: p}); err != nil {
		return err
	}
	return h.FS.RemoveAll(p)
}

func (h *hookFS) Rename(from, to string) error {
	if err := h.check(Call{Op: OpRename, Path: from, To: to}); err != nil {
		return err
	}
	return h.FS.Rename(from, to)
}

func (h *hookFS) List(dir string) ([]string, error) {
	if err := h.check(Call{Op: OpList, Path: dir}); err != nil {
		return nil, err
	}
	return h.FS.List(dir)
}

func (h *hookFS) Stat(p string) (fs.FileInfo, error) {
	if err := h.check(Call{Op: OpStat, Path: p}); err != nil {
		return nil, err
	}
	return h.FS.Stat(p)
}

func (h *hookFS) MkdirAll(p string) error {
	if err := h.check(Call{Op: OpMkdir, Path: p}); err != nil {
		return err
	}
	return h.FS.MkdirAll(p)
}

func (h *hookFS) SyncDir(dir string) error {
	if err := h.check(Call{Op: OpSyncDir, Path: dir}); err != nil {
		return err
	}
	return h.FS.SyncDir(dir)
}

type hookFile struct {
	File
	fs   *hookFS
	path string
}

func (f *hookFile) check(op Op, off, n int64) error {
	return f.fs.check(Call{Op: op, Path: f.path, Off: off, Len: n})
}

func (f *hookFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check(OpRead, off, int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *hookFile) WriteAt(p []byte, off int64) (int, error) {
	return f.WriteV([][]byte{p}, off)
}

func (f *hookFile) WriteV(bufs [][]byte, off int64) (int, error) {
	var size int64
	for _, b := range bufs {
		size += int64(len(b))
	}
	c := Call{Op: OpWrite, Path: f.path, Off: off, Len: size}
	short, err := f.fs.hook(&c)
	if err == nil {
		return f.File.WriteV(bufs, off)
	}
	n := 0
	for _, b := range bufs {
		if short <= 0 {
			break
		}
		part := b[:min(int64(len(b)), short)]
		k, werr := f.File.WriteAt(part, off+int64(n))
		n += k
		short -= int64(k)
		if werr != nil {
			return n, werr
		}
	}
	return n, &fs.PathError{Op: string(OpWrite), Path: f.path, Err: err}
}

func (f *hookFile) Sync() error {
	if err := f.check(OpSync, 0, 0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *hookFile) SyncData() error {
	if err := f.check(OpSync, 0, 0); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *hookFile) Truncate(size int64) error {
	if err := f.check(OpTruncate, size, 0); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *hookFile) Preallocate(size int64, zero bool) error {
	if err := f.check(OpAllocate, size, 0); err != nil {
		return err
	}
	return f.File.Preallocate(size, zero)
}

func (f *hookFile) Map(size int64) (Mapping, error) {
	if err := f.check(OpMap, 0, size); err != nil {
		return nil, err
	}
	return f.File.Map(size)
}

func (f *hookFile) Close() error {
	if err := f.check(OpClose, 0, 0); err != nil {
		return err
	}
	return f.File.Close()
}

// Fault makes some calls fail. Safe for any goroutine.
type Fault struct {
	mu    sync.Mutex
	rules []*FaultRule
}

// FaultRule is one rule of a Fault: calls of Op ("" = any) on paths that contain Path fail with Err, after
// Skip of them passed and at most Times times (0 = for ever). A write writes Short bytes first.
type FaultRule struct {
	Op    Op
	Path  string
	Err   error
	Skip  int
	Times int
	Short int64

	hits int // Owner: Fault.mu
}

// Add installs rules.
func (f *Fault) Add(rules ...FaultRule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		f.rules = append(f.rules, &r)
	}
}

// Clear removes all rules.
func (f *Fault) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Hits returns how often a call failed.
func (f *Fault) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.rules {
		n += max(0, r.hits-r.Skip)
	}
	return n
}

// Hook is the hook to Intercept with.
func (f *Fault) Hook(c *Call) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if (r.Op != "" && r.Op != c.Op) || !strings.Contains(c.Path, r.Path) || (r.Times > 0 && r.hits >= r.Skip+r.Times) {
			continue
		}
		if r.hits++; r.hits > r.Skip {
			return r.Short, r.Err
		}
	}
	return 0, nil
}
