package consumer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ramjet/proto/jsapi"
)

// ErrCorrupt is the error of bytes that are no commands or no snapshot of a consumer.
var ErrCorrupt = errors.New("consumer: corrupt state")

// args reads numbers.
type args struct {
	b   []byte
	bad bool
}

func (a *args) uint() uint64 {
	v, n := binary.Uvarint(a.b)
	if n <= 0 {
		a.bad = true
		return 0
	}
	a.b = a.b[n:]
	return v
}

func (a *args) time() int64 { return int64(a.uint()) }

// ascending reads n differences of a strictly ascending list.
func (a *args) ascending(n uint64) []uint64 {
	if n > uint64(len(a.b)) {
		a.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	list := make([]uint64, n)
	last := uint64(0)
	for i := range list {
		d := a.uint()
		if d == 0 || last+d < last || last+d >= gone {
			a.bad = true
			return nil
		}
		last += d
		list[i] = last
	}
	return list
}

// Apply applies a batch of commands made by Commands of the leader. An error means that batch is damaged; commands
// before the damage have been applied, so the state must not be used any more.
func (s *State) Apply(batch []byte) error {
	if len(batch) == 0 {
		return nil
	}
	if batch[0] != cmdVersion {
		return fmt.Errorf("%w: version %d", ErrCorrupt, batch[0])
	}
	a := args{b: batch[1:]}
	for len(a.b) > 0 {
		kind := a.b[0]
		a.b = a.b[1:]
		if !s.apply(kind, &a) || a.bad {
			return fmt.Errorf("%w: command %d", ErrCorrupt, kind)
		}
	}
	return nil
}

func (s *State) apply(kind byte, a *args) bool {
	switch kind {
	case cmdStart:
		next, n := a.uint(), a.uint()
		list := a.ascending(n)
		if a.bad || next >= gone {
			return false
		}
		s.start(next, list)
	case cmdFresh:
		dseq, sseq, n, ts, wait := a.uint(), a.uint(), a.uint(), a.time(), a.uint()
		if a.bad || n == 0 || n > maxRun || sseq == 0 || sseq+n >= gone || dseq == 0 || dseq+n < dseq {
			return false
		}
		due := dueOf(ts, wait)
		for i := range n {
			if s.fresh(dseq+i, sseq+i, ts, due) == nilID {
				return false
			}
		}
	case cmdMoved:
		dseq, sseq, ts := a.uint(), a.uint(), a.time()
		if a.bad || dseq == 0 || sseq == 0 || sseq >= gone || s.policy != jsapi.AckNone {
			return false
		}
		s.fresh(dseq, sseq, ts, never)
	case cmdAgain:
		dseq, sseq, dc, ts, wait := a.uint(), a.uint(), a.uint(), a.time(), a.uint()
		if a.bad || dc == 0 || dc > 1<<32-1 {
			return false
		}
		s.again(dseq, sseq, uint32(dc), ts, dueOf(ts, wait))
	case cmdAck:
		sseq, n, ts := a.uint(), a.uint(), a.time()
		if a.bad || n > maxRun {
			return false
		}
		for i := range n {
			s.acked(sseq+i, ts)
		}
	case cmdAckAll:
		sseq, dseq, ts := a.uint(), a.uint(), a.time()
		if a.bad {
			return false
		}
		s.ackedAll(sseq, dseq, ts)
	default:
		return s.applyRare(kind, a)
	}
	return true
}

func (s *State) applyRare(kind byte, a *args) bool {
	seq := a.uint()
	if a.bad {
		return false
	}
	switch kind {
	case cmdRetry:
		due := a.time()
		if id, ok := s.pending.find(seq); ok {
			s.retry(id, due)
		}
	case cmdProgress:
		ts, wait := a.time(), a.uint()
		if id, ok := s.pending.find(seq); ok {
			s.progress(id, ts, dueOf(ts, wait))
		}
	case cmdExhaust:
		if id, ok := s.pending.find(seq); ok {
			s.exhaust(id)
		}
	case cmdDrop:
		n := a.uint()
		if a.bad || n > maxRun {
			return false
		}
		for i := range n {
			s.drop(seq + i)
		}
	case cmdDropBelow:
		if seq >= gone {
			return false
		}
		s.dropBelow(seq)
	case cmdPurged:
		if seq == 0 || seq >= gone {
			return false
		}
		s.purged(seq)
	case cmdSkip:
		if seq >= gone {
			return false
		}
		s.skip(seq)
	case cmdReset:
		if seq == 0 || seq >= gone {
			return false
		}
		s.reset(seq)
	case cmdPullBack:
		if seq >= gone {
			return false
		}
		s.pullBack(seq)
	default:
		return false
	}
	return !a.bad
}
