package ws

import (
	stdflate "compress/flate"
	"io"

	"github.com/klauspost/compress/flate"
)

// Extension is the value of Sec-WebSocket-Extensions both sides agree on: each message is
// compressed for itself, so that a connection keeps no window (RFC 7692, 7.1.1).
const Extension = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// syncTail is what the sender removed from the end of a message (RFC 7692, 7.2.1), and a final empty
// block, so that the decompressor meets an end instead of running out of input.
const (
	syncTail  = "\x00\x00\xff\xff"
	finalTail = syncTail + "\x01\x00\x00\xff\xff"
)

// CompressedLimit returns how many compressed bytes of one message are accepted on a connection with
// the given max_payload in bytes (reference/websocket_mqtt.md, A2).
func CompressedLimit(maxPayload int64) int64 {
	const most = 64 << 20
	if maxPayload <= 0 || maxPayload > most/8 {
		return most
	}
	return 8 * maxPayload
}

// ErrTooBig is returned by Inflate for a message that expands beyond its limit.
var ErrTooBig = &Error{CloseTooBig, "maximum payload exceeded"}

// Inflater decompresses messages. It costs about 40 KiB, so connections borrow one for the time of a
// call instead of owning one.
type Inflater struct {
	src tailReader
	r   io.ReadCloser
	buf []byte
}

const inflateChunk = 16 << 10

// Inflate decompresses a whole message and emits its content in pieces (borrowed during emit) of at
// most 16 KiB. Content beyond limit bytes is not emitted: the result is ErrTooBig. What comes before
// a corrupt byte has been emitted. Errors of emit are returned as they are.
func (z *Inflater) Inflate(msg []byte, limit int64, emit func([]byte) error) error {
	z.src = tailReader{msg: msg, tail: finalTail}
	if z.r == nil {
		// Not klauspost's reader: reused after a degenerate code it answers differently from a fresh one
		// (FuzzInflate found it), and it is a quarter faster at most here.
		z.r = stdflate.NewReader(&z.src)
		z.buf = make([]byte, inflateChunk)
	} else if err := z.r.(stdflate.Resetter).Reset(&z.src, nil); err != nil {
		return &Error{CloseProtocol, err.Error()}
	}
	defer func() { z.src = tailReader{} }() // msg is borrowed
	for {
		n, err := z.r.Read(z.buf)
		if int64(n) > limit {
			if limit > 0 {
				if err := emit(z.buf[:limit]); err != nil {
					return err
				}
			}
			return ErrTooBig
		}
		limit -= int64(n)
		if n > 0 {
			if err := emit(z.buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &Error{CloseProtocol, err.Error()}
		}
	}
}

// tailReader reads msg and then tail. It is an io.ByteReader, so that flate adds no buffer.
type tailReader struct {
	msg  []byte
	tail string
}

func (t *tailReader) Read(b []byte) (int, error) {
	if len(t.msg) > 0 {
		n := copy(b, t.msg)
		t.msg = t.msg[n:]
		return n, nil
	}
	if len(t.tail) == 0 {
		return 0, io.EOF
	}
	n := copy(b, t.tail)
	t.tail = t.tail[n:]
	return n, nil
}

func (t *tailReader) ReadByte() (byte, error) {
	if len(t.msg) > 0 {
		c := t.msg[0]
		t.msg = t.msg[1:]
		return c, nil
	}
	if len(t.tail) == 0 {
		return 0, io.EOF
	}
	c := t.tail[0]
	t.tail = t.tail[1:]
	return c, nil
}

// Deflater compresses messages at the fastest level. It is large (hundreds of KiB): borrow it.
type Deflater struct {
	w   *flate.Writer
	dst appender
}

// Append appends the compressed form of plain to dst, without the trailer that RFC 7692 removes. It
// does not fail: the error is of the bug class.
func (z *Deflater) Append(dst, plain []byte) ([]byte, error) {
	z.dst.b = dst
	if z.w == nil {
		w, err := flate.NewWriter(&z.dst, flate.BestSpeed)
		if err != nil {
			return dst, err
		}
		z.w = w
	} else {
		z.w.Reset(&z.dst)
	}
	_, err := z.w.Write(plain)
	if err == nil {
		err = z.w.Flush()
	}
	out := z.dst.b
	z.dst.b = nil
	if err != nil {
		return dst, err
	}
	return out[:len(out)-len(syncTail)], nil
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
