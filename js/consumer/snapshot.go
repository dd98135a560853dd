package consumer

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"ramjet/proto/jsapi"
)

// Snapshot: magic and version, numbers as uvarints, xxhash64 of all of it (little endian).
const (
	snapMagic   = "RJCS"
	snapVersion = 1
	snapSum     = 8
)

// AppendSnapshot appends the whole state, for checkpoints and followers that lag.
func (s *State) AppendSnapshot(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, snapMagic...)
	dst = append(dst, snapVersion, byte(s.policy))
	put := func(vs ...uint64) {
		for _, v := range vs {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	put(s.delivered.Consumer, s.delivered.Stream, uint64(s.delivered.At))
	put(s.floor.Consumer, s.floor.Stream, uint64(s.floor.At), s.next)

	put(uint64(len(s.list) - s.listPos - s.listGone))
	last := uint64(0)
	for _, q := range s.list[s.listPos:] {
		if q&gone == 0 {
			put(q - last)
			last = q
		}
	}

	put(uint64(s.pending.n))
	var p entry
	for id := s.pending.head; id != nilID; id = s.pending.at(id).next {
		e := s.pending.at(id)
		flags := uint64(0)
		if e.delayed {
			flags = 1
		}
		put(e.sseq-p.sseq, e.dseq, uint64(e.ts), uint64(e.due), uint64(e.deliveries), flags)
		p = *e
	}

	put(uint64(len(s.exhausted)))
	last = 0
	for _, q := range slices.Sorted(maps.Keys(s.exhausted)) {
		put(q-last, uint64(s.exhausted[q]))
		last = q
	}
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[from:]))
}

// DecodeSnapshot reads what AppendSnapshot wrote. b is not kept.
func DecodeSnapshot(b []byte) (*State, error) {
	if len(b) < len(snapMagic)+2+snapSum || string(b[:len(snapMagic)]) != snapMagic {
		return nil, fmt.Errorf("%w: no snapshot", ErrCorrupt)
	}
	if v := b[len(snapMagic)]; v != snapVersion {
		return nil, fmt.Errorf("%w: snapshot version %d", ErrCorrupt, v)
	}
	body := b[:len(b)-snapSum]
	if binary.LittleEndian.Uint64(b[len(body):]) != xxhash.Sum64(body) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	policy := body[len(snapMagic)+1]
	if policy > byte(jsapi.AckFlowControl) {
		return nil, fmt.Errorf("%w: ack policy %d", ErrCorrupt, policy)
	}
	s := NewState(jsapi.AckPolicy(policy))
	a := args{b: body[len(snapMagic)+2:]}
	s.delivered = Pair{a.uint(), a.uint(), a.time()}
	s.floor = Pair{a.uint(), a.uint(), a.time()}
	s.next = a.uint()
	s.list = a.ascending(a.uint())
	s.decodePending(&a)
	s.decodeExhausted(&a)
	if a.bad || len(a.b) > 0 || s.next == 0 || s.next >= gone {
		return nil, fmt.Errorf("%w: content", ErrCorrupt)
	}
	return s, nil
}

func (s *State) decodePending(a *args) {
	last := uint64(0)
	for n := a.uint(); n > 0 && !a.bad; n-- {
		d := a.uint()
		e := entry{dseq: a.uint(), ts: a.time(), due: a.time()}
		dc, flags := a.uint(), a.uint()
		if d == 0 || last+d < last || last+d >= gone || dc == 0 || dc > 1<<32-1 || e.dseq == 0 || flags > 1 {
			a.bad = true
		}
		if a.bad {
			return
		}
		last += d
		at := s.pending.at(s.pending.add(last))
		at.dseq, at.ts, at.due, at.deliveries, at.delayed = e.dseq, e.ts, e.due, uint32(dc), flags == 1
		if dc > 1 {
			s.redel++
		}
	}
}

func (s *State) decodeExhausted(a *args) {
	last := uint64(0)
	for n := a.uint(); n > 0 && !a.bad; n-- {
		d, dc := a.uint(), a.uint()
		if d == 0 || last+d < last || dc > 1<<32-1 {
			a.bad = true
		}
		if a.bad {
			return
		}
		if s.exhausted == nil {
			s.exhausted = map[uint64]uint32{}
		}
		last += d
		s.exhausted[last] = uint32(dc)
	}
}
