package stream

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cespare/xxhash/v2"

	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/seqset"
)

// State file: magic 8 (its last byte tells whether the payload is encoded as a block), salt u64, payload, checksum u64 of all before. The payload has varints:
// version, next file id, applied journal index, bounds, bytes, segments, deletes, lost, erasures, the host's bytes.
const (
	stateMagic = "RJSTATE"
	statePlain = '1'
	stateBlock = 'E'
	whereState = 1<<32 - 3
	maxState   = 1 << 30
)

// segState is a segment in the state file.
type segState struct {
	id, first, last    uint64
	n                  int
	firstTime, maxTime int64
	end                uint32
	sealed             bool
}

type state struct {
	salt, nextID, applied uint64
	first, last           uint64
	lastTime              int64
	bytes, lostBytes      uint64
	segs                  []segState
	dels, lost            seqset.Set
	erasing               []erasure
	extra                 []byte
}

func (st *state) append(b []byte, dels, lost *seqset.Set) []byte {
	b = append(b, fileVersion)
	for _, v := range []uint64{st.nextID, st.applied, st.first, st.last} {
		b = uv(b, v)
	}
	b = binary.AppendVarint(b, st.lastTime)
	b = uv(uv(b, st.bytes), st.lostBytes)
	b = uv(b, uint64(len(st.segs)))
	for _, g := range st.segs {
		b = uv(uv(uv(uv(b, g.id), g.first), g.last-g.first), uint64(g.n))
		b = binary.AppendVarint(binary.AppendVarint(b, g.firstTime), g.maxTime)
		b = uv(b, uint64(g.end))
		if g.sealed {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	b = dels.Append(b)
	b = lost.Append(b)
	b = uv(b, uint64(len(st.erasing)))
	for _, e := range st.erasing {
		b = uv(uv(uv(b, e.id), uint64(e.off)), uint64(e.n))
	}
	b = uv(b, uint64(len(st.extra)))
	return append(b, st.extra...)
}

func parsePayload(b []byte) (*state, bool) {
	r := &reader{b: b}
	if r.byte() != fileVersion {
		return nil, false
	}
	st := &state{nextID: r.uint(), applied: r.uint(), first: r.uint(), last: r.uint(), lastTime: r.int(), bytes: r.uint(), lostBytes: r.uint()}
	st.segs = make([]segState, r.count(8))
	end := uint64(0)
	for i := range st.segs {
		g := segState{id: r.uint(), first: r.uint()}
		g.last = g.first + r.uint()
		g.n = int(r.uint())
		g.firstTime, g.maxTime, g.end = r.int(), r.int(), uint32(r.uint())
		g.sealed = r.byte() == 1
		r.bad = r.bad || g.last < g.first || (i > 0 && g.first <= end) || g.n <= 0 || uint64(g.n-1) > g.last-g.first || g.last > st.last ||
			(!g.sealed && i < len(st.segs)-1)
		end = g.last
		st.segs[i] = g
	}
	if r.bad {
		return nil, false
	}
	for _, set := range []*seqset.Set{&st.dels, &st.lost} {
		n, err := set.Decode(r.b)
		if err != nil {
			return nil, false
		}
		r.b = r.b[n:]
	}
	st.erasing = make([]erasure, r.count(3))
	for i := range st.erasing {
		st.erasing[i] = erasure{id: r.uint(), off: uint32(r.uint()), n: uint32(r.uint())}
	}
	st.extra = slices.Clone(r.bytes(r.uint()))
	if r.bad || len(r.b) > 0 || !st.plausible() {
		return nil, false
	}
	return st, true
}

// plausible checks bounds against deletes.
func (st *state) plausible() bool {
	if st.first > st.last+1 || (st.first == 0 && st.last > 0) {
		return false
	}
	lo, ok := st.dels.Min()
	if !ok {
		return true
	}
	hi, _ := st.dels.Max()
	return lo > st.first && hi <= st.last && st.dels.Len() <= st.last-st.first
}

// sealState makes the content of a state file.
func sealState(salt uint64, payload []byte, codec *crypt.Codec) []byte {
	b := append(make([]byte, 0, len(payload)+64), stateMagic...)
	if codec.Plain() {
		b = append(binary.LittleEndian.AppendUint64(append(b, statePlain), salt), payload...)
	} else {
		b = binary.LittleEndian.AppendUint64(append(b, stateBlock), salt)
		b = codec.Append(b, payload, where(salt, whereState))
	}
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

// parseState reads a state file.
func parseState(b []byte, codec *crypt.Codec) (*state, error) {
	n := len(b) - 8
	if n < 16 || string(b[:7]) != stateMagic || (b[7] != statePlain && b[7] != stateBlock) || binary.LittleEndian.Uint64(b[n:]) != xxhash.Sum64(b[:n]) {
		return nil, ErrCorrupt
	}
	salt := binary.LittleEndian.Uint64(b[8:])
	payload := b[16:n]
	if b[7] == stateBlock {
		var err error
		if payload, err = codec.Open(payload, where(salt, whereState), maxState); err != nil {
			return nil, errors.Join(ErrKey, err)
		}
	}
	st, ok := parsePayload(payload)
	if !ok {
		return nil, ErrCorrupt
	}
	st.salt = salt
	return st, nil
}

// Checkpoint makes the present state durable: everything appended and removed so far, applied (the journal index it stands for) and extra, bytes of
// the host that Open gives back. done is called on the writer, must only post, and with nil allows the host to release the journal up
// to applied. With a full disk it waits for space; with a failed sync it gets the error and the journal must be kept.
func (s *Store) Checkpoint(applied uint64, extra []byte, done func(error)) {
	s.Poll()
	if s.closed {
		done(ErrClosed)
		return
	}
	for _, seg := range slices.Clone(s.Segments()) {
		if seg.Live == 0 && seg.Sealed && s.NoneLive(seg.First, seg.Last) { // was unreadable, and now is not needed
			s.Discard(seg)
			s.forget(seg)
		}
	}
	st := &state{salt: s.Salt(), nextID: s.nextID, applied: applied, bytes: s.Bytes(), extra: extra, erasing: s.erasing}
	st.first, st.last, st.lastTime = s.Bounds()
	for _, seg := range s.Segments() {
		if seg.N == 0 {
			continue
		}
		if !seg.Sealed {
			s.flush(seg)
		}
		st.segs = append(st.segs, segState{
			id: seg.ID, first: seg.First, last: seg.Last, n: seg.N,
			firstTime: seg.FirstTime, maxTime: seg.MaxTim, end: seg.End, sealed: seg.Sealed,
		})
	}
	st.lostBytes = s.LostBytes()
	payload := st.append(nil, s.DeletedSet(), s.Lost())
	gone, erase := s.dropped, s.erasing
	s.dropped, s.erasing = nil, nil
	var files []*file
	for _, seg := range s.Segments() {
		files = append(files, hostOf(seg))
	}
	s.give(job{failed: done, save: &saving{payload: payload, failed: done, then: func() {
		s.post(func() { s.applied = max(s.applied, applied) })
		s.tidy(gone, erase, files)
		done(nil)
	}}})
}

// tidy removes files and content that no durable state refers to. Failures leave garbage that the next Open finds. Writer.
func (s *Store) tidy(gone []uint64, erase []erasure, files []*file) {
	for _, e := range erase {
		for _, f := range files {
			if f.id != e.id {
				continue
			}
			if err := s.eraseRecord(f, e); err != nil {
				s.post(func() { s.erasing = append(s.erasing, e) })
			}
		}
	}
	for _, id := range gone {
		_ = s.env.FS.Remove(segName(s.dir, id))
	}
	for _, f := range files {
		if f.f != nil && !f.dirty { // opened again for the next write: idle streams hold no descriptor
			_ = f.f.Close()
			f.f = nil
		}
	}
}

// eraseRecord overwrites the content of a record. In an encoded file that takes a rewrite of the segment. Writer.
func (s *Store) eraseRecord(f *file, e erasure) error {
	if f.encoded {
		s.post(func() { f.rewrite = true; s.compactErased() })
		return nil
	}
	h, err := s.env.FS.OpenRW(f.name)
	if err != nil {
		return err
	}
	defer h.Close()
	b, err := readAll(h, headerLen+int64(e.off), int(e.n))
	if err != nil {
		return err
	}
	var seed [8]byte
	s.random(seed[:])
	msgtab.Erase(b, s.Salt(), binary.LittleEndian.Uint64(seed[:])|1)
	if _, err = h.WriteAt(b, headerLen+int64(e.off)); err != nil {
		return err
	}
	return h.SyncData()
}
