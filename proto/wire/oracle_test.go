package wire

import (
	"fmt"
	"regexp"
	"strings"
)

// event is one operation, or the error that ended the stream, in a comparable form.
type event string

func opEvent(op *Op) event {
	s := fmt.Sprintf("kind=%d line=%q", op.Kind, op.Line)
	switch op.Kind {
	case OpPub:
		s += fmt.Sprintf(" subject=%q reply=%q/%v header=%q/%v payload=%q",
			op.Subject, op.Reply, op.Reply != nil, op.Header, op.Header != nil, op.Payload)
	case OpSub:
		s += fmt.Sprintf(" subject=%q queue=%q/%v sid=%q", op.Subject, op.Queue, op.Queue != nil, op.SID)
	case OpUnsub:
		s += fmt.Sprintf(" sid=%q max=%d", op.SID, op.Max)
	case OpRSub, OpRUnsub:
		s += fmt.Sprintf(" account=%q subject=%q queue=%q/%v", op.Account, op.Subject, op.Queue, op.Queue != nil)
		if op.Origin != nil {
			s += fmt.Sprintf(" origin=%q", op.Origin)
		}
		if op.Kind == OpRSub {
			s += fmt.Sprintf(" weight=%d", op.Weight)
		}
	case OpASub, OpAUnsub:
		s += fmt.Sprintf(" account=%q", op.Account)
	case OpRMsg:
		s += fmt.Sprintf(" account=%q subject=%q reply=%q/%v queues=%q header=%q/%v payload=%q",
			op.Account, op.Subject, op.Reply, op.Reply != nil, op.Queues, op.Header, op.Header != nil, op.Payload)
		if op.Origin != nil {
			s += fmt.Sprintf(" origin=%q", op.Origin)
		}
	case OpConnect, OpInfo, OpErr:
		s += fmt.Sprintf(" arg=%q", op.Arg)
	}
	return event(s)
}

func errEvent(e *Error) event { return event(fmt.Sprintf("error %q code=%d", e.Text, e.Code)) }

// decodeAll runs Next over the whole of data; rest is what stayed incomplete.
func decodeAll(data []byte, lim *Limits) (events []event, rest int) {
	var op Op
	for {
		n, _, err := Next(data, lim, &op)
		if err != nil {
			return append(events, errEvent(err)), 0
		}
		if n == 0 {
			return events, len(data)
		}
		events = append(events, opEvent(&op))
		data = data[n:]
	}
}

// decodeCut feeds data in pieces of the given sizes (repeated), as a connection would. It fails if need
// is not the length at which the operation completes.
func decodeCut(data []byte, lim *Limits, sizes []byte) (events []event, rest int, bad string) {
	var op Op
	var pending []byte
	need := 0
	for i := 0; len(data) > 0; i++ {
		k := len(data)
		if len(sizes) > 0 {
			k = min(k, int(sizes[i%len(sizes)])%64+1)
		}
		// A fresh copy each time: the slices of earlier operations must not matter.
		pending = append(append(make([]byte, 0, len(pending)+k), pending...), data[:k]...)
		data = data[k:]
		for {
			n, want, err := Next(pending, lim, &op)
			if err != nil {
				return append(events, errEvent(err)), 0, bad
			}
			if n == 0 {
				if want > 0 && want <= len(pending) {
					bad = fmt.Sprintf("need %d with %d bytes there", want, len(pending))
				}
				if need > 0 && want != need {
					bad = fmt.Sprintf("need was %d, now %d", need, want)
				}
				need = want
				break
			}
			if need > 0 && n != need {
				bad = fmt.Sprintf("need was %d, length %d", need, n)
			}
			need = 0
			events = append(events, opEvent(&op))
			pending = pending[n:]
		}
	}
	return events, len(pending), bad
}

var oracleVerbs = regexp.MustCompile(`(?i)^(?:(PUB|HPUB|SUB|UNSUB|-ERR)[ \t]|(PING|PONG|CONNECT|INFO|\+OK))`)

// couldBeVerb reports whether more bytes may make a verb of s.
func couldBeVerb(s string) bool {
	for _, v := range []string{"PUB ", "HPUB ", "SUB ", "UNSUB ", "-ERR ", "PING", "PONG", "CONNECT", "INFO", "+OK"} {
		if len(s) < len(v) && strings.EqualFold(s, v[:len(s)]) {
			return true
		}
	}
	return false
}

var oracleSize = regexp.MustCompile(`^[0-9]{1,9}$`)

// oracle is a second, dumb reading of reference/protocol.md: strings, regular expressions and no care
// for speed.
func oracle(data string, lim *Limits) (events []event, rest int) {
	fail := func(e *Error) ([]event, int) { return append(events, errEvent(e)), 0 }
	for data != "" {
		if lim.MustConnect && !strings.EqualFold(data[:1], "c") {
			return fail(errAuth)
		}
		m := oracleVerbs.FindStringSubmatch(data)
		if m == nil {
			if couldBeVerb(data) {
				return events, len(data)
			}
			return fail(errUnknown)
		}
		verb := strings.ToUpper(m[1] + m[2])
		text, after, complete := strings.Cut(data, "\n")
		text = strings.TrimSuffix(text, "\r")
		arg := ""
		if len(text) > len(verb) {
			arg = strings.TrimLeft(text[len(verb):], " \t")
		}
		counted := verb != "PING" && verb != "PONG" && verb != "+OK"
		if counted && len(arg) > lim.MaxControlLine || len(text) > lim.MaxControlLine+lineSlack {
			return fail(errControlLine)
		}
		if !complete {
			return events, len(data)
		}
		op := Op{Line: []byte(text)}
		fields := strings.FieldsFunc(arg, func(r rune) bool { return r == ' ' || r == '\t' })
		size, hdr := -1, -1
		switch verb {
		case "PING":
			op.Kind = OpPing
		case "PONG":
			op.Kind = OpPong
		case "+OK":
			op.Kind = OpOK
		case "CONNECT":
			op.Kind, op.Arg = OpConnect, []byte(arg)
		case "INFO":
			op.Kind, op.Arg = OpInfo, []byte(arg)
		case "-ERR":
			op.Kind, op.Arg = OpErr, []byte(arg)
		case "SUB":
			fields = strings.FieldsFunc(arg, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
			if len(fields) < 2 || len(fields) > 3 {
				return fail(errSubArgs)
			}
			op.Kind, op.Subject, op.SID = OpSub, []byte(fields[0]), []byte(fields[len(fields)-1])
			if len(fields) == 3 {
				op.Queue = []byte(fields[1])
			}
		case "UNSUB":
			fields = strings.FieldsFunc(arg, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
			if len(fields) < 1 || len(fields) > 2 {
				return fail(errUnsubArgs)
			}
			op.Kind, op.SID = OpUnsub, []byte(fields[0])
			if len(fields) == 2 && oracleSize.MatchString(fields[1]) {
				fmt.Sscan(strings.TrimLeft(fields[1], "0"), &op.Max)
			}
		case "HPUB", "PUB":
			op.Kind = OpPub
			if verb == "HPUB" {
				if !lim.Headers {
					return fail(errHpubOff)
				}
				if len(fields) < 3 {
					return fail(errHpubArgs)
				}
				f := fields[len(fields)-2]
				if !oracleSize.MatchString(f) {
					return fail(errHpubHead)
				}
				hdr = 0
				fmt.Sscan(strings.TrimLeft(f, "0"), &hdr)
				fields = append(fields[:len(fields)-2:len(fields)-2], fields[len(fields)-1])
			}
			if len(fields) < 2 || len(fields) > 3 {
				return fail(errPubArgs)
			}
			if !oracleSize.MatchString(fields[len(fields)-1]) {
				return fail(errPubSize)
			}
			size = 0
			fmt.Sscan(strings.TrimLeft(fields[len(fields)-1], "0"), &size)
			if hdr > size {
				return fail(errHpubHead)
			}
			if lim.MaxPayload >= 0 && size > lim.MaxPayload {
				return fail(errMaxPayload)
			}
			op.Subject = []byte(fields[0])
			if len(fields) == 3 {
				op.Reply = []byte(fields[1])
			}
			end := after[min(size, len(after)):]
			if !strings.HasPrefix("\r\n", end[:min(2, len(end))]) {
				return fail(errPayloadEnd)
			}
			if len(end) < 2 {
				return events, len(data)
			}
			op.Payload = []byte(after[:size])
			if hdr >= 0 {
				op.Header, op.Payload = op.Payload[:hdr:hdr], op.Payload[hdr:]
			}
			after = end[2:]
		}
		events = append(events, opEvent(&op))
		data = after
	}
	return events, 0
}
