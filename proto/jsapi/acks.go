package jsapi

import (
	"bytes"
	"encoding/json"
	"time"
)

// AckKind is what an acknowledgement asks for.
type AckKind uint8

// The kinds of acknowledgements.
const (
	AckInvalid AckKind = iota // unknown text: ignored
	Ack
	AckNak
	AckProgress
	AckNext
	AckTerm
)

// AckMsg is the body of an acknowledgement.
type AckMsg struct {
	Kind   AckKind
	Delay  time.Duration // AckNak: redeliver after; 0 at once
	Next   []byte        // AckNext: the pull request that follows, for ParseNext
	Reason []byte        // AckTerm
}

// ParseAck reads the body of an acknowledgement (without headers). The slices of a are of body. A bad delay is no delay.
func ParseAck(body []byte, a *AckMsg) {
	*a = AckMsg{}
	switch {
	case len(body) == 0 || string(body) == "+ACK" || string(body) == "+OK":
		a.Kind = Ack
	case bytes.HasPrefix(body, []byte("-NAK")):
		a.Kind, a.Delay = AckNak, nakDelay(trimSpace(body[4:]))
	case string(body) == "+WPI":
		a.Kind = AckProgress
	case bytes.HasPrefix(body, []byte("+NXT")):
		a.Kind, a.Next = AckNext, trimSpace(body[4:])
	case bytes.HasPrefix(body, []byte("+TERM")):
		a.Kind, a.Reason = AckTerm, trimSpace(body[5:])
	}
}

func nakDelay(b []byte) time.Duration {
	if len(b) == 0 {
		return 0
	}
	if b[0] != '{' {
		d, err := time.ParseDuration(string(b))
		if err != nil {
			return 0
		}
		return max(d, 0)
	}
	s := scanner{b: b, i: 1}
	s.skip()
	if key, ok := s.str(); ok && string(key) == "delay" {
		var d time.Duration
		if s.skip(); s.take(':') {
			if s.skip(); setInt(&s, &d) {
				if s.skip(); s.take('}') && s.end() {
					return max(d, 0)
				}
			}
		}
	}
	var o struct {
		Delay time.Duration `json:"delay"`
	}
	if json.Unmarshal(b, &o) != nil {
		return 0
	}
	return max(o.Delay, 0)
}
