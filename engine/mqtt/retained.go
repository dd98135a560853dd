package mqtt

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"ramjet/proto/header"
	"ramjet/proto/mqtt"
)

// Headers of stored retained messages.
const (
	headerTopic  = "Nmqtt-RTopic"
	headerFlags  = "Nmqtt-RFlags"
	headerOrigin = "Nmqtt-ROrigin"
	headerSource = "Nmqtt-RSource"
)

// retainedMsg is the content of a retained message; immutable.
type retainedMsg struct {
	origin, source string
	flags          byte
	payload        []byte
}

var errRetained = errors.New("invalid retained message flags")

// appendRetained appends the header block of a retained message for topic. One without payload deletes it,
// and its flags are written so that old servers do not understand them.
func appendRetained(dst, topic []byte, m *retainedMsg) []byte {
	dst = append(dst, "NATS/1.0\r\n"+headerTopic+":"...)
	dst = append(dst, topic...)
	dst = append(dst, "\r\n"+headerFlags+":"...)
	if len(m.payload) == 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, uint64(m.flags), 16)
	dst = append(dst, "\r\n"...)
	if m.origin != "" {
		dst = append(append(append(dst, headerOrigin+":"...), m.origin...), "\r\n"...)
	}
	if m.source != "" {
		dst = append(append(append(dst, headerSource+":"...), m.source...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// decodeRetained reads a stored retained message; payload is borrowed by the result. Old ones are JSON.
func decodeRetained(hdr, payload []byte) (*retainedMsg, error) {
	m := &retainedMsg{payload: payload}
	if f := header.Get(hdr, headerFlags); len(f) > 0 {
		flags, err := strconv.ParseUint(strings.TrimPrefix(string(f), "-"), 16, 8)
		if err != nil {
			return nil, errRetained
		}
		m.flags = byte(flags)
		m.origin, m.source = string(header.Get(hdr, headerOrigin)), string(header.Get(hdr, headerSource))
	} else {
		var old struct {
			Origin string `json:"origin"`
			Msg    []byte `json:"msg"`
			Flags  byte   `json:"flags"`
			Source string `json:"source"`
		}
		if err := json.Unmarshal(payload, &old); err != nil {
			return nil, err
		}
		*m = retainedMsg{origin: old.Origin, source: old.Source, flags: old.Flags, payload: old.Msg}
	}
	if m.flags >= 0x0F || mqtt.QoS(m.flags) > 2 {
		return nil, errRetained
	}
	return m, nil
}

// retainedSubject returns the subject of a retained message from that of the stream.
func retainedSubject(stored string) (string, bool) {
	s, ok := strings.CutPrefix(stored, SubjectRetained)
	return s, ok && s != "" && strings.IndexByte(s, 0x7F) < 0
}

// maxCached bounds the bytes of retained messages that an account keeps in memory.
const maxCached = 64 << 20

// retainedIndex knows the retained messages of an account by subject, and the content of those that were
// used lately or are being stored. Guarded by the manager's lock.
type retainedIndex struct {
	root   retainedNode
	n      int
	cached int // bytes
}

type retainedNode struct {
	kids map[string]*retainedNode
	e    *retainedEntry
}

// retainedEntry is one retained message.
type retainedEntry struct {
	subject string
	seq     uint64       // in the stream, 0 = not stored yet
	msg     *retainedMsg // nil = to be loaded
	storing uint32       // stores of this server under way; msg is the latest then
	gen     uint32       // counts the stores of this server
	until   int64        // msg may be forgotten then, unix nanoseconds
}

// find returns the entry of subject; with add it is made if there is none.
func (x *retainedIndex) find(subject string, add bool) *retainedEntry {
	n := &x.root
	for rest, more := subject, true; more; {
		var tok string
		tok, rest, more = strings.Cut(rest, ".")
		next := n.kids[tok]
		if next == nil {
			if !add {
				return nil
			}
			if n.kids == nil {
				n.kids = map[string]*retainedNode{}
			}
			next = &retainedNode{}
			n.kids[strings.Clone(tok)] = next
		}
		n = next
	}
	if n.e == nil && add {
		n.e = &retainedEntry{subject: strings.Clone(subject)}
		x.n++
	}
	return n.e
}

// remove takes an entry away, and the nodes that only led to it.
func (x *retainedIndex) remove(subject string) {
	var path []*retainedNode
	var toks []string
	n := &x.root
	for rest, more := subject, true; more; {
		var tok string
		tok, rest, more = strings.Cut(rest, ".")
		path, toks = append(path, n), append(toks, tok)
		if n = n.kids[tok]; n == nil {
			return
		}
	}
	if n.e == nil {
		return
	}
	x.setMsg(n.e, nil)
	n.e = nil
	x.n--
	for i := len(path) - 1; i >= 0 && n.e == nil && len(n.kids) == 0; i-- {
		delete(path[i].kids, toks[i])
		n = path[i]
	}
}

// match calls fn for each entry whose subject a filter matches.
func (x *retainedIndex) match(filter string, fn func(*retainedEntry)) { x.root.match(filter, true, fn) }

func (n *retainedNode) match(filter string, more bool, fn func(*retainedEntry)) {
	if !more {
		if n.e != nil {
			fn(n.e)
		}
		return
	}
	tok, rest, more := strings.Cut(filter, ".")
	switch {
	case tok == ">" && !more:
		for _, k := range n.kids {
			k.all(fn)
		}
	case tok == "*":
		for _, k := range n.kids {
			k.match(rest, more, fn)
		}
	default:
		if k := n.kids[tok]; k != nil {
			k.match(rest, more, fn)
		}
	}
}

func (n *retainedNode) all(fn func(*retainedEntry)) {
	if n.e != nil {
		fn(n.e)
	}
	for _, k := range n.kids {
		k.all(fn)
	}
}

func (x *retainedIndex) setMsg(e *retainedEntry, m *retainedMsg) {
	if e.msg != nil {
		x.cached -= len(e.msg.payload)
	}
	if e.msg = m; m != nil {
		x.cached += len(m.payload)
	}
}

// storing notes that m is being stored under subject; from now on it is what new subscribers get. m without
// payload removes.
func (x *retainedIndex) storing(subject string, m *retainedMsg) {
	if len(m.payload) == 0 {
		x.remove(subject)
		return
	}
	e := x.find(subject, true)
	e.storing++
	e.gen++
	x.setMsg(e, m)
}

// settled notes the end of a store that storing began: seq, or 0 if it failed.
func (x *retainedIndex) settled(subject string, m *retainedMsg, seq uint64, now int64) {
	e := x.find(subject, false)
	if e == nil {
		return
	}
	if e.storing > 0 {
		e.storing--
	}
	e.seq = max(e.seq, seq)
	if e.storing > 0 || e.msg != m {
		return
	}
	if e.until < now || seq == 0 {
		x.setMsg(e, nil) // nobody has asked for it lately, or it is not what is stored
	}
	if e.seq == 0 {
		x.remove(subject)
	}
}

// stored notes a message of the stream. m borrows its payload.
func (x *retainedIndex) stored(subject string, seq uint64, m *retainedMsg, now int64) {
	e := x.find(subject, true)
	if e.storing > 0 || seq <= e.seq {
		e.seq = max(e.seq, seq)
		return
	}
	e.seq = seq
	if e.msg == nil {
		return
	}
	if e.until < now {
		x.setMsg(e, nil)
		return
	}
	c := *m
	c.payload = append([]byte(nil), m.payload...)
	x.setMsg(e, &c)
}

// deleted notes a deletion in the stream.
func (x *retainedIndex) deleted(subject string, seq uint64) {
	e := x.find(subject, false)
	switch {
	case e == nil || seq < e.seq:
	case e.storing > 0:
		e.seq = 0
	default:
		x.remove(subject)
	}
}

// loaded keeps a message that was read for a subscriber, and reports whether it is to get it: not if this server
// has published another one since the subscriber asked, when the entry was at gen, because it gets that one as it
// is published.
func (x *retainedIndex) loaded(subject string, gen uint32, seq uint64, m *retainedMsg, now int64) bool {
	e := x.find(subject, false)
	switch {
	case e == nil:
		return true
	case e.gen != gen:
		return false
	case e.seq > seq:
		return true // another server has, and it is not here yet
	}
	e.seq, e.until = seq, now+int64(cacheTime)
	if x.cached+len(m.payload) <= maxCached {
		x.setMsg(e, m)
	}
	return true
}

// missing notes that the message with that sequence is not in the stream any more.
func (x *retainedIndex) missing(subject string, gen uint32, seq uint64) {
	if e := x.find(subject, false); e != nil && e.gen == gen && e.seq == seq {
		x.remove(subject)
	}
}

// sweep forgets content that was not used for some time.
func (x *retainedIndex) sweep(now int64) {
	if x.cached == 0 {
		return
	}
	x.root.all(func(e *retainedEntry) {
		if e.msg != nil && e.storing == 0 && e.until < now {
			x.setMsg(e, nil)
		}
	})
}
