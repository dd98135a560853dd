package interest

import (
	"strings"

	"github.com/cespare/xxhash/v2"

	"ramjet/proto/subject"
)

// formSalt separates the hashes of `a.b`, `a.b.*` and `a.b.>`, whose keys have the same text or
// nearly so.
var formSalt = [...]uint64{formLiteral: 0, formStar: 0x9e3779b97f4a7c15, formFull: 0xc2b2ae3d27d4eb4f, formTrie: 0, formSID: 0}

func hashOf(f form, key string) uint64 { return xxhash.Sum64String(key) ^ formSalt[f] }

// formOf classifies a subscription subject.
func formOf(subj []byte) form {
	s := subject.View(subj)
	if !subject.HasWildcard(s) {
		return formLiteral
	}
	last := len(s) - 1
	if last > 0 && (s[last-1] != subject.Sep || subject.HasWildcard(s[:last-1])) {
		return formTrie
	}
	if s[last] == subject.Full {
		return formFull
	}
	return formStar
}

// key returns what the table indexes s by: a trailing wildcard is cut off, its separator is not.
func (s *Sub) key() string {
	t := s.Subject()
	if f := s.form(); f == formStar || f == formFull {
		return t[:len(t)-1]
	}
	return t
}

func (s *Sub) hasKey(f form, key string) bool {
	if f == formSID {
		return s.SID() == key
	}
	return s.form() == f && s.key() == key
}

func hashSub(s *Sub) uint64 { return hashOf(s.form(), s.key()) }
func hashSID(s *Sub) uint64 { return hashOf(formSID, s.SID()) }

// topicOf returns which of the 64 generations the first token of a literal belongs to.
func topicOf(subj string) uint8 {
	n := strings.IndexByte(subj, subject.Sep)
	if n < 0 {
		n = len(subj)
	}
	h := uint32(n)
	for i := range n {
		h = h*31 + uint32(subj[i])
	}
	return uint8((h * 0x9e3779b1) >> 26)
}

// lead is the topic of subscriptions whose first token is a wildcard.
const lead = 64

// topic returns the generation a subscription belongs to.
func (s *Sub) topic() uint8 {
	t := s.Subject()
	if (t[0] == subject.Star || t[0] == subject.Full) && (len(t) == 1 || t[1] == subject.Sep) {
		return lead
	}
	return topicOf(t)
}
