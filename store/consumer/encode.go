package consumer

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

// Encoding: magic 4, version u8, varints: applied, delivered, floor, number of pending and per entry the differences of stream
// sequence, consumer sequence (signed) and time (signed) to the entry before; number of redelivered and per entry difference and count;
// length of extra, extra; then the checksum u64 of all before.
const (
	magic   = "RJCO"
	version = 1
)

// ErrCorrupt is returned for bytes that are no state.
var ErrCorrupt = errors.New("consumer: corrupt state")

// Append appends the encoding of s.
func Append(dst []byte, s *State) []byte {
	at := len(dst)
	dst = append(append(dst, magic...), version)
	for _, v := range []uint64{s.Applied, s.Delivered.Consumer, s.Delivered.Stream, s.AckFloor.Consumer, s.AckFloor.Stream, uint64(len(s.Pending))} {
		dst = binary.AppendUvarint(dst, v)
	}
	var last Pending
	for _, p := range s.Pending {
		dst = binary.AppendUvarint(dst, p.Stream-last.Stream)
		dst = binary.AppendVarint(dst, int64(p.Consumer-last.Consumer))
		dst = binary.AppendVarint(dst, p.Time-last.Time)
		last = p
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Redelivered)))
	seq := uint64(0)
	for _, r := range s.Redelivered {
		dst = binary.AppendUvarint(dst, r.Stream-seq)
		dst = binary.AppendUvarint(dst, r.Count)
		seq = r.Stream
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Extra)))
	dst = append(dst, s.Extra...)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[at:]))
}

// Decode reads the encoding b, all of it, into s. Memory is bounded by 8 times len(b). s.Extra is a copy.
func Decode(b []byte, s *State) error {
	*s = State{}
	n := len(b) - 8
	if n < len(magic)+1 || string(b[:4]) != magic || b[4] != version || binary.LittleEndian.Uint64(b[n:]) != xxhash.Sum64(b[:n]) {
		return ErrCorrupt
	}
	d := decoder{b: b[5:n]}
	out := State{Applied: d.uint()}
	out.Delivered = Pos{d.uint(), d.uint()}
	out.AckFloor = Pos{d.uint(), d.uint()}
	if k := d.count(3); k > 0 {
		out.Pending = make([]Pending, k)
	}
	var last Pending
	for i := range out.Pending {
		p := Pending{Stream: last.Stream + d.uint(), Consumer: last.Consumer + uint64(d.int()), Time: last.Time + d.int()}
		if p.Stream <= last.Stream && i > 0 {
			d.bad = true
		}
		out.Pending[i] = p
		last = p
	}
	if k := d.count(2); k > 0 {
		out.Redelivered = make([]Redelivered, k)
	}
	seq := uint64(0)
	for i := range out.Redelivered {
		r := Redelivered{Stream: seq + d.uint(), Count: d.uint()}
		if r.Stream <= seq && i > 0 {
			d.bad = true
		}
		out.Redelivered[i] = r
		seq = r.Stream
	}
	k := d.uint()
	if d.bad || k != uint64(len(d.b)) {
		return ErrCorrupt
	}
	out.Extra = append(out.Extra, d.b...)
	*s = out
	return nil
}

// decoder reads varints; after an error everything is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}
