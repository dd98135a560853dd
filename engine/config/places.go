package config

import (
	"strconv"
	"strings"

	"ramjet/proto/conf"
)

// parsePlace reads "file:line:col" back.
func parsePlace(s string) conf.Pos {
	p := conf.Pos{File: s}
	for _, n := range []*int{&p.Col, &p.Line} {
		i := strings.LastIndexByte(p.File, ':')
		if i < 0 {
			return conf.Pos{}
		}
		v, err := strconv.Atoi(p.File[i+1:])
		if err != nil {
			return conf.Pos{}
		}
		*n, p.File = v, p.File[:i]
	}
	return p
}

func quote(s string) string { return strconv.Quote(s) }
