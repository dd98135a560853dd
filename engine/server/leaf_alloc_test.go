package server

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
)

// TestLeafNoAllocations: a message that comes from one leafnode and goes to another allocates nothing, with a header and a reply subject
// as without.
func TestLeafNoAllocations(t *testing.T) {
	_, addr := hub(t, "compression: off", "")
	for i, line := range []string{"LMSG some.subject 5\r\nhello\r\n", "HMSG some.subject re 12 17\r\nNATS/1.0\r\n\r\nhello\r\n"} {
		var ends []*rawLeaf
		for _, name := range []string{"from", "to"} {
			r := dialLeaf(t, addr)
			r.expect("INFO ")
			r.send(fmt.Sprintf(`CONNECT {"name":"%s%d","cluster":"%s%d","headers":true}`, name, i, name, i))
			r.expect("INFO ")
			ends = append(ends, r)
		}
		from, to := ends[0], ends[1]
		to.send("LS+ some.subject", "PING")
		to.expect("PONG")
		const batch, rounds = 500, 40
		many := bytes.Repeat([]byte(line), batch)
		back := make([]byte, len(many))
		round := func() {
			if _, err := from.Write(many); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(to, back); err != nil {
				t.Fatal(err)
			}
		}
		round()
		if !bytes.Equal(back, many) {
			t.Fatalf("got %q", back[:2*len(line)])
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			round()
		}
		runtime.ReadMemStats(&after)
		if n := float64(after.Mallocs-before.Mallocs) / (batch * rounds); n > 0.1 {
			t.Errorf("%q: %.2f allocations per message", line, n)
		}
		to.send("LS- some.subject", "PING")
		to.expect("PONG")
	}
}
