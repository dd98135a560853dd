package config

import (
	"errors"
	"os"
	"strings"

	"ramjet/proto/conf"
)

// jwtStart is how every token begins: base64 of `{"`.
const jwtStart = "eyJ"

// operators decodes operator: each entry is a token, or the path of a file that contains one, bare or
// between dashed lines. Options keeps the tokens; what they say is for engine/account.
func operators(d *decoder, o *Options, e *conf.Entry) {
	list, ok := d.stringList(e)
	if !ok {
		return
	}
	var tokens []string
	for _, s := range list {
		text := s
		if !strings.HasPrefix(s, jwtStart) {
			b, err := os.ReadFile(s)
			if err != nil {
				d.errorf(e.Pos, "error reading the operator JWT: %v", err)
				continue
			}
			text = string(b)
		}
		token, err := findToken(text)
		if err != nil {
			d.errorf(e.Pos, "operator JWT is not valid: %v", err)
			continue
		}
		tokens = append(tokens, token)
	}
	o.Operators = tokens
}

// findToken returns the token of text: the line after a line of three dashes or more, or all of it.
func findToken(text string) (string, error) {
	token := strings.TrimSpace(text)
	if strings.HasPrefix(token, "---") {
		_, token, _ = strings.Cut(token, "\n")
		token, _, _ = strings.Cut(strings.TrimSpace(token), "\n")
		token = strings.TrimSpace(token)
	}
	switch {
	case !strings.HasPrefix(token, jwtStart):
		return "", errors.New("there is no token")
	case strings.Count(token, ".") != 2:
		return "", errors.New("expected 3 chunks")
	}
	return token, nil
}
