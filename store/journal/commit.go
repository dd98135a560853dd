package journal

import (
	"fmt"
	"slices"
	"time"

	"ramjet/store"
)

// syncAtLeast is how long written records that nobody waits for may stay unsynced.
const syncAtLeast = 250 * time.Millisecond

// run is the committer's goroutine.
func (l *Log) run() {
	defer l.done.Done()
	for {
		select {
		case <-l.kick:
		case <-l.stop:
			for l.commit() {
			}
			l.finish()
			return
		}
		for l.commit() {
		}
		l.ease()
	}
}

// Step does one piece of the work of a stepped journal: a commit, or what the preparer has to do; false when there was nothing.
// One goroutine at a time.
func (l *Log) Step() bool {
	if l.commit() {
		return true
	}
	if b := &l.behind; b.file != nil && len(b.result) == 0 {
		b.result <- l.syncOne(b.file)
		return true
	}
	select {
	case <-l.kick:
		l.ease()
		return true
	case <-l.prepare:
		l.prepareFiles()
		return true
	default:
		return false
	}
}

const (
	inlineMost = 64 << 10               // what TryWrite writes at most, in bytes
	slowWrite  = 500 * time.Microsecond // a write to the page cache that took longer was held up
	calmShare  = 20                     // who writes only while Calm is held up for a twentieth of the time at most
	calmBurst  = 20 * time.Millisecond  // and for so long before it counts: a write may only have lost its processor
)

// TryWrite hands what was appended to the operating system on the goroutine of the caller, if that is little, nobody waits for the disk
// with it and the committer rests. True: everything that the caller appended before is written. Else Submit; a write that failed is made good by the
// committer then. It makes one or two writes to the page cache and may block as long as the kernel holds up who dirties memory: for a loop, which has
// connections to serve, only while Calm. Any other goroutine.
func (l *Log) TryWrite() bool {
	if !l.turn.TryLock() {
		return false
	}
	defer l.turn.Unlock()
	if !l.light() {
		return false
	}
	start := l.o.Clock.Now()
	done := l.commitTurn(true)
	end := l.o.Clock.Now()
	if took := end.Sub(start); took > slowWrite {
		l.calmAt.Store(max(l.calmAt.Load(), end.UnixNano()) + int64(calmShare*took))
	}
	return done
}

// Calm reports that TryWrite was not held up much lately. Any goroutine.
func (l *Log) Calm() bool {
	return l.o.Clock.Now().UnixNano() >= l.calmAt.Load()-int64(calmShare*calmBurst)
}

// light reports that the open batch can be written at once.
func (l *Log) light() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.mu.cur
	return !l.mu.closed && l.mu.err == nil && l.writeErr == nil && b.bytes <= inlineMost && l.unsyncedN+b.bytes < maxUnsynced-inlineMost &&
		(len(b.extents) == 0 || len(b.extents) == 1 && b.extents[0].file == l.open) && !b.wantsSync()
}

// commit commits one batch; false when there was nothing to do.
func (l *Log) commit() bool {
	l.turn.Lock()
	defer l.turn.Unlock()
	return l.commitTurn(false)
}

// commitTurn is commit. With inline, for a batch that is light, it does nothing that takes long: a write that fails is left to the next turn, and the
// result is false. Requires: turn.
func (l *Log) commitTurn(inline bool) bool {
	var err error
	if !inline {
		err = l.settle(false)
	}
	b := l.take()
	if b == nil && l.writeErr == nil && err == nil {
		if !inline {
			l.syncBehind()
		}
		return inline
	}
	if err == nil {
		err = l.writeErr
	}
	if l.writeErr = nil; b != nil {
		if err == nil {
			err = l.write(b)
		}
		l.unsynced = append(l.unsynced, b)
		l.unsyncedN += b.bytes
	}
	if inline && err != nil {
		l.writeErr = err
		l.late = append(l.late, b.waiters...)
		b.waiters = nil
		l.queued.Add(-b.queued)
		poke(l.kick)
		return false
	}
	if err == nil && l.unsyncedN >= maxUnsynced {
		err = l.settle(true)
	}
	synced := err == nil && (b.wantsSync() || l.unsyncedN >= maxUnsynced)
	if synced {
		if err = l.settle(true); err == nil && l.dirty {
			err = l.syncFile(l.open)
		}
	}
	if err != nil {
		// Afterwards everything is in a fresh file and synced, or the volume failed for good.
		err, synced = l.failover(err), true
	}
	if synced && err == nil {
		l.synced.Store(uint64(l.writtenUpTo()))
	}
	for _, w := range l.late {
		w.done(err)
	}
	l.late = nil
	if b != nil {
		for _, w := range b.waiters {
			w.done(err)
		}
		l.queued.Add(-b.queued)
		l.ease()
	}
	if synced {
		l.reuse(len(l.unsynced), l.unsyncedN)
		return true
	}
	l.armSync()
	if !inline {
		l.syncBehind()
	} else if l.behindDue() {
		poke(l.kick)
	}
	return true
}

// wantsSync reports whether anybody waits for the disk.
func (b *batch) wantsSync() bool {
	if b == nil {
		return false
	}
	for _, w := range b.waiters {
		if w.policy == store.SyncDurable {
			return true
		}
	}
	return false
}

// writtenUpTo is the position after the last record of the unsynced batches.
func (l *Log) writtenUpTo() Pos {
	for i := len(l.unsynced) - 1; i >= 0; i-- {
		if e := l.unsynced[i].extents; len(e) > 0 {
			last := e[len(e)-1]
			return last.pos + Pos(last.n)
		}
	}
	return Pos(l.synced.Load())
}

// armSync asks for a sync of what nobody waits for, once per interval.
func (l *Log) armSync() {
	if l.timer != nil {
		return
	}
	d := l.o.Interval
	if d == 0 {
		d = syncAtLeast
	}
	l.timer = l.o.Clock.AfterFunc(d, func() {
		l.syncDue.Store(true)
		poke(l.kick)
	})
}

// disarmSync forgets the timer: what it is for is being synced.
func (l *Log) disarmSync() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.syncDue.Store(false)
}

// reuse gives back what the oldest n batches hold, which are synced.
func (l *Log) reuse(n int, bytes int64) {
	if n == len(l.unsynced) {
		l.disarmSync()
	}
	back := 0
	for _, b := range l.unsynced[:n] {
		for _, own := range b.own {
			own()
		}
		back += b.memory()
	}
	l.mu.Lock()
	l.mu.arenas.keep(back)
	for _, b := range l.unsynced[:n] {
		b.reset(&l.mu.arenas)
		if len(l.mu.free) < keepBatches {
			l.mu.free = append(l.mu.free, b)
		}
	}
	l.mu.Unlock()
	l.unsynced = slices.Delete(l.unsynced, 0, n)
	l.unsyncedN -= bytes
}

// Age lets go of memory that was kept and that nobody needed since the last call. It returns how many bytes that were, and are left. Any goroutine.
func (l *Log) Age() (freed, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.free) > 0 {
		clear(l.mu.free)
		l.mu.free = l.mu.free[:0]
	}
	return l.mu.arenas.age()
}

// finish makes the last records durable before the files are closed.
func (l *Log) finish() {
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	err := l.settle(true)
	if l.failed() != nil {
		return
	}
	if err != nil || len(l.unsynced) > 0 {
		if err == nil {
			err = l.syncFile(l.open)
		}
		if err != nil {
			if err = l.failover(err); err != nil {
				return
			}
		}
		l.synced.Store(uint64(l.writtenUpTo()))
		l.reuse(len(l.unsynced), l.unsyncedN)
	}
	if l.wrote && l.prove() != nil {
		return
	}
	if (l.wrote || l.unmarked()) && l.closeMark() == nil {
		_ = l.syncFile(l.open) // what anybody waits for is durable already
	}
}

// take swaps the open batch for an empty one.
func (l *Log) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.mu.cur
	if b.empty() {
		return nil
	}
	l.seal(b)
	b.flushChunk()
	if n := len(l.mu.free); n > 0 {
		l.mu.cur, l.mu.free = l.mu.free[n-1], l.mu.free[:n-1]
	} else {
		l.mu.cur = &batch{}
	}
	l.mu.cur.inherit(b)
	return b
}

// write puts the extents of b into their files.
func (l *Log) write(b *batch) error {
	if err := l.failed(); err != nil {
		return err
	}
	defer func() { clear(l.iov) }()
	for i := range b.extents {
		e := &b.extents[i]
		if e.file != l.open {
			if err := l.start(e.file); err != nil {
				return err
			}
		}
		if err := l.cover(e.file, e.pos+Pos(e.n)); err != nil {
			return err
		}
		l.dirty = true
		l.iov = append(l.iov[:0], e.bufs...) // WriteV changes it, and a failover needs what it was
		if _, err := e.file.f.WriteV(l.iov, e.file.offset(e.pos)); err != nil {
			return err
		}
	}
	l.wrote = true
	l.stats.batches.Add(1)
	return nil
}

func (l *Log) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// start begins writing a new file: the old one is synced first, so that a following file proves the one before.
func (l *Log) start(f *file) error {
	if err := l.settle(true); err != nil {
		return err
	}
	if l.dirty {
		if err := l.syncFile(l.open); err != nil {
			return err
		}
	}
	if err := l.attach(f); err != nil {
		return err
	}
	// The header is synced by itself: a torn header in front of durable records would hide them.
	return l.enter(f, nil)
}

// enter writes the header of f, and with it what moves there and was not acknowledged, and syncs.
func (l *Log) enter(f *file, moved [][]byte) error {
	l.mu.Lock()
	oldest := l.mu.live[0].number
	f.high, f.low = f.ahead(l.mu.next), 0
	if l.idle() {
		f.low = f.start
	}
	l.mu.Unlock()
	putFileHeader(l.header[:], f, oldest)
	if _, err := f.f.WriteV(append([][]byte{l.header[:]}, moved...), 0); err != nil {
		return err
	}
	if err := l.syncFile(f); err != nil {
		return err
	}
	l.open = f
	l.oldestSaid.Store(oldest)
	poke(l.prepare) // retired files may go now
	return nil
}

func (l *Log) syncFile(f *file) error {
	err := l.syncOne(f)
	if err == nil {
		l.dirty = false
	}
	return err
}

// syncOne syncs f and counts it. Any goroutine.
func (l *Log) syncOne(f *file) error {
	t0 := l.o.Clock.Now()
	err := f.f.SyncData()
	l.stats.syncs.Add(1)
	l.stats.nanos.Add(uint64(l.o.Clock.Now().Sub(t0)))
	return err
}

// failover is what follows a failed write or sync: the range is never written or synced again. What was not synced yet is
// still in memory, goes to a fresh file at the same positions and is synced there; if that fails too, the volume failed.
func (l *Log) failover(cause error) error {
	if l.failed() != nil {
		return l.failed()
	}
	if l.o.OnSyncErr != nil {
		l.o.OnSyncErr(cause)
	}
	_ = l.settle(true) // cause is enough
	f, bufs := l.relocate()
	err := l.attach(f)
	if err == nil {
		if err = l.enter(f, bufs); err == nil {
			return nil
		}
	}
	err = fmt.Errorf("%w: %w (after %w)", ErrFailed, err, cause)
	l.mu.Lock()
	l.mu.err = err
	late := l.mu.cur.waiters
	l.mu.cur.waiters = nil
	l.mu.Unlock()
	for _, w := range late {
		w.done(err)
	}
	if l.o.OnFailure != nil {
		l.o.OnFailure(err)
	}
	return err
}

// relocate moves every record that is not synced, also of the open batch, to a new file that continues at the last synced
// position, and returns the file and what is to be written to it now.
func (l *Log) relocate() (*file, [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := Pos(l.synced.Load())
	// Files that start after the synced position were never proven: their records move.
	keep := len(l.mu.live)
	for keep > 1 && l.mu.live[keep-1].start > from {
		keep--
	}
	if l.mu.live[keep-1].start == from && keep > 1 {
		keep--
	}
	dropped := l.mu.live[keep:]
	need := int64(l.mu.next-from) + fileHeaderLen + commitLen
	nf := l.nextFile(from, need)
	nf.prev = l.mu.live[keep-1].number
	for _, d := range dropped {
		d.bad = true
		for g, p := range d.live {
			nf.live[g] = max(nf.live[g], p)
		}
		if d.f != nil {
			l.mu.retired = append(l.mu.retired, d)
		}
	}
	left := l.mu.live[keep-1]
	left.end, left.left, left.bad = from, true, true
	for g, p := range left.live {
		if p > from {
			nf.live[g] = max(nf.live[g], p)
		}
	}
	l.mu.live = append(l.mu.live[:keep:keep], nf)
	var bufs [][]byte
	for _, b := range l.unsynced {
		bufs = append(bufs, b.rebase(nf)...)
	}
	l.mu.cur.rebase(nf)
	return nf, bufs
}

// rebase makes f the file of every record of b and returns its buffers.
func (b *batch) rebase(f *file) [][]byte {
	if len(b.recs) == 0 {
		return nil
	}
	b.flushChunk()
	e := extent{file: f, pos: b.recs[0].pos}
	for i := range b.extents {
		e.bufs = append(e.bufs, b.extents[i].bufs...)
		e.n += b.extents[i].n
	}
	clear(b.extents)
	b.extents = append(b.extents[:0], e)
	for _, r := range b.recs {
		resum(r.header, f.salt, r.pos, r.payload)
	}
	return e.bufs
}
