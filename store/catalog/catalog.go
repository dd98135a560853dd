package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"ramjet/store/vfs"
)

// Catalog is the directory of all assets of a volume.
type Catalog struct {
	fs   vfs.FS
	base string
	n    atomic.Uint64 // makes temporary names different

	mu      sync.Mutex      // leaf
	parents map[string]bool // directories of assets whose own names are durable
}

// Open makes the directories below base and makes their names durable.
func Open(fsys vfs.FS, base string) (*Catalog, error) {
	c := &Catalog{fs: fsys, base: base, parents: map[string]bool{}}
	for _, d := range []string{accountsDir, quarantineDir} {
		if err := fsys.MkdirAll(base + "/" + d); err != nil {
			return nil, err
		}
	}
	return c, errors.Join(fsys.SyncDir(path.Dir(base)), fsys.SyncDir(base))
}

// File is a file that an asset begins with.
type File struct {
	Name    string
	Content []byte
}

// ErrSyncDir is returned by Create when the directory is complete but its name may not be durable. Trying again does not help: the kernel may
// report success for what it has dropped.
var ErrSyncDir = errors.New("catalog: the name of a new directory is not durable")

// Create makes the directory of an asset with its metadata and files; after it returns nil all are durable, and a power cut before leaves all or
// nothing. The directory of a stream's account and of a consumer's stream are made as needed. fs.ErrExist if the asset is there.
func (c *Catalog) Create(dir string, m *Meta, files ...File) error {
	if _, err := c.fs.Stat(dir); err == nil {
		return &fs.PathError{Op: "create", Path: dir, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := path.Dir(dir)
	if err := c.makeParent(parent); err != nil {
		return err
	}
	tmp := c.unused(parent, newPrefix, path.Base(dir))
	err := c.fs.MkdirAll(tmp)
	if err == nil {
		err = c.write(tmp+"/"+metaName, AppendMeta(nil, m))
	}
	for i := range files {
		if err == nil {
			err = c.write(tmp+"/"+files[i].Name, files[i].Content)
		}
	}
	if err == nil {
		err = c.fs.SyncDir(tmp)
	}
	if err == nil {
		err = c.fs.Rename(tmp, dir)
	}
	if err != nil {
		_ = c.fs.RemoveAll(tmp) // a leftover is removed by the next Scan
		return err
	}
	if err := c.fs.SyncDir(parent); err != nil {
		return errors.Join(ErrSyncDir, err)
	}
	return nil
}

// write makes a file in a directory that has a temporary name.
func (c *Catalog) write(name string, content []byte) error {
	f, err := c.fs.Create(name)
	if err != nil {
		return err
	}
	if len(content) > 0 {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// makeParent makes a directory of assets and its name durable, once.
func (c *Catalog) makeParent(dir string) error {
	c.mu.Lock()
	known := c.parents[dir]
	c.mu.Unlock()
	if known {
		return nil
	}
	if err := c.fs.MkdirAll(dir); err != nil {
		return err
	}
	if err := c.fs.SyncDir(path.Dir(dir)); err != nil {
		return err
	}
	c.mu.Lock()
	c.parents[dir] = true
	c.mu.Unlock()
	return nil
}

// Update replaces the metadata of an asset, durably.
func (c *Catalog) Update(dir string, m *Meta) error {
	return vfs.WriteAtomic(c.fs, dir+"/"+metaName, AppendMeta(nil, m))
}

// Delete removes an asset with all below it. After it returns nil the asset stays deleted, even if not all files could be removed yet.
func (c *Catalog) Delete(dir string) error {
	gone, err := c.Hide(dir)
	if err != nil {
		return err
	}
	return c.Clear(gone)
}

// Hide gives an asset the name of a tombstone: its own name is free at once. The decision to delete it has to be durable elsewhere, until Clear returned nil.
func (c *Catalog) Hide(dir string) (gone string, err error) {
	gone = c.unused(path.Dir(dir), gonePrefix, path.Base(dir))
	if err := c.fs.Rename(dir, gone); err != nil {
		return "", err
	}
	c.mu.Lock()
	delete(c.parents, dir+"/"+consumersDir)
	c.mu.Unlock()
	return gone, nil
}

// Clear makes what Hide did durable and removes the files.
func (c *Catalog) Clear(gone string) error {
	if err := c.fs.SyncDir(path.Dir(gone)); err != nil {
		return err
	}
	_ = c.fs.RemoveAll(gone) // a leftover is removed by the next Scan
	return nil
}

// Quarantine moves what is at from out of the way and notes why. Nothing is removed.
func (c *Catalog) Quarantine(from, reason string) (to string, err error) {
	q := c.base + "/" + quarantineDir
	to = c.unused(q, "", path.Base(from))
	if err := c.fs.MkdirAll(to); err != nil {
		return "", err
	}
	if err := vfs.WriteAtomic(c.fs, to+"/reason", []byte(from+": "+reason+"\n")); err != nil {
		return "", err
	}
	if err := c.fs.Rename(from, to+"/content"); err != nil {
		return "", err
	}
	return to, errors.Join(c.fs.SyncDir(to), c.fs.SyncDir(path.Dir(from)), c.fs.SyncDir(q))
}

// unused returns a name in dir that is not taken.
func (c *Catalog) unused(dir, prefix, name string) string {
	for {
		p := fmt.Sprintf("%s/%s%d-%s", dir, prefix, c.n.Add(1), name)
		if _, err := c.fs.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return p
		}
	}
}

// Entry is an asset found by Scan.
type Entry struct {
	Account, Stream, Consumer string // names as far as they are known
	Dir                       string
	Meta                      *Meta // nil if Err is set
	Err                       error // why it cannot be used; its files are untouched
	Consumers                 []Entry
}

// Found is the result of Scan.
type Found struct {
	Streams     []Entry
	Quarantined []string // new places of what was unknown
	Removed     int      // leftovers of interrupted creations and deletions
}

// scanners are how many streams Scan looks at at a time.
const scanners = 8

// Scan lists all streams with their consumers, in order of their directory names.
func (c *Catalog) Scan() (*Found, error) {
	out := &Found{}
	root := c.base + "/" + accountsDir
	accounts, err := c.list(out, root)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		dir := root + "/" + a
		account, known := Unescape(a)
		if !known && !strings.Contains(a, "%~") {
			if err := c.unknown(out, dir, "no account"); err != nil {
				return nil, err
			}
			continue
		}
		streams, err := c.list(out, dir)
		if err != nil {
			return nil, err
		}
		if err := c.streams(out, account, known, dir, streams); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// streams looks at all streams of an account, several at a time: each takes a few calls of the file system. known: dir tells the name of the
// account, it is not shortened.
func (c *Catalog) streams(out *Found, account string, known bool, dir string, names []string) error {
	parts := make([]Found, len(names))
	errs := make([]error, len(names))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(scanners, len(names)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				errs[i] = c.stream(&parts[i], account, known, dir, names[i])
			}
		}()
	}
	wg.Wait()
	for i := range parts {
		if errs[i] != nil {
			return errs[i]
		}
		out.Streams = append(out.Streams, parts[i].Streams...)
		out.Quarantined = append(out.Quarantined, parts[i].Quarantined...)
		out.Removed += parts[i].Removed
	}
	return nil
}

func (c *Catalog) stream(out *Found, account string, known bool, dir, name string) error {
	e, err := c.entry(out, dir+"/"+name, Stream)
	if e == nil || err != nil {
		return err
	}
	if e.Account = account; !known && e.Meta != nil {
		e.Account = path.Base(dir) // shortened: the host's body tells
	}
	if err := c.consumers(out, e); err != nil {
		return err
	}
	out.Streams = append(out.Streams, *e)
	return nil
}

func (c *Catalog) consumers(out *Found, e *Entry) error {
	dir := e.Dir + "/" + consumersDir
	names, err := c.list(out, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, n := range names {
		k, err := c.entry(out, dir+"/"+n, Consumer)
		if err != nil {
			return err
		}
		if k != nil {
			k.Account, k.Stream = e.Account, e.Stream
			e.Consumers = append(e.Consumers, *k)
		}
	}
	return nil
}

// list returns the names in dir after removing leftovers.
func (c *Catalog) list(out *Found, dir string) ([]string, error) {
	names, err := c.fs.List(dir)
	if err != nil {
		return nil, err
	}
	keep := names[:0]
	for _, n := range names {
		if strings.HasPrefix(n, newPrefix) || strings.HasPrefix(n, gonePrefix) {
			// Never finished, or decided: the rename to the tombstone was the deletion.
			if c.fs.RemoveAll(dir+"/"+n) == nil {
				out.Removed++
			}
			continue
		}
		keep = append(keep, n)
	}
	return keep, nil
}

// entry reads the metadata of what may be an asset; nil if it is none and went to quarantine.
func (c *Catalog) entry(out *Found, dir string, kind Kind) (*Entry, error) {
	e := &Entry{Dir: dir}
	m, err := ReadMeta(c.fs, dir)
	if err != nil {
		info, serr := c.fs.Stat(dir)
		if serr != nil {
			return nil, serr
		}
		if !info.IsDir() {
			return nil, c.unknown(out, dir, "a file where only assets belong")
		}
	}
	name, known := Unescape(path.Base(dir))
	switch {
	case err != nil:
		e.Err = err
	case m.Kind != kind || Escape(m.Name) != path.Base(dir):
		e.Err = fmt.Errorf("%w: it belongs to %q", ErrCorrupt, m.Name)
	default:
		e.Meta = m
		name, known = m.Name, true
	}
	if !known {
		name = path.Base(dir)
		if !strings.Contains(name, "%~") {
			return nil, c.unknown(out, dir, "name is none that this server makes")
		}
	}
	if kind == Stream {
		e.Stream = name
	} else {
		e.Consumer = name
	}
	return e, nil
}

func (c *Catalog) unknown(out *Found, dir, reason string) error {
	to, err := c.Quarantine(dir, reason)
	if err == nil {
		out.Quarantined = append(out.Quarantined, to)
	}
	return err
}
