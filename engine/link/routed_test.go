package link

import (
	"fmt"
	"testing"
	"time"

	"ramjet/proto/base/clock"
)

func TestRoutedReplies(t *testing.T) {
	clk := clock.NewManual(time.Unix(1000, 0))
	c := &Conn{env: &Env{Clock: clk}}
	long := func(s string) []byte { return []byte("_GR_.1vR9Ah.cIlrfV." + s) }
	if got := c.Routed([]byte("r1")); string(got) != "r1" {
		t.Errorf("%q", got)
	}
	if got := c.trackRouted([]byte("_GR_.x")); string(got) != "_GR_.x" {
		t.Errorf("too short: %q", got)
	}
	if got := c.trackRouted(long("r1")); string(got) != "r1" {
		t.Errorf("shown %q", got)
	}
	for range 2 { // an answer may come in parts
		if got := c.Routed([]byte("r1")); string(got) != string(long("r1")) {
			t.Errorf("answered to %q", got)
		}
	}
	if got := c.Routed([]byte("r2")); string(got) != "r2" {
		t.Errorf("%q", got)
	}
	clk.Advance(2 * time.Second)
	if got := c.Routed([]byte("r1")); string(got) != "r1" {
		t.Errorf("after its time: %q", got)
	}
	for i := range maxRouted + 10 {
		c.trackRouted(long(fmt.Sprint(i)))
	}
	if n := len(c.routed.Load().entries); n != maxRouted {
		t.Errorf("%d entries", n)
	}
	clk.Advance(3 * time.Second)
	c.trackRouted(long("last"))
	if n := len(c.routed.Load().entries); n != 1 {
		t.Errorf("%d entries after their time", n)
	}
}
