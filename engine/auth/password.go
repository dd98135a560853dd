package auth

import (
	"crypto/subtle"

	"golang.org/x/crypto/bcrypt"
)

// secret is a configured password or token: a bcrypt hash or plain text.
type secret struct {
	text   string
	bcrypt bool
}

func newSecret(s string) secret { return secret{text: s, bcrypt: isBcrypt(s)} }

// isBcrypt reports whether s looks like a bcrypt hash: `$2`, one of a b x y, `$`, two digits, `$`
// (reference/auth.md, section 1). Anything else is a plain secret, whatever else it resembles.
func isBcrypt(s string) bool {
	if len(s) < 7 || s[0] != '$' || s[1] != '2' || s[3] != '$' || s[6] != '$' {
		return false
	}
	switch s[2] {
	case 'a', 'b', 'x', 'y':
	default:
		return false
	}
	return isDigit(s[4]) && isDigit(s[5])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// equal compares given with a plain secret in time that does not depend on where they differ.
func (s *secret) equal(given string) bool {
	return subtle.ConstantTimeCompare([]byte(s.text), []byte(given)) == 1
}

// matches compares given with the secret; with a bcrypt hash this takes many milliseconds.
func (s *secret) matches(given string) bool {
	if s.bcrypt {
		return bcrypt.CompareHashAndPassword([]byte(s.text), []byte(given)) == nil
	}
	return s.equal(given)
}
