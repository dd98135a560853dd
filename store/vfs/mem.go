package vfs

import (
	"io"
	"io/fs"
	"maps"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memBlock is the unit in which unsynced data of a Mem survives a crash or not.
const memBlock = 4096

// Mem is a file system in memory that knows what would survive a power cut: every file remembers the
// durable content of blocks written since its last sync, every directory the entries changed since its
// last sync. See CrashClone. One leaf lock; any goroutine.
type Mem struct {
	mu    sync.Mutex
	root  *memNode
	limit int64 // bytes; 0 = none
	used  int64
	locks map[string]bool
	rule  NameRule
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{root: newMemDir(), locks: map[string]bool{}}
}

// SetLimit bounds the bytes of all files; writes beyond it fail with ENOSPC. 0 = no bound.
func (m *Mem) SetLimit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
}

// memNode is a file or a directory.
type memNode struct {
	dir     map[string]*memNode // nil for files
	pending []memDirOp          // changes of dir since SyncDir
	durable map[string]*memNode // dir as of SyncDir, while pending is not empty

	data        []byte
	durableSize int64
	before      map[int64][]byte // block -> durable content, for blocks changed since Sync
}

// memDirOp is one change of a directory that a crash may or may not lose.
type memDirOp struct {
	remove, add string // names; a rename within a directory has both
	node        *memNode
}

// change records a change about to be made to the directory.
func (n *memNode) change(op memDirOp) {
	if len(n.pending) == 0 {
		n.durable = maps.Clone(n.dir)
	}
	n.pending = append(n.pending, op)
}

func newMemDir() *memNode { return &memNode{dir: map[string]*memNode{}} }

func split(p string) []string {
	p = strings.Trim(path.Clean("/"+p), "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

func pathErr(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

// lookup returns the node at p. Requires: m.mu.
func (m *Mem) lookup(p string) (*memNode, error) {
	n := m.root
	for _, name := range split(p) {
		if n.dir == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.dir[name]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent returns the directory that holds p and the base name. Requires: m.mu.
func (m *Mem) parent(p string) (*memNode, string, error) {
	parts := split(p)
	if len(parts) == 0 {
		return nil, "", fs.ErrInvalid
	}
	d, err := m.lookup(strings.Join(parts[:len(parts)-1], "/"))
	if err == nil && d.dir == nil {
		err = syscall.ENOTDIR
	}
	return d, parts[len(parts)-1], err
}

func (m *Mem) openNode(op, p string, create bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.parent(p)
	if err != nil {
		return nil, pathErr(op, p, err)
	}
	n := d.dir[name]
	switch {
	case n == nil && !create:
		return nil, pathErr(op, p, fs.ErrNotExist)
	case n == nil:
		n = &memNode{}
		d.change(memDirOp{add: name, node: n})
		d.dir[name] = n
	case n.dir != nil:
		return nil, pathErr(op, p, syscall.EISDIR)
	case create:
		m.resize(n, 0)
	}
	return &memFile{fs: m, node: n, path: p}, nil
}

// Create, Open, OpenRW implement FS.
func (m *Mem) Create(p string) (File, error) { return m.openNode("create", p, true) }
func (m *Mem) Open(p string) (File, error)   { return m.openNode("open", p, false) }
func (m *Mem) OpenRW(p string) (File, error) { return m.openNode("open", p, false) }

// Remove implements FS; directories must be empty.
func (m *Mem) Remove(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.parent(p)
	if err != nil {
		return pathErr("remove", p, err)
	}
	n := d.dir[name]
	if n == nil {
		return pathErr("remove", p, fs.ErrNotExist)
	}
	if len(n.dir) > 0 {
		return pathErr("remove", p, syscall.ENOTEMPTY)
	}
	m.unlink(d, name)
	return nil
}

// unlink removes name from d. Requires: m.mu.
func (m *Mem) unlink(d *memNode, name string) {
	m.used -= treeSize(d.dir[name])
	d.change(memDirOp{remove: name})
	delete(d.dir, name)
}

func treeSize(n *memNode) int64 {
	size := int64(len(n.data))
	for _, c := range n.dir {
		size += treeSize(c)
	}
	return size
}

// RemoveAll implements FS.
func (m *Mem) RemoveAll(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.parent(p)
	if err == nil && d.dir[name] != nil {
		m.unlink(d, name)
	}
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fd, fname, err := m.parent(from)
	if err != nil {
		return pathErr("rename", from, err)
	}
	td, tname, err := m.parent(to)
	if err != nil {
		return pathErr("rename", to, err)
	}
	n := fd.dir[fname]
	if n == nil {
		return pathErr("rename", from, fs.ErrNotExist)
	}
	if old := td.dir[tname]; old != nil && old != n {
		if old.dir != nil {
			return pathErr("rename", to, fs.ErrExist)
		}
		m.used -= treeSize(old)
	}
	if fd == td {
		fd.change(memDirOp{remove: fname, add: tname, node: n})
	} else {
		td.change(memDirOp{add: tname, node: n})
		fd.change(memDirOp{remove: fname})
	}
	delete(fd.dir, fname)
	td.dir[tname] = n
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathErr("list", dir, err)
	}
	names := make([]string, 0, len(n.dir))
	for name := range n.dir {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, nil
}

type memInfo struct {
	name string
	size int64
	dir  bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | dirMode
	}
	return fileMode
}

// Stat implements FS.
func (m *Mem) Stat(p string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(p)
	if err != nil {
		return nil, pathErr("stat", p, err)
	}
	return memInfo{name: path.Base(p), size: int64(len(n.data)), dir: n.dir != nil}, nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, name := range split(p) {
		c := n.dir[name]
		if c == nil {
			c = newMemDir()
			n.change(memDirOp{add: name, node: c})
			n.dir[name] = c
		}
		if c.dir == nil {
			return pathErr("mkdir", p, syscall.ENOTDIR)
		}
		n = c
	}
	return nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(dir)
	if err == nil && n.dir == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathErr("sync", dir, err)
	}
	n.pending, n.durable = nil, nil
	m.syncNames()
	return nil
}

// syncNames applies the name rule after any sync. Requires: m.mu.
func (m *Mem) syncNames() {
	if m.rule != NamesOrdered {
		return
	}
	var walk func(*memNode)
	walk = func(n *memNode) {
		n.pending, n.durable = nil, nil
		for _, c := range n.dir {
			walk(c)
		}
	}
	walk(m.root)
}

// Lock implements FS.
func (m *Mem) Lock(p string) (func() error, error) {
	f, err := m.openNode("lock", p, true)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[p] {
		return nil, pathErr("lock", p, syscall.EWOULDBLOCK)
	}
	m.locks[p] = true
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, p)
		return nil
	}, nil
}

// Space implements FS; without a limit it reports 1 TiB.
func (m *Mem) Space(string) (free, total uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := m.limit
	if limit == 0 {
		limit = 1 << 40
	}
	return uint64(max(0, limit-m.used)), uint64(limit), nil
}

// touch remembers the durable content of the blocks in [from, to) before they change. Requires: m.mu.
func (n *memNode) touch(from, to int64) {
	for b := from / memBlock; b*memBlock < to; b++ {
		if _, ok := n.before[b]; ok {
			continue
		}
		if n.before == nil {
			n.before = map[int64][]byte{}
		}
		var old []byte
		if start := b * memBlock; start < n.durableSize && start < int64(len(n.data)) {
			old = append(old, n.data[start:min(start+memBlock, int64(len(n.data)))]...)
		}
		n.before[b] = old
	}
}

// resize changes the length of a file. Requires: m.mu.
func (m *Mem) resize(n *memNode, size int64) {
	old := int64(len(n.data))
	n.touch(min(old, size), max(old, size))
	m.used += size - old
	if size <= old {
		n.data = n.data[:size]
		return
	}
	if size <= int64(cap(n.data)) {
		n.data = n.data[:size]
		clear(n.data[old:])
		return
	}
	grown := make([]byte, size, size+size/4)
	copy(grown, n.data)
	n.data = grown
}

type memFile struct {
	fs     *Mem
	node   *memNode
	path   string
	closed bool // Owner: fs.mu
}

// do runs fn under the lock if the file is open.
func (f *memFile) do(op string, fn func(n *memNode) error) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathErr(op, f.path, ErrClosed)
	}
	if err := fn(f.node); err != nil {
		return pathErr(op, f.path, err)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathErr("read", f.path, ErrClosed)
	}
	if off < int64(len(f.node.data)) {
		n = copy(p, f.node.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.do("write", func(node *memNode) error {
		end := off + int64(len(p))
		if grow := end - int64(len(node.data)); grow > 0 {
			if f.fs.limit > 0 && f.fs.used+grow > f.fs.limit {
				return syscall.ENOSPC
			}
			f.fs.resize(node, end)
		}
		node.touch(off, end)
		n = copy(node.data[off:], p)
		return nil
	})
	return n, err
}

func (f *memFile) WriteV(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		total += n
		off += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (f *memFile) sync() error {
	return f.do("sync", func(n *memNode) error {
		n.before = nil
		n.durableSize = int64(len(n.data))
		f.fs.syncNames()
		return nil
	})
}

func (f *memFile) Sync() error     { return f.sync() }
func (f *memFile) SyncData() error { return f.sync() }

func (f *memFile) Truncate(size int64) error {
	return f.do("truncate", func(n *memNode) error {
		if grow := size - int64(len(n.data)); grow > 0 && f.fs.limit > 0 && f.fs.used+grow > f.fs.limit {
			return syscall.ENOSPC
		}
		f.fs.resize(n, size)
		return nil
	})
}

func (f *memFile) Preallocate(size int64, zero bool) error {
	n, err := f.Size()
	if err != nil || n >= size {
		return err
	}
	return f.Truncate(size)
}

func (f *memFile) Size() (size int64, err error) {
	err = f.do("stat", func(n *memNode) error {
		size = int64(len(n.data))
		return nil
	})
	return size, err
}

// Map returns a copy: a Mem has no pages.
func (f *memFile) Map(size int64) (Mapping, error) {
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return &memMapping{b: b[:n]}, nil
}

func (f *memFile) Close() error {
	return f.do("close", func(*memNode) error {
		f.closed = true
		return nil
	})
}

type memMapping struct{ b []byte }

func (m *memMapping) Bytes() []byte               { return m.b }
func (m *memMapping) Populate(off, n int64) error { return nil }
func (m *memMapping) Unmap() error                { m.b = nil; return nil }
