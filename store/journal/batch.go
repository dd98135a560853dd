package journal

import "ramjet/store"

// batch is what is appended while the committer writes and syncs the one before.
type batch struct {
	extents []extent
	recs    []placed // every record, for a rewrite to another file
	own     []func()
	waiters []waiter
	bytes   int64
	queued  int64  // what Append counted
	records uint64 // since the last commit record

	chunk []byte   // rest of the arena being filled: headers and copied payloads
	whole []byte   // that arena; nil when a later batch goes on filling it
	start int      // first byte of chunk that is in no buffer of the last extent
	used  [][]byte // arenas that are full
}

// extent is the part of a batch that goes to one file.
type extent struct {
	file *file
	pos  Pos
	bufs [][]byte
	n    int64
}

// placed is an encoded record.
type placed struct {
	pos     Pos
	header  []byte // in an arena
	payload []byte
	own     bool // payload is by reference
}

type waiter struct {
	policy store.SyncPolicy
	done   func(error)
}

const (
	arenaSize   = 64 << 10
	largeArena  = 1 << 20
	leastArenas = 256 << 10 // bytes of arenas kept for reuse at least
	leastTail   = 1 << 10   // rest of an arena that is worth filling
	essentialOK = 1 << 20

	keepBatches = 128 // written ones that are kept for reuse
	keepRecords = 256 // of each
)

// arenas are kept for later batches. Guarded by Log.mu.
type arenas struct {
	list   [][]byte
	bytes  int
	most   int // bytes kept; leastArenas at least
	unused int // fewest bytes that were kept since the last age
}

// keep sets how many bytes are kept: as many as came back at once lately, since the next ones will need as much, and garbage would take as much again.
func (a *arenas) keep(back int) {
	a.most = max(2*back, a.most-a.most/64, leastArenas)
	a.drop(a.most)
}

// drop lets go of what is more than so many bytes.
func (a *arenas) drop(most int) {
	for n := len(a.list) - 1; n >= 0 && a.bytes > most; n-- {
		a.bytes -= cap(a.list[n])
		a.list[n] = nil
		a.list = a.list[:n]
	}
}

// age lets go of what nobody needed since the last call and returns the bytes of it, and of what is left.
func (a *arenas) age() (freed, left int) {
	before := a.bytes
	a.drop(before - min(a.unused, before))
	a.unused = a.bytes
	return before - a.bytes, a.bytes
}

// get returns an empty arena of at least n bytes: the smallest that will do, so that the large ones, which are made for large records, are there for them.
// Their sizes are powers of two up to largeArena, for the next large record will have another length.
func (a *arenas) get(n int) []byte {
	best := -1
	for i, c := range a.list {
		if cap(c) >= n && (best < 0 || cap(c) < cap(a.list[best])) {
			if best = i; cap(c) == arenaSize {
				break
			}
		}
	}
	if best < 0 {
		a.unused = 0
		size := arenaSize
		for size < n && n <= largeArena {
			size *= 2
		}
		return make([]byte, 0, max(size, n))
	}
	c, last := a.list[best], len(a.list)-1
	a.list[best], a.list[last] = a.list[last], nil
	a.list = a.list[:last]
	a.bytes -= cap(c)
	a.unused = min(a.unused, a.bytes)
	return c
}

// put takes back an arena.
func (a *arenas) put(c []byte) {
	if cap(c) >= arenaSize && a.bytes+cap(c) <= max(a.most, leastArenas) {
		a.list = append(a.list, c[:0])
		a.bytes += cap(c)
	}
}

// memory returns the bytes of the arenas that reset gives back.
func (b *batch) memory() int {
	n := cap(b.whole)
	for _, c := range b.used {
		n += cap(c)
	}
	return n
}

func (b *batch) empty() bool { return len(b.recs) == 0 && len(b.waiters) == 0 }

// reset makes the batch ready for reuse. Requires: mu.
func (b *batch) reset(a *arenas) {
	for _, c := range b.used {
		a.put(c)
	}
	a.put(b.whole)
	if cap(b.recs) > keepRecords {
		b.recs = nil
	}
	clear(b.used)
	clear(b.recs)
	clear(b.own)
	clear(b.waiters)
	clear(b.extents)
	*b = batch{extents: b.extents[:0], recs: b.recs[:0], own: b.own[:0], waiters: b.waiters[:0], used: b.used[:0]}
}

// room makes sure that n bytes fit into the arena without moving it.
func (b *batch) room(n int, a *arenas) {
	if cap(b.chunk)-len(b.chunk) >= n {
		return
	}
	b.flushChunk()
	if b.whole != nil {
		b.used = append(b.used, b.whole)
	}
	b.start = 0
	b.chunk = a.get(n)
	b.whole = b.chunk
}

// inherit goes on filling the arena of old, which is taken and may be kept for long: a batch that waits for a sync holds the bytes of its
// records, not an arena. Batches are given back in order, so the last one that is in an arena gives it back.
func (b *batch) inherit(old *batch) {
	if free := old.chunk[len(old.chunk):]; cap(free) >= leastTail {
		b.chunk, old.chunk = free, old.chunk[:len(old.chunk):len(old.chunk)]
		b.whole, old.whole = old.whole, nil
	}
}

// flushChunk moves what the arena collected into the last extent.
func (b *batch) flushChunk() {
	if b.start == len(b.chunk) {
		return
	}
	e := &b.extents[len(b.extents)-1]
	e.bufs = append(e.bufs, b.chunk[b.start:len(b.chunk):len(b.chunk)])
	b.start = len(b.chunk)
}

// put encodes r at pos of f.
func (b *batch) put(f *file, pos Pos, r *Record, a *arenas) {
	if len(b.extents) == 0 || b.extents[len(b.extents)-1].file != f {
		b.flushChunk()
		b.extents = append(b.extents, extent{file: f, pos: pos})
	}
	total := int(size(len(r.Payload)))
	byRef := r.Own != nil && len(r.Payload) >= byRefSize
	if byRef {
		b.room(headerLen+align, a)
	} else {
		b.room(total, a)
	}
	at := len(b.chunk)
	b.chunk = b.chunk[:at+headerLen]
	header := b.chunk[at:]
	clear(header)
	payload := r.Payload
	if byRef {
		b.flushChunk()
		e := &b.extents[len(b.extents)-1]
		e.bufs = append(e.bufs, payload)
	} else {
		b.chunk = append(b.chunk, r.Payload...)
		payload = b.chunk[at+headerLen:]
	}
	for pad := total - headerLen - len(r.Payload); pad > 0; pad-- {
		b.chunk = append(b.chunk, 0)
	}
	putHeader(header, f.salt, pos, r)
	b.recs = append(b.recs, placed{pos, header, payload, byRef})
	b.extents[len(b.extents)-1].n += int64(total)
	b.bytes += int64(total)
	b.records++
}

// Append queues records and returns the position after the last. They are written in order with those of other callers;
// Submit says when they are safe. On error none of them was queued. Any goroutine; never blocks on the disk.
func (l *Log) Append(recs ...Record) (Pos, error) { return l.append(recs, 0) }

// append is Append, for a copy of a record of moving, unless that group has ended.
func (l *Log) append(recs []Record, moving GroupID) (Pos, error) {
	var total int64
	essential := true
	for i := range recs {
		if len(recs[i].Payload) > l.MaxPayload() {
			return 0, ErrTooLarge
		}
		total += size(len(recs[i].Payload))
		essential = essential && recs[i].Essential
	}
	if total > l.o.MaxQueued {
		return 0, ErrTooLarge
	}
	l.mu.Lock()
	if moving != 0 && l.mu.ended {
		l.mu.Unlock()
		return 0, errEnded
	}
	if err := l.refuse(recs, total, essential); err != nil {
		l.mu.Unlock()
		return 0, err
	}
	b := l.mu.cur
	for i := range recs {
		r := &recs[i]
		f := l.place(b, size(len(r.Payload)))
		b.put(f, l.mu.next, r, &l.mu.arenas)
		l.mu.next += Pos(size(len(r.Payload)))
		f.live[r.Group] = l.mu.next
		if r.Final && r.Group == l.mu.moving {
			l.mu.ended = true
		}
		if r.Own != nil {
			b.own = append(b.own, r.Own)
		}
	}
	pos := l.mu.next
	b.queued += total
	if l.queued.Add(total) > l.o.MaxQueued || (l.mu.tight && !l.roomy()) {
		l.full.Store(true)
	}
	l.mu.Unlock()
	l.stats.records.Add(uint64(len(recs)))
	l.stats.bytes.Add(uint64(total))
	return pos, nil
}

// refuse says why an append can not be taken. Requires: mu.
func (l *Log) refuse(recs []Record, total int64, essential bool) error {
	switch {
	case l.mu.err != nil:
		return l.mu.err
	case l.mu.closed:
		return ErrClosed
	case l.queued.Load()+total > 2*l.o.MaxQueued && !(essential && total < essentialOK):
		l.full.Store(true)
		return ErrFull // who ignores Full is refused before memory is
	case l.mu.noSpace && !essential:
		return ErrNoSpace
	case len(l.mu.live) > l.o.MaxFiles+l.o.MaxFiles/2 && !essential:
		l.full.Store(true)
		return ErrFull // nor is the disk
	}
	return l.refuseRoom(recs, total, essential)
}

// place returns the file for a record of n bytes, leaving the current one (with a commit record, so that it is
// complete in itself) when it does not fit. Requires: mu.
func (l *Log) place(b *batch, n int64) *file {
	if k := len(l.mu.live); k > 0 {
		f := l.mu.live[k-1]
		if f.remaining(l.mu.next) >= n+commitLen {
			return f
		}
		if !f.left {
			l.seal(b)
			f.end, f.left = l.mu.next, true
			l.mu.grow = min(2*max(l.mu.grow, min(f.size, l.o.FileSize)), l.o.FileSize)
		}
	}
	nf := l.nextFile(l.mu.next, fileHeaderLen+n+2*commitLen+align)
	l.mu.live = append(l.mu.live, nf)
	return nf
}

// nextFile describes the file after the current one. If none stands ready, the committer gives it blocks before it
// writes to it. Requires: mu.
func (l *Log) nextFile(start Pos, need int64) *file {
	l.mu.number++
	nf := &file{number: l.mu.number, salt: l.o.Salt(), start: start, live: map[GroupID]Pos{}}
	if n := len(l.mu.live); n > 0 {
		nf.prev = l.mu.live[n-1].number
	}
	nf.size = need
	if !l.takeSpare(nf) {
		nf.size = max(l.grown(), need)
	}
	poke(l.prepare)
	return nf
}

// takeSpare gives f the blocks of a spare file that is large enough. Requires: mu.
func (l *Log) takeSpare(f *file) bool {
	for i, s := range l.mu.spare {
		if s.size >= f.size {
			f.slot, f.size, f.f = s.slot, s.size, s.f
			l.mu.spare = append(l.mu.spare[:i], l.mu.spare[i+1:]...)
			return true
		}
	}
	return false
}

// grown is the size for new files: they double up to FileSize as files are filled, unless the volume is nearly full. Requires: mu.
func (l *Log) grown() int64 {
	if l.mu.tight {
		return l.o.FirstSize
	}
	return min(max(l.mu.grow, l.o.FirstSize), l.o.FileSize)
}

// seal closes the records of b since the last commit record with one. Requires: mu.
func (l *Log) seal(b *batch) {
	if b.records == 0 {
		return
	}
	var payload [commitLen - headerLen]byte
	putCommit(payload[:], b.records, Pos(l.synced.Load()))
	f := l.mu.live[len(l.mu.live)-1]
	b.put(f, l.mu.next, &Record{Kind: kindCommit, Payload: payload[:]}, &l.mu.arenas)
	l.mu.next += commitLen
	b.records = 0
}
