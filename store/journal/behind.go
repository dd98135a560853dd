package journal

// behind is a sync that goes on while the committer writes: what nobody waits for is kept in memory until it is synced, and should not be kept for long.
// Before anything else is synced it has ended: the kernel tells of a failure once. One at a time. Owner: who holds Log.turn.
type behind struct {
	file    *file // nil: there is none
	upto    Pos   // what it covers
	batches int   // of Log.unsynced, the oldest
	bytes   int64
	result  chan error // capacity 1
}

// behindDue reports that a sync behind is to be started: much was written, or the timer said so. Requires: turn.
func (l *Log) behindDue() bool {
	return l.behind.file == nil && l.writeErr == nil && (l.unsyncedN >= l.o.behindAt || l.syncDue.Load())
}

// syncBehind starts a sync of everything that was written, if it is time. Owner: the committer.
func (l *Log) syncBehind() {
	if !l.behindDue() || l.failed() != nil {
		return
	}
	l.disarmSync()
	if len(l.unsynced) == 0 {
		return
	}
	l.behind = behind{file: l.open, upto: l.writtenUpTo(), batches: len(l.unsynced), bytes: l.unsyncedN, result: make(chan error, 1)}
	l.dirty = false
	if l.o.Stepped {
		return // Step ends it
	}
	l.done.Add(1)
	go func(f *file, result chan<- error) {
		defer l.done.Done()
		result <- l.syncOne(f)
		poke(l.kick)
	}(l.behind.file, l.behind.result)
}

// settle takes in the outcome of a sync behind; with wait it waits for it. An error is that of the sync: failover comes next. Requires: turn.
func (l *Log) settle(wait bool) error {
	b := l.behind
	if b.file == nil {
		return nil
	}
	var err error
	switch {
	case l.o.Stepped && wait && len(b.result) == 0:
		err = l.syncOne(b.file)
	case wait:
		err = <-b.result
	default:
		select {
		case err = <-b.result:
		default:
			return nil
		}
	}
	l.behind = behind{}
	if err != nil {
		return err
	}
	l.synced.Store(uint64(b.upto))
	l.reuse(b.batches, b.bytes)
	return nil
}
