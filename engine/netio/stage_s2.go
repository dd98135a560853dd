package netio

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync/atomic"

	"github.com/klauspost/compress/s2"

	"ramjet/proto/base/bufpool"
)

// S2Level is how hard an S2 stage compresses.
type S2Level uint32

// The levels. With S2Uncompressed bytes are framed only.
const (
	S2Uncompressed S2Level = iota
	S2Fast
	S2Better
	S2Best
)

// Chunks of the S2 framing format: one byte of type, three of length (little endian), the body.
const (
	s2Compressed   = 0x00
	s2Plain        = 0x01
	s2FirstSkipped = 0x80 // up to s2Identifier: may be ignored
	s2Identifier   = 0xff

	s2Head     = 4
	s2Checksum = 4
	s2Block    = 256 << 10 // plain bytes in one chunk that we send
	s2MaxBlock = 4 << 20   // plain bytes in one chunk of a peer
	s2Pooled   = 64 << 10  // what is kept of a cut chunk's memory
)

var (
	s2Magic     = []byte("\xff\x06\x00\x00S2sTwO")
	snappyMagic = []byte("sNaPpY")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// S2Stage compresses the bytes of a connection in the S2 framing format (reference/interserver.md, 0.1): each
// sealed run is a stream identifier and chunks. Its levels may be changed while it is in use.
type S2Stage struct {
	level  atomic.Uint32
	begun  bool   // loop: the peer's stream identifier was seen
	part   []byte // loop: a cut chunk
	skip   int    // loop: bytes of a chunk that is ignored, still to come
	plain  atomic.Int64
	sealed atomic.Int64
}

// NewS2 returns a stage that compresses with level; Conn.Push it at the byte where both sides agreed to.
func NewS2(level S2Level) *S2Stage {
	s := &S2Stage{}
	s.level.Store(uint32(level))
	return s
}

// SetLevel changes how hard later output is compressed. Any goroutine.
func (s *S2Stage) SetLevel(l S2Level) { s.level.Store(uint32(l)) }

// Level returns the level in use. Any goroutine.
func (s *S2Stage) Level() S2Level { return S2Level(s.level.Load()) }

// Ratio returns the bytes that were sealed, before and after. Any goroutine.
func (s *S2Stage) Ratio() (plain, sealed int64) { return s.plain.Load(), s.sealed.Load() }

// errS2 are violations of the framing format.
var (
	errS2Start    = errors.New("netio: s2: no stream identifier")
	errS2Chunk    = errors.New("netio: s2: chunk of unknown type")
	errS2Length   = errors.New("netio: s2: bad length of a chunk")
	errS2Checksum = errors.New("netio: s2: checksum does not match")
)

// Open implements Stage.
func (s *S2Stage) Open(in []byte, emit func([]byte) error) error {
	for len(in) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(in))
			s.skip -= n
			in = in[n:]
			continue
		}
		chunk, used, err := s.chunk(in)
		if err != nil {
			return &stageError{ReasonReadError, err}
		}
		in = in[used:]
		if chunk == nil {
			continue // skipped, or not complete: then in is empty
		}
		if err := s.decode(chunk, emit); err != nil {
			return err
		}
		if len(s.part) > 0 {
			if s.part = s.part[:0]; cap(s.part) > s2Pooled {
				s.part = nil
			}
		}
	}
	return nil
}

// chunk returns the next chunk, head included, in the memory of in or of s.part, and how much of in was taken.
func (s *S2Stage) chunk(in []byte) (chunk []byte, used int, err error) {
	if len(s.part) == 0 && len(in) >= s2Head {
		n, skip, err := s.measure(in)
		if err != nil {
			return nil, 0, err
		}
		if skip {
			s.skip = n - s2Head
			return nil, s2Head, nil
		}
		if len(in) >= n {
			return in[:n], n, nil
		}
	}
	for {
		want := s2Head
		if len(s.part) >= s2Head {
			n, skip, err := s.measure(s.part)
			if err != nil {
				return nil, 0, err
			}
			if skip {
				s.skip, s.part = n-s2Head, s.part[:0]
				return nil, used, nil
			}
			if len(s.part) == n {
				return s.part, used, nil
			}
			want = n
		}
		if used == len(in) {
			return nil, used, nil
		}
		k := min(want-len(s.part), len(in)-used)
		s.part = append(s.part, in[used:used+k]...) // grows with what arrives, not with what is announced
		used += k
	}
}

// measure reads the head of a chunk: its length with the head, and whether it is to be skipped.
func (s *S2Stage) measure(b []byte) (n int, skip bool, err error) {
	kind := b[0]
	n = int(b[1]) | int(b[2])<<8 | int(b[3])<<16
	switch {
	case kind == s2Identifier:
		if n != len(snappyMagic) {
			return 0, false, errS2Length
		}
		return n + s2Head, false, nil
	case !s.begun:
		return 0, false, errS2Start
	case kind == s2Compressed:
		if n < s2Checksum+1 || n > s2Checksum+s2.MaxEncodedLen(s2MaxBlock) {
			return 0, false, errS2Length
		}
	case kind == s2Plain:
		if n < s2Checksum || n > s2Checksum+s2MaxBlock {
			return 0, false, errS2Length
		}
	case kind >= s2FirstSkipped:
		return n + s2Head, true, nil
	default:
		return 0, false, errS2Chunk
	}
	return n + s2Head, false, nil
}

// decode emits the content of a complete chunk.
func (s *S2Stage) decode(chunk []byte, emit func([]byte) error) error {
	body := chunk[s2Head:]
	if chunk[0] == s2Identifier {
		if string(body) != string(s2Magic[s2Head:]) && string(body) != string(snappyMagic) {
			return &stageError{ReasonReadError, errS2Start}
		}
		s.begun = true
		return nil
	}
	sum, body := binary.LittleEndian.Uint32(body), body[s2Checksum:]
	if chunk[0] == s2Plain {
		if masked(body) != sum {
			return &stageError{ReasonReadError, errS2Checksum}
		}
		if len(body) == 0 {
			return nil
		}
		return emit(body)
	}
	n, err := s2.DecodedLen(body)
	if err != nil || n > s2MaxBlock {
		return &stageError{ReasonReadError, errS2Length}
	}
	f := bufpool.Get(n)
	defer f.Release()
	plain, err := s2.Decode(f.B[:n], body)
	if err != nil {
		return &stageError{ReasonReadError, err}
	}
	if masked(plain) != sum {
		return &stageError{ReasonReadError, errS2Checksum}
	}
	if len(plain) == 0 {
		return nil
	}
	return emit(plain)
}

// masked is the checksum of the framing format.
func masked(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b)
	return (c>>15 | c<<17) + 0xa282ead8
}

// Seal implements Stage: one complete stream of chunks.
func (s *S2Stage) Seal(dst, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return dst, nil
	}
	level, before := S2Level(s.level.Load()), len(dst)
	s.plain.Add(int64(len(plain)))
	dst = append(dst, s2Magic...)
	for len(plain) > 0 {
		n := min(len(plain), s2Block)
		dst = appendS2(dst, plain[:n], level)
		plain = plain[n:]
	}
	s.sealed.Add(int64(len(dst) - before))
	return dst, nil
}

// appendS2 appends one chunk; a block that does not get smaller is sent as it is.
func appendS2(dst, b []byte, level S2Level) []byte {
	at := len(dst)
	sum := masked(b)
	if level != S2Uncompressed && len(b) > s2Head {
		room := s2.MaxEncodedLen(len(b))
		f := bufpool.Get(room)
		var out []byte
		switch level {
		case S2Better:
			out = s2.EncodeBetter(f.B[:room], b)
		case S2Best:
			out = s2.EncodeBest(f.B[:room], b)
		default:
			out = s2.Encode(f.B[:room], b)
		}
		if len(out) < len(b)-len(b)/32 {
			dst = append(dst, s2Compressed, 0, 0, 0)
			dst = binary.LittleEndian.AppendUint32(dst, sum)
			dst = append(dst, out...)
			f.Release()
			putS2Len(dst[at:])
			return dst
		}
		f.Release()
	}
	dst = append(dst, s2Plain, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	dst = append(dst, b...)
	putS2Len(dst[at:])
	return dst
}

// putS2Len writes the length into the head of the chunk that ends with b.
func putS2Len(b []byte) {
	n := len(b) - s2Head
	b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16)
}

// Finish implements Stage: the format has no end.
func (s *S2Stage) Finish(dst []byte, _ Reason) []byte { return dst }
