package journal

import (
	"errors"
	"slices"
	"syscall"
)

// begin continues in a fresh file: never in one that was cut, whose leftovers would verify at the same positions.
//
// What the last file does not itself prove to be durable was read from the page cache, perhaps: the process before may have been
// killed between writing and syncing, or its sync may have failed. It is written again, to the fresh file, before that
// file says anything about it.
func (s *scanner) begin() error {
	l := s.l
	l.mu.next = s.end
	l.synced.Store(uint64(s.end))
	l.gauge()
	start, tail := s.end, []byte(nil)
	n := len(l.mu.live)
	var last *file
	if n > 0 {
		last = l.mu.live[n-1]
		start, tail = s.proven, s.data[s.proven-s.base:]
		if !s.unproven {
			// Commit records alone: they have done what they were for.
			s.end, tail = start, nil
			l.mu.next = start
			l.synced.Store(uint64(start))
		}
	}
	l.mu.grow = l.o.FirstSize
	for _, x := range l.mu.live {
		if 2*int64(x.end-x.start) > x.capacity() {
			l.mu.grow = max(l.mu.grow, min(x.size, l.o.FileSize))
		}
	}
	need := int64(len(tail)) + fileHeaderLen + 2*commitLen
	f := l.nextFile(start, need)
	if f.f == nil {
		f.size = max(min(l.o.FirstSize, startFileSize), need)
		err := l.make(f.size, func(made *file) {
			f.slot, f.f = made.slot, made.f
			s.all = append(s.all, made)
		})
		if errors.Is(err, syscall.ENOSPC) {
			return s.beginFull(last)
		}
		if err != nil {
			return err
		}
	}
	if last != nil {
		last.end = start
		for g, p := range last.live {
			if p > start {
				f.live[g] = p
			}
		}
		if start == last.start {
			// It holds nothing that is needed: the chain goes on without it.
			l.mu.live = l.mu.live[:n-1]
			f.prev = last.prev
			if last.prev != 0 && n == 1 {
				f.prev = 0
			}
			if last.size >= l.o.FirstSize {
				l.mu.spare = append(l.mu.spare, last)
			} else {
				l.mu.retired = append(l.mu.retired, last)
			}
		}
	}
	l.mu.live = append(l.mu.live, f)
	l.recycle() // of what nobody needs; nothing is written there before the new header says so
	if len(tail) == 0 {
		return l.enter(f, nil)
	}
	// Before the header: it hides where they were.
	_, err := f.f.WriteAt(s.moved(tail, last, f), fileHeaderLen)
	if err == nil {
		err = l.syncFile(f)
	}
	if err == nil {
		err = l.enter(f, nil)
	}
	if err == nil {
		err = l.prove()
	}
	return err
}

// prove writes a commit record that says that everything before it is synced, so that damage of the last batch will be known from a torn
// tail. It is not synced itself. Owner: the committer; Open before there is one.
func (l *Log) prove() error {
	l.mu.Lock()
	f, pos := l.mu.live[len(l.mu.live)-1], l.mu.next
	if f != l.open || Pos(l.synced.Load()) != pos || f.remaining(pos) < commitLen {
		l.mu.Unlock()
		return nil
	}
	var payload [commitLen - headerLen]byte
	putCommit(payload[:], 0, pos)
	b := &batch{}
	b.put(f, pos, &Record{Kind: kindCommit, Payload: payload[:]}, &l.mu.arenas)
	l.mu.next += commitLen
	l.mu.Unlock()
	b.flushChunk()
	l.unsynced = append(l.unsynced, b)
	l.dirty = true
	if err := l.cover(f, pos+commitLen); err != nil {
		return err
	}
	_, err := f.f.WriteV(slices.Clone(b.extents[0].bufs), f.offset(pos))
	return err
}

// beginFull is begin on a full disk: what is there can be read; records are refused until the preparer finds room.
func (s *scanner) beginFull(last *file) error {
	l := s.l
	l.mu.noSpace = true
	if l.o.OnNoSpace != nil {
		l.o.OnNoSpace(true)
	}
	if last == nil {
		return nil
	}
	last.end = s.end
	return last.f.SyncData()
}

// moved returns a copy of records of from as they are in file to, at the same positions.
func (s *scanner) moved(tail []byte, from, to *file) []byte {
	out := slices.Clone(tail)
	var r Record
	for p := int64(0); p < int64(len(tail)); {
		pos := to.start + Pos(p)
		n, ok := parse(tail[p:], from.salt, pos, &r)
		if !ok {
			panic("journal: a record that was replayed does not verify")
		}
		resum(out[p:p+headerLen], to.salt, pos, r.Payload)
		p += n
	}
	return out
}
