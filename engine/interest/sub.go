package interest

import (
	"sync/atomic"
	"unsafe"

	"ramjet/engine"
)

// Sink is where a subscription delivers to. Any goroutine; must not block; copies what it keeps.
type Sink interface {
	// Deliver offers m to subscription s; from is the caller's LoopID.
	Deliver(from engine.LoopID, m *engine.Msg, s *Sub) engine.Verdict
	Kind() engine.Kind
	ID() uint64 // connection id
}

// Sub is one subscription: subject, queue and sid are immutable and stored compactly (the bar is
// 250 B of process memory per subscription, everything included, at one million).
//
// A Sub is the fixed part below followed, in the same allocation, by the text subject|queue|sid:
// most of them are 64 or 80 bytes in all, and a match touches one cache line of it. Only NewSub
// makes one; a Sub must not be copied.
type Sub struct {
	sink  Sink
	ext   atomic.Pointer[subExt]
	state atomic.Uint64 // closedBit, insertedBit, trieBit, ledger bits, and the delivered count
	head  uint64        // lengths and flags, see the shifts below
}

// subExt is what few subscriptions have.
type subExt struct {
	max    atomic.Int64
	weight int32
	list   atomic.Pointer[list] // only in the table entry of several subscriptions
}

// Layout of head, from bit 0: length of the subject, of the queue, of the sid; flags; key kind;
// connection kind.
const (
	subjBits, queueBits, sidBits = 20, 17, 20

	subjMask  = 1<<subjBits - 1
	queueMask = 1<<queueBits - 1
	sidMask   = 1<<sidBits - 1

	queueShift = subjBits
	sidShift   = queueShift + queueBits
	farShift   = sidShift + sidBits // the text is in an allocation of its own
	listShift  = farShift + 1       // not a subscription but a table entry of several
	formShift  = listShift + 1      // 2 bits
	kindShift  = formShift + 2      // 3 bits
)

// Layout of state, from bit 0: deliveries, one bit for each ledger that counts the subscription, whether
// its index holds it in a trie and not in its table, whether an index holds it at all, whether it is closed.
const (
	closedBit      = uint64(1) << 63
	insertedBit    = uint64(1) << 62
	trieBit        = uint64(1) << 61
	firstLedgerBit = trieBit >> maxLedgers
	countMask      = firstLedgerBit - 1
)

// form says how a subscription is indexed: by its whole subject, or by what precedes a trailing
// wildcard.
type form uint8

const (
	formLiteral form = iota
	formStar         // the only wildcard is the last token, `*`
	formFull         // the only wildcard is the last token, `>`
	formInner        // a `*` before the last token: by its whole text, or in a trie
	formSID          // not stored: the key of a SidTable
)

const subSize = unsafe.Sizeof(Sub{})

// Sub with room for text behind it. The sizes are allocator size classes, so nothing is lost.
type (
	sub24 struct {
		Sub
		_ [64 - subSize]byte
	}
	sub40 struct {
		Sub
		_ [80 - subSize]byte
	}
	sub56 struct {
		Sub
		_ [96 - subSize]byte
	}
	sub72 struct {
		Sub
		_ [112 - subSize]byte
	}
	sub88 struct {
		Sub
		_ [128 - subSize]byte
	}
	sub120 struct {
		Sub
		_ [160 - subSize]byte
	}
	sub168 struct {
		Sub
		_ [208 - subSize]byte
	}
	subFar struct {
		Sub
		text *byte
	}
)

// NewSub copies subject, queue (nil = none) and sid. weight is 1 for clients, the announced number of
// members for remote queue interest. A text of more than a megabyte (128 KiB for the queue) makes a
// Sub with no subject, which Insert refuses.
func NewSub(subject, queue, sid []byte, weight int32, sink Sink) *Sub {
	if len(subject) > subjMask || len(queue) > queueMask || len(sid) > sidMask {
		subject, queue, sid = nil, nil, nil
	}
	s := allocSub(len(subject) + len(queue) + len(sid))
	s.head |= uint64(len(subject)) | uint64(len(queue))<<queueShift | uint64(len(sid))<<sidShift |
		uint64(formOf(subject))<<formShift
	b := s.text()
	n := copy(b, subject)
	n += copy(b[n:], queue)
	copy(b[n:], sid)
	if sink != nil {
		s.sink = sink
		s.head |= uint64(sink.Kind()) << kindShift
	}
	if weight != 1 {
		s.ext.Store(&subExt{weight: max(weight, 0)})
	}
	return s
}

// newListEntry returns the table entry that stands for several subscriptions to first's subject.
func newListEntry(first *Sub, l *list) *Sub {
	e := NewSub(first.subjectBytes(), nil, nil, 1, nil)
	e.head |= 1 << listShift
	x := &subExt{weight: 1}
	x.list.Store(l)
	e.ext.Store(x)
	return e
}

// allocSub returns a Sub with room for n bytes of text and the far flag set accordingly.
func allocSub(n int) *Sub {
	switch total := uintptr(n) + subSize; {
	case total <= 64:
		return &new(sub24).Sub
	case total <= 80:
		return &new(sub40).Sub
	case total <= 96:
		return &new(sub56).Sub
	case total <= 112:
		return &new(sub72).Sub
	case total <= 128:
		return &new(sub88).Sub
	case total <= 160:
		return &new(sub120).Sub
	case total <= 208:
		return &new(sub168).Sub
	}
	f := &subFar{text: unsafe.SliceData(make([]byte, n))}
	f.head = 1 << farShift
	return &f.Sub
}

// text returns the bytes subject|queue|sid; they are written by NewSub only.
func (s *Sub) text() []byte {
	n := int(s.head&subjMask) + int(s.head>>queueShift&queueMask) + int(s.head>>sidShift&sidMask)
	return unsafe.Slice(s.textData(), n)
}

func (s *Sub) textData() *byte {
	p := unsafe.Add(unsafe.Pointer(s), subSize)
	if s.head>>farShift&1 != 0 {
		return *(**byte)(p)
	}
	return (*byte)(p)
}

func (s *Sub) subjectBytes() []byte { return unsafe.Slice(s.textData(), int(s.head&subjMask)) }

// Subject returns the subject or pattern subscribed to. It shares the memory of s.
func (s *Sub) Subject() string { return unsafe.String(s.textData(), int(s.head&subjMask)) }

// Queue returns the queue group name, "" for none.
func (s *Sub) Queue() string {
	n := int(s.head >> queueShift & queueMask)
	if n == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(s.textData()), int(s.head&subjMask))), n)
}

// SID returns the subscription id chosen by the connection.
func (s *Sub) SID() string {
	n := int(s.head >> sidShift & sidMask)
	if n == 0 {
		return ""
	}
	off := int(s.head&subjMask) + int(s.head>>queueShift&queueMask)
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(s.textData()), off)), n)
}

// HasQueue reports that s is a member of a queue group, without touching its text.
func (s *Sub) HasQueue() bool { return s.head>>queueShift&queueMask != 0 }

// HasWildcard reports that the subject has a wildcard token.
func (s *Sub) HasWildcard() bool { return s.form() != formLiteral }

// Weight returns how many members of its queue group the subscription stands for.
func (s *Sub) Weight() int32 {
	if x := s.ext.Load(); x != nil {
		return x.weight
	}
	return 1
}

// Sink returns the destination.
func (s *Sub) Sink() Sink { return s.sink }

// Kind returns the kind of the connection the subscription belongs to, without a call to the Sink.
func (s *Sub) Kind() engine.Kind { return engine.Kind(s.head >> kindShift & 7) }

// Remote reports that the sink is a link to another server, which gets a message once however many
// of its subscriptions match.
func (s *Sub) Remote() bool { return remoteKinds>>s.Kind()&1 != 0 }

const remoteKinds = 1<<engine.Router | 1<<engine.Gateway | 1<<engine.Leaf

func (s *Sub) form() form   { return form(s.head >> formShift & 3) }
func (s *Sub) isList() bool { return s.head>>listShift&1 != 0 }

// entries returns the subscriptions of a list entry.
func (s *Sub) entries() *list { return s.ext.Load().list.Load() }

// Take counts one delivery: ok is false when max was already reached (do not deliver) or the sub was
// closed; last is true when this delivery reaches max (caller removes the subscription). Any
// goroutine: of several loops delivering at once exactly max succeed and one of them is the last.
// Without max it is one atomic add.
func (s *Sub) Take() (ok, last bool) {
	if s.state.Load()&closedBit != 0 {
		return false, false
	}
	limit := s.Max()
	if limit <= 0 {
		return s.state.Add(1)&closedBit == 0, false
	}
	for {
		old := s.state.Load()
		n := int64(old & countMask)
		if old&closedBit != 0 || n >= limit {
			return false, false
		}
		if s.state.CompareAndSwap(old, old+1) {
			return true, n+1 == limit
		}
	}
}

// Delivered returns the deliveries so far.
func (s *Sub) Delivered() int64 { return int64(s.state.Load() & countMask) }

// Max returns the auto-unsubscribe limit, 0 = none.
func (s *Sub) Max() int64 {
	if x := s.ext.Load(); x != nil {
		return x.max.Load()
	}
	return 0
}

// SetMax sets the auto-unsubscribe limit: n deliveries counted from the start; 0 or less removes the
// limit. The caller removes the subscription itself when n is not above Delivered. Any goroutine.
func (s *Sub) SetMax(n int64) {
	x := s.ext.Load()
	if x == nil {
		if n <= 0 {
			return
		}
		x = &subExt{weight: 1}
		if !s.ext.CompareAndSwap(nil, x) {
			x = s.ext.Load()
		}
	}
	x.max.Store(min(max(n, 0), int64(countMask)))
}

// Close marks the subscription removed: later Takes fail. Index.Remove does it too.
func (s *Sub) Close() { s.state.Or(closedBit) }

// Closed reports that Close was called.
func (s *Sub) Closed() bool { return s.state.Load()&closedBit != 0 }

// inserted reports that an Index holds s.
func (s *Sub) inserted() bool { return s.state.Load()&insertedBit != 0 }
