package jsapi

import (
	"bytes"
	"strconv"
)

// AckPrefix starts every ack reply subject.
const AckPrefix = "$JS.ACK."

// AckReply is what the reply subject of a delivery says (reference/jetstream/consumer.md, section 3).
type AckReply struct {
	Domain, Account  []byte // version 2 only; Domain "_" stands for none
	Stream, Consumer []byte
	Deliveries       uint64
	StreamSeq        uint64
	ConsumerSeq      uint64
	Time             int64 // unix nanoseconds
	Pending          uint64
	V2               bool
}

// AppendAckPrefix appends what does not change between the deliveries of a consumer, up to and with the dot after the
// consumer's name: version 1 if account is empty, version 2 otherwise (account is its 8 character hash).
func AppendAckPrefix(dst []byte, domain, account, stream, consumer string) []byte {
	dst = append(dst, AckPrefix...)
	if account != "" {
		if domain == "" {
			domain = "_"
		}
		dst = append(append(dst, domain...), '.')
		dst = append(append(dst, account...), '.')
	}
	dst = append(append(dst, stream...), '.')
	return append(append(dst, consumer...), '.')
}

// AppendAckReply appends the reply subject of a delivery: prefix is that of AppendAckPrefix.
func AppendAckReply(dst, prefix []byte, deliveries, sseq, cseq uint64, time int64, pending uint64) []byte {
	dst = append(dst, prefix...)
	dst = strconv.AppendUint(dst, deliveries, 10)
	dst = appendUint(dst, '.', sseq)
	dst = appendUint(dst, '.', cseq)
	dst = strconv.AppendInt(append(dst, '.'), time, 10)
	return appendUint(dst, '.', pending)
}

// ParseAckReply reads an ack reply subject, version 1 (9 tokens) or 2 (11 and more); the slices of a are of subject.
func ParseAckReply(subject []byte, a *AckReply) bool {
	if !bytes.HasPrefix(subject, []byte(AckPrefix)) {
		return false
	}
	rest := subject[len(AckPrefix):]
	var tok [9][]byte
	n := 0
	for more := true; more && n < len(tok); n++ {
		i := bytes.IndexByte(rest, '.')
		if more = i >= 0; more {
			tok[n], rest = rest[:i], rest[i+1:]
		} else {
			tok[n], rest = rest, nil
		}
	}
	*a = AckReply{}
	t := tok[:]
	switch {
	case n == 7:
	case n == 9:
		a.V2, a.Domain, a.Account = true, t[0], t[1]
		t = t[2:]
	default:
		return false
	}
	a.Stream, a.Consumer = t[0], t[1]
	ok := len(a.Stream) > 0 && len(a.Consumer) > 0
	var ok1, ok2, ok3, ok4, ok5 bool
	a.Deliveries, ok1 = ParseUint(t[2])
	a.StreamSeq, ok2 = ParseUint(t[3])
	a.ConsumerSeq, ok3 = ParseUint(t[4])
	a.Time, ok4 = parseInt(t[5])
	a.Pending, ok5 = ParseUint(t[6])
	return ok && ok1 && ok2 && ok3 && ok4 && ok5
}
