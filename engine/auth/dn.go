package auth

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
)

// A dn is a distinguished name, most specific RDN first (RFC 4514, section 2.1).
type dn []rdn

// rdn is one relative distinguished name: a set of attributes.
type rdn []attr

// attr is one attribute; the type is a short name such as CN.
type attr struct{ typ, value string }

// attrNames are the attribute types that take part in matching; a certificate with another one in its
// subject is not matched by name parts, only by the text of its subject.
var attrNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "POSTALCODE",
	"0.9.2342.19200300.100.1.25": "DC",
}

// parseDN parses the string form of RFC 4514. ok is false for text that is no distinguished name,
// which most user names are not. The #hex form of values is not supported.
func parseDN(s string) (name dn, ok bool) {
	var set rdn
	for {
		eq := strings.IndexByte(s, '=')
		if eq < 0 {
			return nil, false
		}
		a := attr{typ: strings.TrimSpace(s[:eq])}
		if a.typ == "" || strings.ContainsAny(a.typ, `,+\`) {
			return nil, false
		}
		var sep byte
		if a.value, s, sep, ok = cutValue(s[eq+1:]); !ok {
			return nil, false
		}
		set = append(set, a)
		if sep != '+' {
			name, set = append(name, set), nil
		}
		if sep == 0 {
			return name, true
		}
	}
}

// cutValue reads an attribute value up to an unescaped `,` or `+`, which is sep (0 at the end).
func cutValue(s string) (value, rest string, sep byte, ok bool) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "#") {
		return "", "", 0, false
	}
	var b strings.Builder
	keep := 0 // length of b without unescaped trailing spaces
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			n := 1
			if i+1 == len(s) {
				return "", "", 0, false
			}
			if strings.IndexByte(` "#+,;<=>\`, s[i+1]) >= 0 {
				b.WriteByte(s[i+1])
			} else {
				if i+2 >= len(s) {
					return "", "", 0, false
				}
				x, err := hex.DecodeString(s[i+1 : i+3])
				if err != nil {
					return "", "", 0, false
				}
				b.WriteByte(x[0])
				n = 2
			}
			i += n
			keep = b.Len()
		case c == ',' || c == '+':
			return b.String()[:keep], s[i+1:], c, true
		default:
			b.WriteByte(c)
			if c != ' ' {
				keep = b.Len()
			}
		}
	}
	return b.String()[:keep], "", 0, true
}

// subjectDN converts the subject of a certificate; ok is false when an attribute type is unknown or a
// value is no string.
func subjectDN(raw []byte) (name dn, ok bool) {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return nil, false
	}
	for i := len(seq) - 1; i >= 0; i-- {
		var set rdn
		for _, a := range seq[i] {
			typ, known := attrNames[a.Type.String()]
			value, text := a.Value.(string)
			if !known || !text {
				return nil, false
			}
			set = append(set, attr{typ, value})
		}
		if len(set) > 0 {
			name = append(name, set)
		}
	}
	return name, true
}

func (r rdn) covers(o rdn) bool {
	for _, want := range o {
		found := false
		for _, have := range r {
			found = found || strings.EqualFold(have.typ, want.typ) && have.value == want.value
		}
		if !found {
			return false
		}
	}
	return true
}

func (r rdn) equal(o rdn) bool { return len(r) == len(o) && r.covers(o) && o.covers(r) }

// equal compares in order; the attributes of one RDN are a set.
func (d dn) equal(o dn) bool {
	if len(d) != len(o) {
		return false
	}
	for i := range d {
		if !d[i].equal(o[i]) {
			return false
		}
	}
	return true
}

// sameRDNs compares as multisets: any order, but every RDN of either has its partner.
func (d dn) sameRDNs(o dn) bool {
	if len(d) != len(o) {
		return false
	}
	used := make([]bool, len(o))
	for _, r := range d {
		found := false
		for j := range o {
			if !used[j] && r.equal(o[j]) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
