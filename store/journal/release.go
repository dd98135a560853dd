package journal

import (
	"encoding/binary"
	"errors"
	"syscall"
)

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

const (
	spares    = 1 // prepared files that stand ready at least
	keepFiles = 4 // released files, in full-grown ones, that are kept for the next burst: making a file writes it once for nothing
)

// Release says that group needs nothing before upto any more: its own state covers it durably. Files that nobody needs
// are recycled. Any goroutine.
func (l *Log) Release(group GroupID, upto Pos) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if upto <= l.mu.released[group] {
		return
	}
	l.mu.released[group] = upto
	for _, f := range l.mu.live {
		if p, ok := f.live[group]; ok && p <= upto {
			delete(f.live, group)
		}
	}
	l.recycle()
}

// Forget drops everything of a group that no longer exists. Any goroutine.
func (l *Log) Forget(group GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.released, group)
	if group == l.mu.moving {
		l.mu.ended = true
	}
	for _, f := range l.mu.live {
		delete(f.live, group)
	}
	l.recycle()
}

// recycle retires the oldest files as long as nobody has live records in them. Requires: mu.
func (l *Log) recycle() {
	for len(l.mu.live) > 1 && len(l.mu.live[0].live) == 0 && l.mu.live[0].f != nil && l.mu.live[0].end <= Pos(l.synced.Load()) {
		f := l.mu.live[0]
		l.mu.live = append(l.mu.live[:0:0], l.mu.live[1:]...)
		if l.spareable(f) {
			l.mu.spare = append(l.mu.spare, f)
			poke(l.made)
		} else {
			l.mu.retired = append(l.mu.retired, f)
		}
		poke(l.prepare)
		poke(l.kick) // Full depends on the number of files
	}
}

// spareable reports whether f is to be kept for later records. Requires: mu.
func (l *Log) spareable(f *file) bool {
	if l.mu.noSpace {
		return !f.bad && f.size >= l.o.FirstSize
	}
	kept := f.size
	for _, s := range l.mu.spare {
		kept += s.size
	}
	return !f.bad && f.size >= l.grown() && (len(l.mu.spare) < spares || kept <= keepFiles*l.o.FileSize)
}

// runPreparer keeps a spare file ready, removes retired ones and frees old files from laggards. Its own goroutine: making a file
// writes all of it.
func (l *Log) runPreparer() {
	defer l.done.Done()
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.prepareFiles()
		select {
		case <-l.prepare:
		case <-l.stop:
		}
	}
}

// prepareFiles does what the preparer has to do. Owner: the preparer.
func (l *Log) prepareFiles() {
	again := l.makeSpares()
	l.removeRetired()
	if l.relieve() {
		again = true
	}
	if again && !l.retrying.Swap(true) {
		l.o.Clock.AfterFunc(retryFull, func() {
			l.retrying.Store(false)
			poke(l.prepare)
		})
	}
}

// makeSpares makes files until enough stand ready; true asks to be called again later.
func (l *Log) makeSpares() (again bool) {
	for {
		l.gauge()
		l.mu.Lock()
		if l.mu.err != nil || l.mu.making {
			l.mu.Unlock()
			return false // the committer wakes the preparer when it made its file
		}
		if l.mu.noSpace {
			l.unretire()
		}
		if len(l.mu.spare) >= spares && (!l.mu.tight || l.room() >= l.mu.want) {
			l.mu.want = 0
			again = l.mu.tight
			for k := len(l.mu.spare); k > spares && !l.mu.tight; k-- {
				f := l.mu.spare[k-1]
				if l.mu.spare = l.mu.spare[:k-1]; l.spareable(f) {
					l.mu.spare = append(l.mu.spare, f)
					break
				}
				l.mu.retired = append(l.mu.retired, f)
			}
			l.mu.Unlock()
			poke(l.kick) // Full depends on the room
			l.setNoSpace(false)
			return again
		}
		l.mu.making = true
		sz := l.grown()
		l.mu.Unlock()
		err := l.make(sz, func(f *file) { l.mu.spare = append(l.mu.spare, f) })
		poke(l.made)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			l.setNoSpace(true)
			return true
		case err != nil:
			return false // the committer meets the same error when it needs the file, and reports it
		}
	}
}

// unretire keeps retired files that can still be used: there is no room to make others. Requires: mu.
func (l *Log) unretire() {
	keep := l.mu.retired[:0:0]
	for _, f := range l.mu.retired {
		if !f.bad && f.size >= l.o.FirstSize {
			l.mu.spare = append(l.mu.spare, f)
			poke(l.made)
			continue
		}
		keep = append(keep, f)
	}
	l.mu.retired = keep
}

// removeRetired removes files that no chain needs: a header written later than their retirement says so.
func (l *Log) removeRetired() {
	l.mu.Lock()
	var gone []*file
	keep := l.mu.retired[:0:0]
	for _, f := range l.mu.retired {
		if f.number >= l.oldestSaid.Load() {
			keep = append(keep, f)
			continue
		}
		gone = append(gone, f)
	}
	l.mu.retired = keep
	l.mu.Unlock()
	for _, f := range gone {
		_ = f.f.Close()
		_ = l.fs.Remove(slotName(l.dir, f.slot)) // a leftover is found as a spare by the next Open
	}
}
