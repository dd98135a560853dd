package host

import (
	"errors"
	"path"
	"sync"

	"ramjet/proto/jsapi"
	"ramjet/store/catalog"
	scons "ramjet/store/consumer"
	sstore "ramjet/store/stream"
)

// files tell whether an asset has files. It has none until its first checkpoint or the first change of its metadata: until then the journal has all of it.
type files struct {
	mu    sync.Mutex // held while files are made, of a consumer before that of its stream; not taken by a shard
	made  bool
	ended bool // nothing is made any more
}

// Why an asset gets no files.
var (
	errEnded = errors.New("it was deleted")
	errLate  = errors.New("the server stops")
)

// end makes sure that no more files are made, and tells whether there are some.
func (f *files) end() (made bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	return f.made
}

// there tells whether there are files.
func (f *files) there() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

func parentOf(dir string) string { return path.Dir(dir) }

func (s *Stream) dir() string { return s.h.cat.StreamDir(s.acct.name, s.name) }

func (s *Stream) catalogMeta(cfg *jsapi.StreamConfig) *catalog.Meta {
	return &catalog.Meta{Kind: catalog.Stream, Name: s.name, Key: s.key, Body: s.meta(cfg)}
}

// newStore makes the store of a stream that has no files yet.
func (s *Stream) newStore() {
	s.store = sstore.New(s.storeOptions(), s.dir(), s.makeFiles)
	s.log = s.store
}

// makeFiles makes the directory of a stream, unless it is there. It blocks on the disk.
func (s *Stream) makeFiles() error {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	return s.makeLocked(s.conf.Load())
}

func (s *Stream) makeLocked(cfg *jsapi.StreamConfig) error {
	switch {
	case s.files.ended:
		return errEnded
	case s.files.made:
		return nil
	case s.h.late.Load():
		return errLate
	}
	err := s.h.cat.Create(s.dir(), s.catalogMeta(cfg), catalog.File{Name: sstore.StateName, Content: s.store.Initial()})
	s.files.made = err == nil
	return err
}

// saveMeta makes a configuration durable in the metadata. It blocks on the disk.
func (s *Stream) saveMeta(cfg *jsapi.StreamConfig) error {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	if !s.files.made || s.files.ended {
		return s.makeLocked(cfg)
	}
	return s.h.cat.Update(s.dir(), s.catalogMeta(cfg))
}

func (c *Consumer) dir() string { return c.st.h.cat.ConsumerDir(c.st.acct.name, c.st.name, c.name) }

func (c *Consumer) catalogMeta(cfg *jsapi.ConsumerConfig) *catalog.Meta {
	return &catalog.Meta{Kind: catalog.Consumer, Name: c.name, Body: c.meta(cfg)}
}

// makeLocked makes the directory of a consumer and, before it, that of its stream.
func (c *Consumer) makeLocked(cfg *jsapi.ConsumerConfig, more ...catalog.File) error {
	switch {
	case c.files.ended:
		return errEnded
	case c.st.h.late.Load():
		return errLate
	}
	if err := c.st.makeFiles(); err != nil {
		return err
	}
	err := c.st.h.cat.Create(c.dir(), c.catalogMeta(cfg), more...)
	c.files.made = err == nil
	return err
}

// saveMeta makes a configuration durable in the metadata. It blocks on the disk.
func (c *Consumer) saveMeta(cfg *jsapi.ConsumerConfig) error {
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	if !c.files.made || c.files.ended {
		return c.makeLocked(cfg)
	}
	return c.st.h.cat.Update(c.dir(), c.catalogMeta(cfg))
}

// saveState makes a state durable. It blocks on the disk.
func (c *Consumer) saveState(state *scons.State) error {
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	h, st := c.st.h, c.st
	if h.late.Load() {
		return errLate
	}
	if !c.files.made || c.files.ended {
		err := c.makeLocked(c.conf.Load(), catalog.WithState(scons.Content(state, st.codec))...)
		c.marked = err == nil
		return err
	}
	err := scons.Save(h.env.FS, h.cat.ConsumerState(st.acct.name, st.name, c.name), state, st.codec)
	if err == nil && !c.marked {
		err = h.cat.StateSaved(st.acct.name, st.name, c.name)
		c.marked = err == nil
	}
	return err
}

// clear removes hidden files behind the answer of a request; g is the group whose record in the journal says that they are gone.
func (h *Host) clear(gone string, forget func()) {
	h.making.Add(1)
	h.env.Go(func() {
		defer h.making.Done()
		var err error
		h.writes.run(func() { err = h.cat.Clear(gone) })
		if err != nil {
			h.env.Events.log(idWriteFailed, "%s can not be removed: %v", gone, err)
			return // the journal keeps the decision
		}
		forget()
	})
}
