package jsapi

import (
	"encoding/binary"
	"errors"
)

// SnapshotMagic starts the decompressed content of a backup (reference/jetstream/stream.md, section 9).
const SnapshotMagic = "NATSARC1"

// Names of the entries before the messages, and bounds of an entry.
const (
	SnapshotState    = "state.json"
	SnapshotConsumer = "consumers/" // followed by the name
	maxEntryName     = 64 << 10
	maxEntryHeader   = 64 << 10
	maxEntryBody     = 256 << 20
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
	dst = binary.AppendUvarint(dst, uint64(len(e.Name)))
	dst = binary.AppendVarint(dst, e.Time)
	dst = binary.AppendUvarint(dst, e.Seq)
	dst = binary.AppendUvarint(dst, uint64(len(e.Header)))
	dst = binary.AppendUvarint(dst, uint64(len(e.Payload)))
	dst = append(dst, e.Name...)
	dst = append(dst, e.Header...)
	return append(dst, e.Payload...)
}

// Errors of a backup.
var (
	ErrSnapshotFormat    = errors.New("backup has an unknown format")
	ErrSnapshotDamaged   = errors.New("backup is damaged")
	ErrSnapshotTooLarge  = errors.New("backup entry is too large")
	ErrSnapshotTruncated = errors.New("backup was truncated")
)

// SnapshotDecoder reads the decompressed content of a backup in pieces of any size. The zero value is ready.
type SnapshotDecoder struct {
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
		n, err := parseSnapshotEntry(b, &e)
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
	d.buf = append(d.buf[:0], b...)
	return nil
}

// Close reports whether the end was seen.
func (d *SnapshotDecoder) Close() error {
	if !d.ended {
		return ErrSnapshotTruncated
	}
	return nil
}

// parseSnapshotEntry returns the length of the entry at the start of b, 0 if there is more to come.
func parseSnapshotEntry(b []byte, e *SnapshotEntry) (int, error) {
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
	if v[0] > maxEntryName || v[3] > maxEntryHeader || v[4] > maxEntryBody {
		return 0, ErrSnapshotTooLarge
	}
	e.Seq = v[2]
	end := at + int(v[0]+v[3]+v[4])
	if len(b) < end {
		return 0, nil
	}
	h := at + int(v[0])
	p := h + int(v[3])
	e.Name, e.Header, e.Payload = b[at:h:h], b[h:p:p], b[p:end:end]
	return end, nil
}

// SnapshotConsumerState is the state of a consumer in a backup.
type SnapshotConsumerState struct {
	Delivered   SequencePair                `json:"delivered"`
	AckFloor    SequencePair                `json:"ack_floor"`
	Pending     map[uint64]*SnapshotPending `json:"pending,omitempty"`
	Redelivered map[uint64]uint64           `json:"redelivered,omitempty"`
}

// SequencePair is a pair of sequences.
type SequencePair struct {
	Consumer uint64 `json:"consumer_seq"`
	Stream   uint64 `json:"stream_seq"`
}

// SnapshotPending is a delivered message that waits for its ack.
type SnapshotPending struct {
	Sequence  uint64 // of the consumer
	Timestamp int64  // unix nanoseconds
}

// SnapshotConsumerEntry is the body of a consumer's entry.
type SnapshotConsumerEntry struct {
	Config ConsumerConfig         `json:"config"`
	State  *SnapshotConsumerState `json:"state,omitempty"`
}
