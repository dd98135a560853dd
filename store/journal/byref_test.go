package journal

import (
	"fmt"
	"sync"
	"testing"

	"ramjet/store"
	"ramjet/store/vfs"
)

// segments stand for the files of streams: fallocated, 16 MiB, appended to; a full one is synced and followed by another.
type segments struct {
	b     *testing.B
	fs    vfs.FS
	dir   string
	f     []vfs.File
	off   []int64
	dirty []int64
	made  int
}

const segmentSize = 16 << 20

func (s *segments) next(i int) {
	name := fmt.Sprintf("%s/%d-%d", s.dir, i, s.made&3)
	s.made++
	f, err := s.fs.Create(name)
	if err == nil {
		err = f.Preallocate(segmentSize, false)
	}
	if err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err != nil {
		s.b.Error(err)
	}
	if s.f[i] != nil {
		_ = s.f[i].SyncData()
		_ = s.f[i].Close()
	}
	s.f[i], s.off[i], s.dirty[i] = f, 0, 0
}

func (s *segments) write(i int, p []byte) {
	if s.f[i] == nil || s.off[i]+int64(len(p)) > segmentSize {
		s.next(i)
	}
	if _, err := s.f[i].WriteAt(p, s.off[i]); err != nil {
		s.b.Error(err)
	}
	s.off[i] += int64(len(p))
	s.dirty[i] += int64(len(p))
}

func (s *segments) sync(i int) {
	if err := s.f[i].SyncData(); err != nil {
		s.b.Error(err)
	}
	s.dirty[i] = 0
}

// BenchmarkReference compares the two ways of a large batch of a stream to the disk, per commit of k streams with one batch each:
//
//   - copied: through the journal, one sync; to the segment without a sync, which a checkpoint makes up for every 8 MiB.
//   - reference: to the segment and synced there (the streams side by side), then a reference through the journal.
//
// See docs/decisions.
func BenchmarkReference(b *testing.B) {
	for _, c := range []struct{ streams, payload int }{
		{1, 64 << 10}, {1, 256 << 10}, {1, 1 << 20}, {8, 16 << 10}, {8, 64 << 10}, {8, 256 << 10}, {32, 64 << 10},
	} {
		for _, way := range []string{"copied", "reference"} {
			b.Run(fmt.Sprintf("%dx%dKiB/%s", c.streams, c.payload>>10, way), func(b *testing.B) {
				benchReference(b, c.streams, c.payload, way == "reference")
			})
		}
	}
}

func benchReference(b *testing.B, streams, payload int, byRef bool) {
	var d disk
	l := openReal(b, &d)
	s := &segments{b: b, fs: vfs.Intercept(vfs.OS(), d.hook), dir: b.TempDir(), f: make([]vfs.File, streams),
		off: make([]int64, streams), dirty: make([]int64, streams)}
	p := make([]byte, payload)
	for i := range p {
		p[i] = byte(i * 7)
	}
	done := make(chan error, 1)
	commit := func() {
		if byRef {
			var wg sync.WaitGroup
			for i := range streams {
				s.write(i, p)
				wg.Go(func() { s.sync(i) })
			}
			wg.Wait()
		}
		for i := range streams {
			r := Record{Group: GroupID(i + 1), Kind: KindStream, Payload: p, Own: func() {}}
			if byRef {
				r = Record{Group: GroupID(i + 1), Kind: KindReference, Payload: p[:32]}
			}
			if _, err := l.Append(r); err != nil {
				b.Fatal(err)
			}
		}
		l.Submit(store.SyncDurable, func(err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if byRef {
			head := l.Stats().Head
			for i := range streams {
				l.Release(GroupID(i+1), head)
			}
			return
		}
		for i := range streams {
			s.write(i, p)
			if s.dirty[i] >= 8<<20 {
				s.sync(i)
				l.Release(GroupID(i+1), l.Stats().Head)
			}
		}
	}
	warm(l, commit)
	d = disk{}
	cpu0 := cpu()
	b.ResetTimer()
	for range b.N {
		commit()
	}
	b.StopTimer()
	d.report(b, cpu0, streams, payload)
	for _, f := range s.f {
		if f != nil {
			_ = f.Close()
		}
	}
}
