package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRedactArgs(t *testing.T) {
	for in, want := range map[string]string{
		"x":                                    "x",
		"x --pass s3 -p 1":                     "x --pass [REDACTED] -p 1",
		"x -user=me --auth=t=t":                "x -user=[REDACTED] --auth=[REDACTED]",
		"x --pass":                             "x --pass",
		"x pass s3":                            "x pass s3",
		"x --routes nats://a:b@h:1,nats://h:2": "x --routes nats://[REDACTED]@h:1,nats://h:2",
		"x --cluster=nats://a:p@q@h:1/x":       "x --cluster=nats://[REDACTED]@h:1/x",
		"x -c user.conf -D":                    "x -c user.conf -D",
	} {
		args := strings.Fields(in)
		redactArgs(args)
		if !slices.Equal(args, strings.Fields(want)) {
			t.Errorf("%q: %q, want %q", in, args, want)
		}
	}
}
