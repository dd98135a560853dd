package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
)

// The framing of S2: chunks of one byte kind and three bytes length (little endian), starting with the identifier.
const (
	chunkCompressed = 0x00
	chunkPlain      = 0x01
	chunkSkippable  = 0x80 // from here on, but the identifier
	chunkIdentifier = 0xff

	chunkHead = 4
	chunkSum  = 4
	maxBlock  = 4 << 20 // decompressed content of a chunk
	identS2   = "S2sTwO"
	identOld  = "sNaPpY"

	// blockSize is what the writer compresses at a time. A restore of nats-server looks for the start of the content
	// within its first chunk of at most maxBlock.
	blockSize = 256 << 10

	// maxPrelude bounds what may come before the first content.
	maxPrelude = 1 << 20
)

// Errors of the framing.
var (
	ErrFrame    = errors.New("backup is not a stream of S2 chunks")
	ErrChecksum = errors.New("backup has a wrong checksum")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameSum is the masked checksum of a chunk.
func frameSum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// frameWriter compresses content into chunks.
type frameWriter struct {
	raw     []byte // the block being filled, below blockSize
	out     []byte // chunks; read up to pos
	pos     int
	started bool
}

func (w *frameWriter) write(b []byte) {
	for len(b) > 0 {
		if w.raw == nil {
			w.raw = make([]byte, 0, blockSize)
		}
		n := min(len(b), blockSize-len(w.raw))
		w.raw = append(w.raw, b[:n]...)
		b = b[n:]
		if len(w.raw) == blockSize {
			w.flush()
		}
	}
}

// flush makes a chunk of what was written.
func (w *frameWriter) flush() {
	if len(w.raw) == 0 {
		return
	}
	if w.pos > 0 {
		w.out = w.out[:copy(w.out, w.out[w.pos:])]
		w.pos = 0
	}
	if !w.started {
		w.started = true
		w.out = append(w.out, chunkIdentifier, byte(len(identS2)), 0, 0)
		w.out = append(w.out, identS2...)
	}
	at, start := len(w.out), len(w.out)+chunkHead+chunkSum
	w.out = append(w.out, make([]byte, chunkHead+chunkSum+s2.MaxEncodedLen(len(w.raw)))...)
	kind, n := byte(chunkCompressed), len(s2.Encode(w.out[start:], w.raw))
	if n >= len(w.raw) {
		kind, n = chunkPlain, copy(w.out[start:], w.raw)
	}
	w.out = w.out[:start+n]
	binary.LittleEndian.PutUint32(w.out[at:], uint32(kind)|uint32(n+chunkSum)<<8)
	binary.LittleEndian.PutUint32(w.out[at+chunkHead:], frameSum(w.raw))
	w.raw = w.raw[:0]
}

func (w *frameWriter) len() int { return len(w.out) - w.pos }

func (w *frameWriter) read(dst []byte) int {
	n := copy(dst, w.out[w.pos:])
	w.pos += n
	return n
}

// frameReader takes chunks in pieces of any size. It holds one chunk at most.
type frameReader struct {
	buf     []byte // an incomplete chunk
	block   []byte // scratch
	skip    int    // bytes of a skippable chunk to come
	seen    int64  // bytes before the first content
	ident   bool
	content bool
}

// feed calls fn with the content of each complete chunk; it is valid during the call.
func (r *frameReader) feed(piece []byte, fn func([]byte) error) error {
	b := piece
	if len(r.buf) > 0 {
		r.buf = append(r.buf, piece...)
		b = r.buf
	}
	if !r.content {
		r.seen += int64(len(piece))
	}
	for {
		if r.skip > 0 {
			n := min(r.skip, len(b))
			r.skip, b = r.skip-n, b[n:]
		}
		if len(b) < chunkHead {
			break
		}
		kind, n := b[0], int(binary.LittleEndian.Uint32(b)>>8)
		if !r.ident && kind != chunkIdentifier {
			return fmt.Errorf("%w: it starts with a chunk of kind %#02x", ErrFrame, kind)
		}
		switch {
		case kind == chunkIdentifier:
			if n != len(identS2) {
				return fmt.Errorf("%w: identifier of %d bytes", ErrFrame, n)
			}
		case kind >= chunkSkippable:
			r.skip, b = n, b[chunkHead:]
			continue
		case kind > chunkPlain:
			return fmt.Errorf("%w: unknown chunk of kind %#02x", ErrFrame, kind)
		case n < chunkSum || n > chunkSum+s2.MaxEncodedLen(maxBlock):
			return fmt.Errorf("%w: chunk of %d bytes", ErrFrame, n)
		}
		if len(b) < chunkHead+n {
			break
		}
		body := b[chunkHead : chunkHead+n]
		b = b[chunkHead+n:]
		if kind == chunkIdentifier {
			if id := string(body); id != identS2 && id != identOld {
				return fmt.Errorf("%w: identifier %q", ErrFrame, id)
			}
			r.ident = true
			continue
		}
		if err := r.emit(kind, body, fn); err != nil {
			return err
		}
	}
	if !r.content && r.seen > maxPrelude+int64(len(b)) {
		return fmt.Errorf("%w: no content within the size limit of %d bytes", ErrFrame, maxPrelude)
	}
	r.buf = append(r.buf[:0], b...)
	return nil
}

// emit verifies and hands on the content of a chunk.
func (r *frameReader) emit(kind byte, body []byte, fn func([]byte) error) error {
	sum, content := binary.LittleEndian.Uint32(body), body[chunkSum:]
	if kind == chunkCompressed {
		n, err := s2.DecodedLen(content)
		if err != nil || n > maxBlock {
			return fmt.Errorf("%w: compressed block of %d bytes", ErrFrame, n)
		}
		if cap(r.block) < n {
			r.block = make([]byte, n)
		}
		if content, err = s2.Decode(r.block[:n], content); err != nil {
			return fmt.Errorf("%w: %v", ErrFrame, err)
		}
	} else if len(content) > maxBlock {
		return fmt.Errorf("%w: block of %d bytes", ErrFrame, len(content))
	}
	if frameSum(content) != sum {
		return fmt.Errorf("%w: of a compressed block", ErrChecksum)
	}
	if len(content) == 0 {
		return nil
	}
	r.content = true
	return fn(content)
}

// close reports whether the stream ends between two chunks.
func (r *frameReader) close() error {
	if len(r.buf) > 0 || r.skip > 0 {
		return errTruncated
	}
	return nil
}
