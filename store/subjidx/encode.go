package subjidx

import (
	"encoding/binary"
	"errors"
	"math"
)

// Encoding: version u8, number of subjects, then per subject in order: bytes shared with the one before, length of the rest, the
// rest, first, last - first, messages, flags u8. Numbers are uvarints.
const version = 1

// ErrCorrupt is returned for bytes that are no index.
var ErrCorrupt = errors.New("subjidx: corrupt encoding")

// Append appends the encoding of x.
func (x *Index) Append(dst []byte) []byte {
	x.order(true)
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(x.live))
	var last []byte
	for _, id := range x.sorted {
		e := x.At(id)
		if e.dead {
			continue
		}
		k := x.key(e)
		shared := 0
		for shared < len(k) && shared < len(last) && k[shared] == last[shared] {
			shared++
		}
		last = k
		dst = binary.AppendUvarint(dst, uint64(shared))
		dst = binary.AppendUvarint(dst, uint64(len(k)-shared))
		dst = append(dst, k[shared:]...)
		dst = binary.AppendUvarint(dst, e.First)
		dst = binary.AppendUvarint(dst, e.Last-e.First)
		dst = binary.AppendUvarint(dst, e.Msgs)
		dst = append(dst, byte(e.Flags))
	}
	return dst
}

// Decode replaces x by the index encoded at the start of b and returns the bytes used.
func (x *Index) Decode(b []byte) (n int, err error) {
	x.Clear()
	if len(b) == 0 || b[0] != version {
		return 0, ErrCorrupt
	}
	p := 1
	next := func() uint64 {
		v, k := binary.Uvarint(b[p:])
		if k <= 0 {
			err = ErrCorrupt
			return 0
		}
		p += k
		return v
	}
	count := next()
	var key []byte
	for i := uint64(0); i < count && err == nil; i++ {
		shared, rest := next(), next()
		if err != nil || shared > uint64(len(key)) || rest > uint64(len(b)-p) || shared+rest > MaxSubject || (i > 0 && rest == 0) {
			return x.corrupt()
		}
		suffix := b[p : p+int(rest)]
		if i > 0 && uint64(len(key)) > shared && suffix[0] <= key[shared] {
			return x.corrupt() // shared too short, or out of order
		}
		key = append(key[:shared], suffix...)
		p += int(rest)
		first, span, msgs := next(), next(), next()
		if err != nil || p >= len(b) || span > math.MaxUint64-first {
			return x.corrupt()
		}
		_, e := x.Put(key)
		e.First, e.Last, e.Msgs, e.Flags = first, first+span, msgs, Flags(b[p])
		p++
	}
	if err != nil {
		return x.corrupt()
	}
	return p, nil
}

func (x *Index) corrupt() (int, error) {
	x.Clear()
	return 0, ErrCorrupt
}
