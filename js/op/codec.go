package op

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Version is the version of the encoding, the first byte of an entry.
const Version = 1

// Kind is what a command does.
type Kind uint8

// The kinds of commands. Numbers are on disk.
const (
	Invalid  Kind = 0
	Msg      Kind = 1 // append a message
	Skip     Kind = 2 // a message nobody is interested in: its sequence, id and roll-up count
	SkipTo   Kind = 3 // move the last sequence (gaps of a mirror)
	Remove   Kind = 4 // delete one message
	Purge    Kind = 5 // delete many
	Expire   Kind = 6 // delete what is too old at Time
	Config   Kind = 7 // Payload is the new configuration as JSON
	Consumer Kind = 8 // Payload belongs to the consumer named by Subject; Sub is its kind
)

// Flags qualify a command.
type Flags uint8

// The flags of commands. Numbers are on disk.
const (
	FlagRollupSub Flags = 1 << iota // Msg, Skip: removes earlier messages of the subject
	FlagRollupAll                   // Msg, Skip: removes all earlier messages
	FlagErase                       // Remove: destroys the content
	FlagMarker                      // Msg: a delete marker
	FlagSchedule                    // Msg: a schedule, or a message produced by one
	FlagSourced                     // Msg: from a source or mirror
	FlagLimit                       // Remove: because of limits, not by request
)

// Cmd is a command. Which fields count depends on Kind.
type Cmd struct {
	Kind    Kind
	Flags   Flags
	Sub     uint8  // Consumer: kind of command, opaque here
	Seq     uint64 // Msg, Skip, SkipTo, Remove; Purge: only below this
	Keep    uint64 // Purge: keep the newest so many
	Time    int64  // unix nanoseconds
	TTL     int64  // Msg: seconds, 0 none, -1 never
	Subject []byte // Msg, Skip; Purge: filter; Consumer: name
	Header  []byte // Msg
	Payload []byte // Msg, Config, Consumer
	MsgID   []byte // Msg, Skip: for the dedupe window; nil if none. Of a Msg it may be a slice of Header.
}

// ErrCorrupt is the error of bytes that are no entry.
var ErrCorrupt = errors.New("op: corrupt entry")

// ErrVersion is the error of an entry of a newer version.
var ErrVersion = errors.New("op: entry of an unknown version")

const lenSize = 4

// Append appends the encoding of c, without the version byte of an entry.
func Append(dst []byte, c *Cmd) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(c.Kind), byte(c.Flags))
	switch c.Kind {
	case Msg:
		dst = binary.AppendUvarint(dst, c.Seq)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
		dst = binary.AppendVarint(dst, c.TTL)
		off, inside := within(c.Header, c.MsgID)
		switch {
		case c.MsgID == nil:
			dst = append(dst, 0)
		case inside:
			dst = append(dst, 1)
			dst = binary.AppendUvarint(dst, uint64(off))
			dst = binary.AppendUvarint(dst, uint64(len(c.MsgID)))
		default:
			dst = appendBytes(append(dst, 2), c.MsgID)
		}
		dst = appendBytes(dst, c.Subject)
		dst = appendBytes(dst, c.Header)
		dst = append(dst, c.Payload...)
	case Skip:
		dst = binary.AppendUvarint(dst, c.Seq)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
		dst = appendBytes(dst, c.Subject)
		dst = append(dst, c.MsgID...)
	case SkipTo, Remove:
		dst = binary.AppendUvarint(dst, c.Seq)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
	case Purge:
		dst = binary.AppendUvarint(dst, c.Seq)
		dst = binary.AppendUvarint(dst, c.Keep)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
		dst = append(dst, c.Subject...)
	case Expire:
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
	case Config:
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Time))
		dst = append(dst, c.Payload...)
	case Consumer:
		dst = append(dst, c.Sub)
		dst = appendBytes(dst, c.Subject)
		dst = append(dst, c.Payload...)
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-lenSize))
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// within reports where part is inside whole, if it is a slice of it.
func within(whole, part []byte) (int, bool) {
	if len(part) == 0 || len(whole) < len(part) {
		return 0, false
	}
	w, p := uintptr(unsafe.Pointer(unsafe.SliceData(whole))), uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	if p < w || p-w > uintptr(len(whole)-len(part)) {
		return 0, false
	}
	return int(p - w), true
}

// Reader walks over the commands of an entry.
type Reader struct {
	rest []byte
	err  error
}

// Open returns a reader of entry.
func Open(entry []byte) Reader {
	switch {
	case len(entry) == 0:
		return Reader{err: ErrCorrupt}
	case entry[0] != Version:
		return Reader{err: ErrVersion}
	}
	return Reader{rest: entry[1:]}
}

// Next decodes the next command into c, whose slices are of the entry; false at the end and on an error.
func (r *Reader) Next(c *Cmd) bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	n, err := Parse(r.rest, c)
	if err != nil {
		r.err = err
		return false
	}
	r.rest = r.rest[n:]
	return true
}

// Err returns what ended the walk, nil for the end of the entry.
func (r *Reader) Err() error { return r.err }

// Parse decodes the command at the start of b and returns its length.
func Parse(b []byte, c *Cmd) (int, error) {
	if len(b) < lenSize+2 {
		return 0, ErrCorrupt
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 2 || n > len(b)-lenSize {
		return 0, ErrCorrupt
	}
	total := lenSize + n
	d := decoder{b: b[lenSize+2 : total : total]}
	*c = Cmd{Kind: Kind(b[lenSize]), Flags: Flags(b[lenSize+1])}
	switch c.Kind {
	case Msg:
		c.Seq, c.Time, c.TTL = d.uvarint(), d.time(), d.varint()
		id := d.byte()
		var off, idLen uint64
		switch id {
		case 0:
		case 1:
			off, idLen = d.uvarint(), d.uvarint()
		case 2:
			c.MsgID = d.bytes()
		default:
			d.bad = true
		}
		c.Subject = d.bytes()
		if c.Header = d.bytes(); len(c.Header) == 0 {
			c.Header = nil
		}
		if id == 1 {
			if h := uint64(len(c.Header)); off > h || idLen > h-off || idLen == 0 {
				d.bad = true
			} else {
				c.MsgID = c.Header[off : off+idLen]
			}
		}
		c.Payload = d.b
	case Skip:
		c.Seq, c.Time, c.Subject = d.uvarint(), d.time(), d.bytes()
		if len(d.b) > 0 {
			c.MsgID = d.b
		}
	case SkipTo, Remove:
		c.Seq, c.Time = d.uvarint(), d.time()
		d.end()
	case Purge:
		c.Seq, c.Keep, c.Time = d.uvarint(), d.uvarint(), d.time()
		c.Subject = d.b
	case Expire:
		c.Time = d.time()
		d.end()
	case Config:
		c.Time = d.time()
		c.Payload = d.b
	case Consumer:
		c.Sub, c.Subject = d.byte(), d.bytes()
		c.Payload = d.b
	default:
		d.bad = true
	}
	if d.bad {
		return 0, ErrCorrupt
	}
	return total, nil
}

// decoder cuts values off b.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) end() { d.bad = d.bad || len(d.b) > 0 }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) time() int64 {
	if len(d.b) < 8 {
		d.bad = true
		return 0
	}
	v := int64(binary.LittleEndian.Uint64(d.b))
	d.b = d.b[8:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}
