package header

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const sample = "NATS/1.0\r\nA: 1\r\nBb:2\r\nC:\r\nA:   3 \r\nX-A: 4\r\nD: a:b\r\n\r\n"

func TestGet(t *testing.T) {
	for _, c := range []struct {
		block, key, want string
		has              bool
	}{
		{sample, "A", "1", true},
		{sample, "Bb", "2", true},
		{sample, "bb", "", false}, // exact case
		{sample, "B", "", false},  // not a prefix
		{sample, "b", "", false},  // not a suffix
		{sample, "C", "", true},
		{sample, "D", "a:b", true},
		{sample, "X-A", "4", true},
		{sample, "", "", false},
		{sample, "NATS/1.0", "", false},
		{"", "A", "", false},
		{"A: 1\r\n", "A", "", false}, // the first line is the version line
		{"NATS/1.0\r\n A: 1\r\n\r\n", "A", "", false},
		{"NATS/1.0\r\nA : 1\r\n\r\n", "A", "", false},
		{"NATS/1.0\r\nA: 1", "A", "1", true}, // cut off
		{"NATS/1.0\r\nA:", "A", "", true},
		{"NATS/1.0\r\nA", "A", "", false},
		{"NATS/1.0\r\nA: 1\nB: 2\r\n\r\n", "B", "", false}, // LF alone ends no field
		{"NATS/1.0\r\nA: 1\nB: 2\r\n\r\n", "A", "1\nB: 2", true},
		{"junk\r\nA: 1\r\n\r\n", "A", "1", true},
		{"NATS/1.0\r\nB: A: 9\r\nA: 1\r\n\r\n", "A", "1", true},
	} {
		got := Get([]byte(c.block), c.key)
		if string(got) != c.want || (got != nil) != c.has || Has([]byte(c.block), c.key) != c.has {
			t.Errorf("%q[%q]: %q, has %v", c.block, c.key, got, got != nil)
		}
	}
}

func fields(block string) (list []string) {
	for k, v := range All([]byte(block)) {
		list = append(list, fmt.Sprintf("%s=%s", k, v))
	}
	return
}

func TestIterate(t *testing.T) {
	for _, c := range []struct {
		block string
		want  []string
	}{
		{sample, []string{"A=1", "Bb=2", "C=", "A=3 ", "X-A=4", "D=a:b"}},
		{Empty, nil},
		{"", nil},
		{"NATS/1.0", nil},
		{"NATS/1.0 503\r\nA: 1", []string{"A=1"}},
		{"NATS/1.0\r\nno colon\r\n: no key\r\nA: 1\r\n\r\n", []string{"A=1"}},
	} {
		if got := fields(c.block); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.block, got, c.want)
		}
	}
	for k := range All([]byte(sample)) {
		if string(k) != "A" {
			t.Error("break does not end the walk")
		}
		break
	}
}

func TestEdit(t *testing.T) {
	set := func(block, key, value string) string {
		return string(AppendSet(nil, []byte(block), key, []byte(value)))
	}
	add := func(block, key, value string) string {
		return string(AppendAdd(nil, []byte(block), key, []byte(value)))
	}
	del := func(block, key string) string { return string(AppendDelete(nil, []byte(block), key)) }
	for _, c := range []struct{ got, want string }{
		{set(sample, "A", "9"), "NATS/1.0\r\nA: 9\r\nBb:2\r\nC:\r\nX-A: 4\r\nD: a:b\r\n\r\n"},
		{set(sample, "D", ""), "NATS/1.0\r\nA: 1\r\nBb:2\r\nC:\r\nA:   3 \r\nX-A: 4\r\nD: \r\n\r\n"},
		{set(sample, "E", "5"), sample[:len(sample)-2] + "E: 5\r\n\r\n"},
		{set(Empty, "A", "1"), "NATS/1.0\r\nA: 1\r\n\r\n"},
		{set("", "A", "1"), "NATS/1.0\r\nA: 1\r\n\r\n"},
		{set("NATS/1.0 503\r\nA: 0\r\n\r\n", "A", "1"), "NATS/1.0 503\r\nA: 1\r\n\r\n"},
		{set("NATS/1.0\r\nA: 1", "A", "2"), "NATS/1.0\r\nA: 2\r\n\r\n"},
		{set("NATS/1.0", "A", "2"), "NATS/1.0\r\nA: 2\r\n\r\n"},
		{add(sample, "A", "9"), sample[:len(sample)-2] + "A: 9\r\n\r\n"},
		{add("", "A", "9"), "NATS/1.0\r\nA: 9\r\n\r\n"},
		{del(sample, "A"), "NATS/1.0\r\nBb:2\r\nC:\r\nX-A: 4\r\nD: a:b\r\n\r\n"},
		{del(sample, "D"), "NATS/1.0\r\nA: 1\r\nBb:2\r\nC:\r\nA:   3 \r\nX-A: 4\r\n\r\n"},
		{del(sample, "Z"), sample},
		{del("NATS/1.0\r\nA: 1\r\nA: 2\r\n\r\n", "A"), ""},
		{del("NATS/1.0 404 x\r\nA: 1\r\n\r\n", "A"), "NATS/1.0 404 x\r\n\r\n"},
		{del("", "A"), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	// The block is borrowed: completing a cut-off one must not write behind it.
	backing := []byte("NATS/1.0\r\nA: 1XYZ")
	AppendSet(nil, backing[:len(backing)-3], "B", nil)
	if string(backing) != "NATS/1.0\r\nA: 1XYZ" {
		t.Errorf("borrowed bytes overwritten: %q", backing)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		block string
		code  int
		desc  string
		ok    bool
	}{
		{"NATS/1.0 503\r\n\r\n", 503, "", true},
		{"NATS/1.0 100 Idle Heartbeat\r\nA: 1\r\n\r\n", 100, "Idle Heartbeat", true},
		{"NATS/1.0  404  No Messages\r\n\r\n", 404, "No Messages", true},
		{"NATS/1.0 408", 408, "", true},
		{Empty, 0, "", false},
		{"NATS/1.0", 0, "", false},
		{"NATS/1.0 \r\n\r\n", 0, "", false},
		{"NATS/1.0 50\r\n\r\n", 0, "", false},
		{"NATS/1.0 5034\r\n\r\n", 0, "", false},
		{"NATS/1.0 5x3\r\n\r\n", 0, "", false},
		{"NATS/1.0503\r\n\r\n", 0, "", false},
		{"NATS/2.0 503\r\n\r\n", 0, "", false},
		{"", 0, "", false},
	} {
		code, desc, ok := Status([]byte(c.block))
		if code != c.code || string(desc) != c.desc || ok != c.ok {
			t.Errorf("%q: %d %q %v", c.block, code, desc, ok)
		}
	}
	if got := string(AppendStatus(nil, 409, "Consumer Deleted")); got != "NATS/1.0 409 Consumer Deleted\r\n\r\n" {
		t.Errorf("%q", got)
	}
	// Captured from nats-server: the message "HMSG x 1 38 38".
	got := string(AppendNoResponders(nil, []byte("nobody")))
	if got != "NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n" || len(got) != 38 || NoRespondersLen != 32 {
		t.Errorf("%q, %d", got, NoRespondersLen)
	}
}

func TestNoAllocs(t *testing.T) {
	block, value, buf := []byte(sample), []byte("value"), make([]byte, 0, 1024)
	for name, fn := range map[string]func(){
		"get":    func() { Get(block, "D"); Has(block, "Z") },
		"set":    func() { AppendSet(buf, block, "A", value) },
		"add":    func() { AppendAdd(buf, block, "Z", value) },
		"new":    func() { AppendAdd(buf, nil, "Z", value) },
		"delete": func() { AppendDelete(buf, block, "A") },
		"status": func() { Status(block); AppendNoResponders(buf, value) },
		"iterate": func() {
			it := NewIter(block)
			for _, _, ok := it.Next(); ok; _, _, ok = it.Next() {
			}
		},
		"range": func() {
			for k := range All(block) {
				_ = k
			}
		},
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(sample), "A", []byte("v"))
	f.Add([]byte("NATS/1.0 503\r\nNats-Subject: a\r\n\r\n"), "Nats-Subject", []byte(""))
	f.Add([]byte("\r\n\r\nA:\r\nA"), "A", []byte("x"))
	f.Add([]byte("NATS/1.0\r\nA: 1\r"), "A", []byte("1"))
	f.Add([]byte("\r\n\n\r\r\nA:\r\r\n"), "A", []byte("1"))
	f.Fuzz(func(t *testing.T, block []byte, key string, value []byte) {
		block = slices.Clip(bytes.Clone(block))
		Status(block)
		if key != "" && utf8.Valid(block) && utf8.ValidString(key) { // regexp needs UTF-8
			var want []byte
			re := regexp.MustCompile(`(?s)\r\n` + regexp.QuoteMeta(key) + `: *(.*?)(?:\r\n|$)`)
			if m := re.FindSubmatch(block); m != nil {
				want = m[1]
			}
			if got := Get(block, key); string(got) != string(want) || (got == nil) != (want == nil) {
				t.Fatalf("%q[%q]: %q, want %q", block, key, got, want)
			}
		}
		if !strings.ContainsAny(key, "\r\n:") && key != "" {
			checkEdits(t, block, key, value)
		}
		var rebuilt []byte
		for k, v := range All(block) {
			if rebuilt == nil {
				rebuilt = []byte(Version + "\r\n")
			}
			rebuilt = AppendField(rebuilt, string(k), v)
		}
		if got, want := fields(string(rebuilt)), fields(string(block)); !slices.Equal(got, want) {
			t.Fatalf("%q rebuilt: %q, want %q", block, got, want)
		}
	})
}

func checkEdits(t *testing.T, block []byte, key string, value []byte) {
	t.Helper()
	gone := AppendDelete([]byte("x"), block, key)
	if gone[0] != 'x' || Has(gone[1:], key) {
		t.Fatalf("%q without %q: %q", block, key, gone)
	}
	value = bytes.TrimLeft(bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, value), " ")
	set := AppendSet([]byte("x"), block, key, value)[1:]
	if got := Get(set, key); !bytes.Equal(got, value) || got == nil {
		t.Fatalf("%q set %q to %q: %q", block, key, value, set)
	}
	if f, _ := find(set, key, 0); Has(set[f.end:], key) {
		t.Fatalf("%q set %q: twice in %q", block, key, set)
	}
	if again := AppendSet(nil, set, key, value); !bytes.Equal(again, set) {
		t.Fatalf("set is not stable: %q, then %q", set, again)
	}
	added := AppendAdd(nil, block, key, value)
	if !bytes.HasSuffix(added, append(AppendField(nil, key, value), crlf...)) {
		t.Fatalf("added: %q", added)
	}
}

func BenchmarkGet(b *testing.B) {
	block := []byte(sample)
	b.ReportAllocs()
	for b.Loop() {
		Get(block, "D")
	}
}
