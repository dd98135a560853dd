package jsapi

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
)

// SnapshotMagic starts the decompressed content of a backup (reference/jetstream/stream.md, section 9).
const SnapshotMagic = "NATSARC1"

// Names of the entries before the messages.
const (
	SnapshotState    = "state.json"
	SnapshotConsumer = "consumers/" // followed by the name
)

// Default bounds of an entry in bytes, without its name.
const (
	DefaultSnapshotDoc = 64 << 20 // state or consumer
	DefaultSnapshotMsg = 64 << 20 // header and payload of a message
)

const (
	maxEntryName = 64 << 10
	keepBuf      = 1 << 20 // more than this is given back after the entry that needed it
)

// SnapshotEntry is an entry of a backup: state, consumer or message. The zero entry ends it.
type SnapshotEntry struct {
	Name    []byte // subject of a message
	Time    int64  // unix nanoseconds
	Seq     uint64
	Header  []byte
	Payload []byte
}

// End reports whether e is the entry that ends a backup.
func (e *SnapshotEntry) End() bool {
	return len(e.Name) == 0 && e.Time == 0 && e.Seq == 0 && len(e.Header) == 0 && len(e.Payload) == 0
}

// AppendSnapshotEntry appends e.
func AppendSnapshotEntry(dst []byte, e *SnapshotEntry) []byte {
	dst = AppendSnapshotHead(dst, e)
	dst = append(dst, e.Name...)
	dst = append(dst, e.Header...)
	return append(dst, e.Payload...)
}

// AppendSnapshotHead appends the numbers of e; name, header and payload have to follow.
func AppendSnapshotHead(dst []byte, e *SnapshotEntry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.Name)))
	dst = binary.AppendVarint(dst, e.Time)
	dst = binary.AppendUvarint(dst, e.Seq)
	dst = binary.AppendUvarint(dst, uint64(len(e.Header)))
	return binary.AppendUvarint(dst, uint64(len(e.Payload)))
}

// Errors of a backup.
var (
	ErrSnapshotFormat    = errors.New("backup has an unknown format")
	ErrSnapshotDamaged   = errors.New("backup is damaged")
	ErrSnapshotTooLarge  = errors.New("backup exceeds a limit")
	ErrSnapshotTruncated = errors.New("backup was truncated")
)

// SnapshotDecoder reads the decompressed content of a backup in pieces of any size. The zero value is ready. It holds
// one entry at most.
type SnapshotDecoder struct {
	MaxDoc int // bound of an entry without sequence; 0 = DefaultSnapshotDoc
	MaxMsg int // bound of a message: header and payload; 0 = DefaultSnapshotMsg

	buf   []byte // an entry that is not complete yet
	magic bool
	ended bool
}

// Feed takes the next piece and calls fn for each entry that is complete, not for the end; the slices of the entry are
// valid during the call. Bytes after the end are an error.
func (d *SnapshotDecoder) Feed(piece []byte, fn func(*SnapshotEntry) error) error {
	b := piece
	if len(d.buf) > 0 {
		d.buf = append(d.buf, piece...)
		b = d.buf
	}
	for {
		if !d.magic {
			n := min(len(b), len(SnapshotMagic))
			if string(b[:n]) != SnapshotMagic[:n] {
				return ErrSnapshotFormat
			}
			if n < len(SnapshotMagic) {
				break
			}
			d.magic, b = true, b[n:]
		}
		if d.ended {
			if len(b) > 0 {
				return ErrSnapshotDamaged
			}
			break
		}
		var e SnapshotEntry
		n, err := d.parse(b, &e)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b = b[n:]
		if e.End() {
			d.ended = true
			continue
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
	if cap(d.buf) > keepBuf && len(b) <= keepBuf {
		d.buf = append([]byte(nil), b...)
	} else {
		d.buf = append(d.buf[:0], b...)
	}
	return nil
}

// Ended reports whether the end was seen.
func (d *SnapshotDecoder) Ended() bool { return d.ended }

// Close returns ErrSnapshotTruncated if the end was not seen.
func (d *SnapshotDecoder) Close() error {
	if !d.ended {
		return ErrSnapshotTruncated
	}
	return nil
}

// parse returns the length of the entry at the start of b, 0 if there is more to come.
func (d *SnapshotDecoder) parse(b []byte, e *SnapshotEntry) (int, error) {
	var v [5]uint64
	at := 0
	for i := range v {
		n := 0
		if i == 1 {
			var t int64
			t, n = binary.Varint(b[at:])
			e.Time = t
		} else {
			v[i], n = binary.Uvarint(b[at:])
		}
		if n == 0 {
			return 0, nil
		}
		if n < 0 {
			return 0, ErrSnapshotDamaged
		}
		at += n
	}
	e.Seq = v[2]
	limit := uint64(cmp.Or(d.MaxDoc, DefaultSnapshotDoc))
	if e.Seq > 0 {
		limit = uint64(cmp.Or(d.MaxMsg, DefaultSnapshotMsg))
	}
	switch {
	case v[0] > maxEntryName:
		return 0, fmt.Errorf("%w: name of %d bytes", ErrSnapshotTooLarge, v[0])
	case v[3] > limit || v[4] > limit-v[3]:
		return 0, fmt.Errorf("%w: sequence %d, header of %d bytes and payload of %d, limit is %d", ErrSnapshotTooLarge, e.Seq, v[3], v[4], limit)
	}
	end := at + int(v[0]+v[3]+v[4])
	if len(b) < end {
		return 0, nil
	}
	h := at + int(v[0])
	p := h + int(v[3])
	e.Name, e.Header, e.Payload = b[at:h:h], b[h:p:p], b[p:end:end]
	return end, nil
}
