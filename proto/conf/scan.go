package conf

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// scanner walks one text. It never goes back, except for the first word of an entry, which may turn
// out to be an include directive.
type scanner struct {
	file  string
	text  string
	at    int // next byte
	line  int
	begin int // where the current line begins
}

func newScanner(file, text string) *scanner {
	text = strings.TrimPrefix(text, "\uFEFF")
	return &scanner{file: file, text: text, line: 1}
}

func (s *scanner) pos() Pos  { return Pos{File: s.file, Line: s.line, Col: s.at - s.begin + 1} }
func (s *scanner) eof() bool { return s.at >= len(s.text) }
func (s *scanner) peek() byte { // 0 at the end
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) next() byte {
	c := s.text[s.at]
	s.at++
	if c == '\n' {
		s.line++
		s.begin = s.at
	}
	return c
}

// seen shows the next character in an error message.
func (s *scanner) seen() string {
	if s.eof() {
		return "EOF"
	}
	r, n := utf8.DecodeRuneInString(s.text[s.at:])
	if r == utf8.RuneError && n <= 1 {
		return fmt.Sprintf("\\x%02x", s.text[s.at])
	}
	if r < ' ' {
		q := fmt.Sprintf("%q", r)
		return q[1 : len(q)-1]
	}
	return string(r)
}

func isBlank(c byte) bool   { return c == ' ' || c == '\t' }
func isNewline(c byte) bool { return c == '\n' || c == '\r' }
func isDigit(c byte) bool   { return c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// endsBare says that c ends a bare word.
func endsBare(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', ';', ']', '}':
		return true
	}
	return false
}

func (s *scanner) skipBlanks() {
	for !s.eof() && isBlank(s.peek()) {
		s.at++
	}
}

func (s *scanner) atComment() bool {
	rest := s.text[s.at:]
	return strings.HasPrefix(rest, "#") || strings.HasPrefix(rest, "//")
}

// skipSpace skips blanks, line ends and comments.
func (s *scanner) skipSpace() {
	for !s.eof() {
		switch c := s.peek(); {
		case isBlank(c), isNewline(c):
			s.next()
		case s.atComment():
			s.skipLine()
		default:
			return
		}
	}
}

func (s *scanner) skipLine() {
	for !s.eof() && !isNewline(s.peek()) {
		s.at++
	}
}

// key reads a key and says where its text begins and whether it was bare.
func (s *scanner) key() (key string, pos Pos, bare bool, err *Error) {
	switch c := s.peek(); c {
	case ':', '=':
		return "", s.pos(), false, syntax(s.pos(), "Unexpected key separator '%c'", c)
	case '\'', '"':
		s.at++
		pos = s.pos()
		start := s.at
		for !s.eof() && s.peek() != c {
			s.next()
		}
		if s.eof() {
			return "", pos, false, syntax(s.pos(), "Unexpected EOF.")
		}
		key = s.text[start:s.at]
		s.at++
		return key, pos, false, nil
	}
	pos = s.pos()
	start := s.at
	for !s.eof() {
		c := s.peek()
		if isBlank(c) || isNewline(c) || c == ':' || c == '=' {
			break
		}
		s.at++
	}
	return s.text[start:s.at], pos, true, nil
}

// raw reads a string in single quotes, which has no escapes.
func (s *scanner) raw() (string, *Error) {
	open := s.pos()
	s.at++
	start := s.at
	for !s.eof() && s.peek() != '\'' {
		s.next()
	}
	if s.eof() {
		return "", syntax(open, "Unexpected EOF.")
	}
	v := s.text[start:s.at]
	s.at++
	return v, nil
}

// quoted reads a string in double quotes.
func (s *scanner) quoted() (string, *Error) {
	open := s.pos()
	s.at++
	var b strings.Builder
	start := s.at
	for {
		if s.eof() {
			return "", syntax(open, "Unexpected EOF.")
		}
		switch s.peek() {
		case '"':
			b.WriteString(s.text[start:s.at])
			s.at++
			return b.String(), nil
		case '\\':
			b.WriteString(s.text[start:s.at])
			c, err := s.escape()
			if err != nil {
				return "", err
			}
			b.WriteByte(c)
			start = s.at
		default:
			s.next()
		}
	}
}

// bare reads a word without quotes; backslash escapes are active in it, and a single quote ends it and is
// dropped (peer behaviour). plain says that there was neither, so that the word may be a boolean or a variable.
func (s *scanner) bare() (word string, plain bool, err *Error) {
	var b strings.Builder
	start := s.at
	plain = true
	for !s.eof() && !endsBare(s.peek()) {
		if s.peek() == '\'' {
			b.WriteString(s.text[start:s.at])
			s.at++
			return b.String(), false, nil
		}
		if s.peek() != '\\' {
			s.at++
			continue
		}
		plain = false
		b.WriteString(s.text[start:s.at])
		c, err := s.escape()
		if err != nil {
			return "", false, err
		}
		b.WriteByte(c)
		start = s.at
	}
	if plain {
		return s.text[start:s.at], true, nil
	}
	b.WriteString(s.text[start:s.at])
	return b.String(), false, nil
}

// escape reads an escape sequence, the backslash being next.
func (s *scanner) escape() (byte, *Error) {
	s.at++
	switch c := s.peek(); c {
	case 't', 'n', 'r', '"', '\\':
		s.at++
		switch c {
		case 't':
			c = '\t'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		}
		return c, nil
	case 'x':
		s.at++
		hex := s.text[s.at:min(s.at+2, len(s.text))]
		if hex == "" || isNewline(hex[0]) || len(hex) == 2 && isNewline(hex[1]) {
			return 0, syntax(s.pos(), "Expected two hexadecimal digits after '\\x', but hit end of line")
		}
		if len(hex) < 2 || !isHex(hex[0]) || !isHex(hex[1]) {
			return 0, syntax(s.pos(), "Expected two hexadecimal digits after '\\x', but got '%s'", hex)
		}
		s.at += 2
		return unhex(hex[0])<<4 | unhex(hex[1]), nil
	}
	return 0, syntax(s.pos(), "Invalid escape character '%s'. Only the following escape characters are allowed: \\xXX, \\t, \\n, \\r, \\\", \\\\.", s.seen())
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// block reads a block string, up to a line that is a closing parenthesis and nothing else.
func (s *scanner) block() (string, *Error) {
	open := s.pos()
	s.at++
	start := s.at
	for !s.eof() {
		if s.at > start && s.at == s.begin && s.peek() == ')' {
			switch rest := s.text[s.at+1:]; {
			case rest == "":
				// Peer behaviour: without a final line end the parenthesis belongs to the text.
				s.at++
				return s.text[start:s.at], nil
			case rest[0] == '\n' || strings.HasPrefix(rest, "\r\n"):
				v := s.text[start:s.at]
				s.at++
				return v, nil
			}
		}
		s.next()
	}
	return "", syntax(open, "Unexpected EOF processing block.")
}
