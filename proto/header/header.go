package header

import (
	"bytes"
	"iter"
)

// Version is the first line of a block without status.
const Version = "NATS/1.0"

// Empty is the block without keys.
const Empty = Version + "\r\n\r\n"

const crlf = "\r\n"

// Headers that the server itself reads or writes outside JetStream.
const (
	NatsSubject     = "Nats-Subject"
	TraceDest       = "Nats-Trace-Dest"
	TraceOnly       = "Nats-Trace-Only"
	TraceHop        = "Nats-Trace-Hop"
	TraceOrigin     = "Nats-Trace-Origin-Account"
	TraceParent     = "traceparent"
	AcceptEncoding  = "Accept-Encoding"
	NatsRequestInfo = "Nats-Request-Info"
)

// TraceDisabled is the value of Nats-Trace-Dest that stops tracing on all servers to come. It is no valid subject.
const TraceDisabled = "trace disabled"

// Iter walks over the fields of a block in order. Duplicates appear as often as they are there.
type Iter struct{ rest []byte }

// NewIter returns an iterator that stands before the first field.
func NewIter(block []byte) Iter { return Iter{afterCRLF(block)} }

// Next returns the next field; ok is false at the end. Lines without a colon, or with nothing before it,
// are skipped.
func (it *Iter) Next() (key, value []byte, ok bool) {
	for len(it.rest) > 0 {
		line := it.rest
		if i := indexCRLF(line); i >= 0 {
			line = line[:i]
		}
		it.rest = it.rest[min(len(line)+len(crlf), len(it.rest)):]
		if i := bytes.IndexByte(line, ':'); i > 0 {
			return line[:i:i], trimLeft(line[i+1:]), true
		}
	}
	return nil, nil, false
}

// All returns the fields of a block for range.
func All(block []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		it := NewIter(block)
		for {
			k, v, ok := it.Next()
			if !ok || !yield(k, v) {
				return
			}
		}
	}
}

// indexCRLF returns the index of the first CRLF, -1 if there is none. Looking for the one byte LF is
// several times faster than looking for the two of them.
func indexCRLF(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		if from += i; from > 0 && b[from-1] == '\r' {
			return from - 1
		}
		from++
	}
}

// afterCRLF returns what follows the first CRLF.
func afterCRLF(b []byte) []byte {
	if i := indexCRLF(b); i >= 0 {
		return b[i+len(crlf):]
	}
	return nil
}

// trimLeft skips blanks.
func trimLeft(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b[:len(b):len(b)]
}
