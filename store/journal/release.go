package journal

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"
)

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// spares is how many prepared files stand ready.
const spares = 1

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
		if len(l.mu.spare) < spares && f.size >= l.grown() {
			l.mu.spare = append(l.mu.spare, f)
		} else {
			l.mu.retired = append(l.mu.retired, f)
			poke(l.prepare)
		}
	}
}

// runPreparer keeps a spare file ready, removes retired ones and frees old files from laggards. Its own goroutine: making a file
// writes all of it.
func (l *Log) runPreparer() {
	defer l.done.Done()
	poke(l.prepare)
	for {
		select {
		case <-l.prepare:
		case <-l.stop:
			return
		}
		for l.makeSpare() {
			if !l.wait(time.Second) { // full disk: try again until there is room
				return
			}
		}
		l.removeRetired()
		l.relieve()
	}
}

// makeSpare makes a file if none stands ready; true asks to be called again later.
func (l *Log) makeSpare() (again bool) {
	l.mu.Lock()
	if len(l.mu.spare) >= spares || l.mu.err != nil {
		l.mu.Unlock()
		return false
	}
	slot, sz := l.mu.slots, l.grown()
	l.mu.slots++
	l.mu.Unlock()
	f, err := createFile(l.fs, l.dir, slot, sz)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			l.setNoSpace(true)
			return true
		}
		return false // the committer meets the same error when it needs the file, and reports it
	}
	l.mu.Lock()
	l.mu.spare = append(l.mu.spare, f)
	l.mu.Unlock()
	l.setNoSpace(false)
	return false
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
