package conf

import (
	"strconv"
	"strings"
)

// units are the size suffixes: k is decimal, kb, ki and kib binary, and so on.
var units = func() map[string]int64 {
	m := make(map[string]int64)
	dec, bin := int64(1), int64(1)
	for _, c := range "kmgtpe" {
		dec, bin = dec*1000, bin*1024
		m[string(c)] = dec
		for _, tail := range []string{"b", "i", "ib"} {
			m[string(c)+tail] = bin
		}
	}
	return m
}()

// number reads what begins with a digit or a minus sign: an integer with or without unit, a float, a
// date, an address such as 127.0.0.1:4222, or a word that only begins like a number.
func (s *scanner) number(v *Value) *Error {
	pos := s.pos()
	start := s.at
	if s.peek() == '-' {
		s.at++
		if !isDigit(s.peek()) {
			return syntax(pos, "Expected a digit but got '%s'.", s.seen())
		}
	}
	for isDigit(s.peek()) {
		s.at++
	}
	digits := s.text[start:s.at]
	switch c := s.peek(); {
	case s.eof() || endsBare(c):
		return v.setInt(pos, digits, 1)
	case c == '.':
		return s.float(v, pos, start)
	case c == '-':
		return s.date(v, pos, start)
	}
	// A unit must be followed by the end of the value; the peer does not see the end of an array there.
	rest := s.text[s.at:]
	n := 0
	for n < len(rest) && n < 4 && !endsBare(rest[n]) {
		n++
	}
	if n <= 3 && (n == len(rest) || rest[n] != ']') {
		if factor, ok := units[strings.ToLower(rest[:n])]; ok {
			s.at += n
			return v.setInt(pos, digits, factor)
		}
	}
	if !strings.ContainsRune("kmgtpeKMGTPE", rune(rest[0])) {
		if digits[0] == '-' {
			return nil // the caller reports what follows
		}
		s.at++ // the character that makes it a word is part of it, whatever it is
	}
	head := s.text[start:s.at]
	tail, _, err := s.bare()
	v.Kind, v.Str = String, head+tail
	return err
}

func (v *Value) setInt(pos Pos, digits string, factor int64) *Error {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return failure(pos, "integer '%s' is out of the range", digits)
	}
	v.Kind, v.Int = Int, n*factor
	if v.Int/factor != n {
		return failure(pos, "integer '%s' with its unit is out of the range", digits)
	}
	return nil
}

func (s *scanner) float(v *Value, pos Pos, start int) *Error {
	s.at++
	if !isDigit(s.peek()) {
		return syntax(pos, "Floats must have a digit after the '.', but got '%s' instead.", s.seen())
	}
	for isDigit(s.peek()) {
		s.at++
	}
	if c := s.peek(); c == '.' || c == ':' {
		for c := s.peek(); isDigit(c) || c == '.' || c == ':' || c == '-'; c = s.peek() {
			s.at++
		}
		v.Kind, v.Str = String, s.text[start:s.at]
		return nil
	}
	f, err := strconv.ParseFloat(s.text[start:s.at], 64)
	if err != nil {
		return failure(pos, "float '%s' is out of the range", s.text[start:s.at])
	}
	v.Kind, v.Float = Float, f
	return nil
}

// date reads 2006-01-02T15:04:05Z, the year having been read.
func (s *scanner) date(v *Value, pos Pos, start int) *Error {
	if s.at-start != 4 {
		return syntax(pos, "All ISO8601 dates must be in full Zulu form.")
	}
	for _, want := range "-00-00T00:00:00Z" {
		c := s.peek()
		switch {
		case want == '0' && !isDigit(c):
			return syntax(pos, "Expected digit in ISO8601 datetime, but found '%s' instead.", s.seen())
		case want != '0' && c != byte(want):
			return syntax(pos, "Expected '%c' in ISO8601 datetime, but found '%s' instead.", want, s.seen())
		}
		s.at++
	}
	text := s.text[start:s.at]
	if !validDate(text) {
		return failure(pos, "expected Zulu formatted DateTime, but got '%s'", text)
	}
	v.Kind, v.Str = Time, text
	return nil
}

func validDate(t string) bool {
	num := func(i, n int) int {
		x, _ := strconv.Atoi(t[i : i+n])
		return x
	}
	year, month, day := num(0, 4), num(5, 2), num(8, 2)
	if month < 1 || month > 12 || day < 1 || num(11, 2) > 23 || num(14, 2) > 59 || num(17, 2) > 59 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && (year%4 == 0 && year%100 != 0 || year%400 == 0) {
		days++
	}
	return day <= days
}
