package stream

import (
	"errors"
	"io/fs"

	"ramjet/store/vfs"
)

// saving is a checkpoint on its way to the disk. The writer begins it and ends it; in between it is saved beside the writer, which goes on with what was
// appended since: a sync may take long, and frames in memory would wait for it.
type saving struct {
	payload []byte
	then    func()      // the state is durable. Writer
	failed  func(error) // it never will be

	// Set by the writer, then of who saves.
	files []syncing
	dir   bool // the names of files are to be synced

	// Guarded by q.
	ended bool // with err; the writer has not looked at it yet
	err   error
	waits bool // for a retry
}

// syncing is a file that has bytes of the checkpoint. Until the checkpoint ends nobody closes it.
type syncing struct {
	file *file
	f    vfs.File
	done bool
}

// begin takes over what has to be synced: everything that was written so far. Writer.
func (s *Store) begin(c *saving) {
	for _, f := range s.dirtyFiles {
		if f.dirty && f.f != nil {
			f.dirty, f.syncing = false, true
			c.files = append(c.files, syncing{file: f, f: f.f})
		}
	}
	s.dirtyFiles = nil
	c.dir, s.dirDirty = s.dirDirty, false
}

// save makes a checkpoint durable and tells the writer, which it may become. One at a time.
func (s *Store) save(c *saving) {
	s.q.Lock()
	abandoned := s.q.abandoned
	s.q.Unlock()
	err := ErrClosed
	if !abandoned {
		err = s.saveState(c)
	}
	s.q.Lock()
	c.err, c.ended = err, true
	start := !s.q.running
	s.q.running = true
	s.q.Unlock()
	if start {
		s.runJobs()
	}
}

// saved ends a checkpoint, or keeps it for a retry. Writer.
func (s *Store) saved(c *saving, err error) {
	if err != nil {
		s.halt(err, c)
	}
	s.q.Lock()
	final := err == nil || s.q.broken != nil || s.q.abandoned
	if final {
		s.q.saving = nil
	}
	s.q.Unlock()
	if !final {
		return
	}
	for i := range c.files {
		f := c.files[i].file
		if f.syncing = false; f.gone.Load() && f.f != nil {
			_ = f.f.Close()
			f.f = nil
		}
	}
	if err != nil {
		c.failed(err)
		return
	}
	c.then()
	s.worked()
}

// saveState syncs what the state refers to, then replaces the state file, keeping the one before. Whenever the file is not there, the
// new one is, complete, under its other name: a state that is missing altogether was lost, it is not the power that went.
func (s *Store) saveState(c *saving) error {
	if err := c.sync(); err != nil {
		return err
	}
	if c.dir {
		if err := s.env.FS.SyncDir(s.dir); vfs.NoDescriptor(err) {
			return err // not tried: it is tried again
		} else if err != nil {
			return errors.Join(errSync, err)
		}
		c.dir = false
	}
	name := s.dir + "/" + StateName
	sealed := sealState(s.Salt(), c.payload, s.o.Codec)
	if !s.stateThere {
		err := vfs.WriteAtomic(s.env.FS, name, sealed)
		s.stateThere = err == nil
		return err
	}
	if err := s.writeNext(sealed); err != nil {
		_ = s.env.FS.Remove(s.dir + "/" + nextName) // best effort: it is written again
		return err
	}
	if err := s.env.FS.Rename(name, s.dir+"/"+previousName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.env.FS.Rename(s.dir+"/"+nextName, name); err != nil {
		return err
	}
	return s.env.FS.SyncDir(s.dir)
}

// writeNext makes the next state durable under its other name.
func (s *Store) writeNext(sealed []byte) error {
	f, err := s.env.FS.Create(s.dir + "/" + nextName)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(sealed, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.env.FS.SyncDir(s.dir)
}

// sync syncs what was written before the checkpoint began. After a failure no file of the store is trusted again.
func (c *saving) sync() error {
	for i := range c.files {
		x := &c.files[i]
		if x.done {
			continue
		}
		if err := x.f.SyncData(); err != nil {
			return errors.Join(errSync, err)
		}
		x.done = true
	}
	return nil
}
