package journal

import (
	"errors"
	"io/fs"
	"slices"
	"sort"

	"ramjet/store"
	"ramjet/store/vfs"
)

// rewriteLimit is the most live bytes of one group that are copied to the head to free a file.
const rewriteLimit = 1 << 20

// orphanLimit is the same for a group whose owner cannot checkpoint: what it has would stop everybody else.
const orphanLimit = 512 << 20

// relieve looks after groups that pin old files: above half of MaxFiles they are told (OnLag), above three quarters what few
// records they have is rewritten at the head. True asks to be called again later: publishers wait for it. Owner: the preparer's
// goroutine.
func (l *Log) relieve() (again bool) {
	l.mu.Lock()
	n := len(l.mu.live)
	var lag []GroupID
	if n > l.o.MaxFiles/2 {
		for g := range l.mu.live[0].live {
			lag = append(lag, g)
		}
	}
	l.mu.Unlock()
	sort.Slice(lag, func(i, j int) bool { return lag[i] < lag[j] })
	for _, g := range lag {
		if l.o.OnLag != nil {
			l.o.OnLag(g)
		}
		if n > l.o.MaxFiles*3/4 {
			l.rewrite(g)
		}
	}
	l.mu.Lock()
	over := len(l.mu.live) > l.o.MaxFiles
	l.mu.Unlock()
	if over {
		l.full.Store(true) // checkpoints do not keep up: publishers wait until ease finds fewer files
		poke(l.kick)
	}
	return over
}

// rewrite copies the live records of g to the head and releases the originals. False when they are too many or could not be
// read.
func (l *Log) rewrite(g GroupID) bool {
	l.mu.Lock()
	l.mu.moving, l.mu.ended = g, false
	defer func() {
		l.mu.Lock()
		l.mu.moving = 0
		l.mu.Unlock()
	}()
	from := l.mu.released[g]
	upto := l.mu.next
	var files []*file
	whole := map[*file]bool{} // takes no more records: the scan finds everything of g in it
	for _, f := range l.mu.live {
		if _, ok := f.live[g]; ok && f.f != nil {
			files = append(files, f)
			whole[f] = f.left && f.end <= Pos(l.synced.Load())
		}
	}
	l.mu.Unlock()
	var recs []Record
	var ends []Pos
	total, limit := int64(0), int64(rewriteLimit)
	if l.o.Orphan != nil && l.o.Orphan(g) {
		limit = orphanLimit
	}
	for _, f := range files {
		err := l.scanLive(f, func(r *Record, pos Pos) bool {
			if r.Group != g || pos <= from || pos > upto {
				return true
			}
			total += size(len(r.Payload))
			c := *r
			c.Payload = append([]byte(nil), r.Payload...)
			c.Flags |= FlagRewritten
			c.Essential = true
			recs = append(recs, c)
			ends = append(ends, pos)
			return total <= limit
		})
		if err != nil || total > limit {
			return false
		}
	}
	starts := make([]Pos, len(recs))
	for i := range recs {
		pos, err := l.append(recs[i:i+1], g)
		if err != nil {
			return false
		}
		starts[i] = pos
		from = ends[i]
	}
	done := make(chan error, 1)
	l.Submit(store.SyncDurable, func(err error) { done <- err })
	for l.o.Stepped && len(done) == 0 && l.commit() {
	}
	if err := <-done; err != nil {
		return false
	}
	if l.o.OnMoved != nil {
		for i := range recs {
			l.o.OnMoved(g, ends[i], starts[i])
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.ended {
		return false // its last record may be among the originals
	}
	for _, f := range l.mu.live {
		if p, ok := f.live[g]; ok && (p <= from || whole[f]) {
			delete(f.live, g)
		}
	}
	l.recycle()
	return true
}

// scanLive calls fn for the written records of f until it returns false.
func (l *Log) scanLive(f *file, fn func(r *Record, pos Pos) bool) error {
	written := Pos(l.synced.Load())
	l.mu.Lock()
	end := written
	if f.left {
		end = min(end, f.end)
	}
	l.mu.Unlock()
	if end <= f.start {
		return nil
	}
	data := make([]byte, min(int64(end-f.start), f.capacity()))
	n, err := readFull(f.f, data, fileHeaderLen)
	if err != nil {
		return err
	}
	var r Record
	for p := int64(0); p < int64(n); {
		k, ok := parse(data[p:n], f.salt, f.start+Pos(p), &r)
		if !ok {
			return &DamageError{Damage{File: f.number, Pos: f.start + Pos(p), Reason: "record does not verify"}}
		}
		p += k
		if r.Kind < kindCommit && !fn(&r, f.start+Pos(p)) {
			return nil
		}
	}
	return nil
}

// DamageError reports a record that does not verify.
type DamageError struct{ Damage Damage }

func (e *DamageError) Error() string { return "journal: " + e.Damage.Reason }

// ReadAt reads the record that ends at pos (as returned by Append and replay) and starts at from into r; buf is used for the
// payload when it is large enough. Only records that were synced can be read. Any goroutine.
func (l *Log) ReadAt(from, pos Pos, buf []byte, r *Record) error {
	l.mu.Lock()
	var f *file
	for i := len(l.mu.live) - 1; i >= 0 && f == nil; i-- {
		if c := l.mu.live[i]; c.start <= from && c.f != nil {
			f = c
		}
	}
	l.mu.Unlock()
	if f == nil || pos > Pos(l.synced.Load()) || pos <= from || int64(pos-f.start) > f.capacity() {
		return errNotThere
	}
	n := int(pos - from)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if k, err := readFull(f.f, buf, f.offset(from)); err != nil || k < n {
		if err == nil || errors.Is(err, vfs.ErrClosed) || errors.Is(err, fs.ErrClosed) {
			err = errNotThere
		}
		return err
	}
	if _, ok := parse(buf, f.salt, from, r); !ok {
		l.mu.Lock()
		recycled := !slices.Contains(l.mu.live, f)
		l.mu.Unlock()
		if recycled {
			return errNotThere
		}
		return &DamageError{Damage{File: f.number, Pos: from, Length: int64(n), Reason: "record does not verify"}}
	}
	return nil
}
