package journal

import (
	"errors"
	"slices"
	"syscall"
	"time"
)

// What happens when the disk fills up: as long as the volume has plenty of space, appends are taken before their file exists and the
// committer makes it if nobody else did. When it is nearly full (tight), an append is taken only into room that exists, and what
// is not essential leaves some for what is. When no file can be made (noSpace), only essential records are taken; files
// that are released or can be made again end that by themselves.

// retryFull is how long after a failure for lack of space making a file is tried again, unless something was released before.
const retryFull = time.Second

// reserve is the room kept for essential records on a volume that is nearly full.
func (l *Log) reserve() int64 { return l.o.FirstSize / 4 }

// room returns how many bytes can be appended without making a file. Requires: mu.
func (l *Log) room() int64 {
	var n int64
	if k := len(l.mu.live); k > 0 {
		n = l.mu.live[k-1].remaining(l.mu.next)
	}
	for _, s := range l.mu.spare {
		n += s.capacity()
	}
	return n
}

// roomy reports that publishers need not pause for lack of room. Requires: mu.
func (l *Log) roomy() bool {
	return !l.mu.tight || l.mu.noSpace || l.room() >= max(2*l.reserve(), l.mu.want)
}

// refuseRoom says why an append can not be taken for lack of room. Requires: mu.
func (l *Log) refuseRoom(recs []Record, total int64, essential bool) error {
	if !l.mu.tight && !l.mu.noSpace {
		return nil
	}
	if slices.ContainsFunc(recs, func(r Record) bool { return len(r.Payload) > maxPayload(l.o.FirstSize) }) {
		return ErrNoSpace // it would take a file of its own
	}
	keep := l.reserve()
	if essential {
		keep = 0
	}
	if l.fits(recs, total, keep) {
		return nil
	}
	if l.mu.noSpace {
		return ErrNoSpace
	}
	l.mu.want = max(l.mu.want, total+2*l.reserve()+commitLen)
	l.full.Store(true)
	poke(l.prepare)
	return ErrFull
}

// fits reports whether recs fit into room that exists, and leave keep bytes of it. Requires: mu.
func (l *Log) fits(recs []Record, total, keep int64) bool {
	var left int64
	if k := len(l.mu.live); k > 0 {
		left = l.mu.live[k-1].remaining(l.mu.next)
	}
	if left >= total+commitLen+keep {
		return true
	}
	spare := l.mu.spare
	for i := range recs {
		n := size(len(recs[i].Payload))
		if left < n+commitLen {
			if len(spare) == 0 || spare[0].capacity() < n+commitLen {
				return false
			}
			left, spare = spare[0].capacity(), spare[1:]
		}
		left -= n
	}
	for _, s := range spare {
		left += s.capacity()
	}
	return left >= keep+commitLen
}

// ease lets publishers go on when the reasons for Full are gone. Owner: the committer.
func (l *Log) ease() {
	if !l.full.Load() {
		return
	}
	l.mu.Lock()
	eased := l.queued.Load() <= l.o.MaxQueued/2 && l.roomy() && (l.mu.noSpace || len(l.mu.live) <= l.o.MaxFiles) &&
		l.full.CompareAndSwap(true, false)
	l.mu.Unlock()
	if eased && l.o.OnDrained != nil {
		l.o.OnDrained()
	}
}

// gauge looks how full the volume is. Owner: the preparer; Open before there is one.
func (l *Log) gauge() {
	free, _, err := l.fs.Space(l.dir)
	l.mu.Lock()
	defer l.mu.Unlock()
	// Twice what can be queued and a file: the rest of the server uses the volume too.
	l.mu.tight = err == nil && free < 2*uint64(l.o.MaxQueued+l.o.FileSize)
}

// attach gives f blocks: those of a spare file or new ones. A full disk makes it wait: publishers are refused meanwhile, and
// it goes on by itself. Owner: the committer; Open before there is one.
func (l *Log) attach(f *file) error {
	for {
		l.mu.Lock()
		if f.f != nil || l.takeSpare(f) {
			l.mu.Unlock()
			return nil
		}
		wait := l.mu.making
		l.mu.making = true
		l.mu.Unlock()
		if wait {
			<-l.made // the preparer does not end before it said so
			continue
		}
		err := l.make(f.size, func(made *file) { f.slot, f.f = made.slot, made.f })
		if err == nil {
			poke(l.prepare) // it did nothing meanwhile
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		l.setNoSpace(true)
		if !l.waitRoom() {
			return err
		}
	}
}

// make makes a file and gives it to use, under mu. Only one is made at a time. Requires: making was set by the caller.
func (l *Log) make(size int64, use func(*file)) error {
	l.mu.Lock()
	slot := l.mu.slots
	l.mu.slots++
	l.mu.Unlock()
	f, err := createFile(l.fs, l.dir, slot, size)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.making = false
	if err == nil {
		use(f)
	}
	return err
}

// waitRoom waits until a file may be there; false when the log is being closed.
func (l *Log) waitRoom() bool {
	t := l.o.Clock.AfterFunc(retryFull, func() { poke(l.made) })
	defer t.Stop()
	select {
	case <-l.made:
		return true
	case <-l.stop:
		return false
	}
}

func (l *Log) setNoSpace(full bool) {
	l.mu.Lock()
	changed := l.mu.noSpace != full
	l.mu.noSpace = full
	l.mu.Unlock()
	if !changed {
		return
	}
	poke(l.kick) // Full depends on it
	if full {
		poke(l.prepare) // it tries again
	}
	if l.o.OnNoSpace != nil {
		l.o.OnNoSpace(full)
	}
}
