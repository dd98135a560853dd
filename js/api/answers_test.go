package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// bench is a router over a fake node that works when the test says so.
type bench struct {
	*testing.T
	node *fakeNode
	r    *Router
	n    int
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, node: newFakeNode()}
	b.r = New(b.node)
	b.r.spawn = func(fn func()) { fn() }
	b.r.OnPanic(func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
	return b
}

// send delivers a request and works until nothing waits.
func (b *bench) send(account, hdr, subj, body string) *Request {
	b.n++
	req := &Request{Account: account, System: account == "s", Client: 7, Subject: jsapi.APIPrefix + subj,
		Reply: fmt.Sprintf("reply.%d", b.n), Body: []byte(body)}
	if hdr != "" {
		req.Header = []byte("NATS/1.0\r\n" + hdr + "\r\n\r\n")
	}
	b.r.Deliver(req)
	b.work()
	return req
}

func (b *bench) work() {
	for b.r.queue.inflight() > 0 {
		t, ok := b.r.queue.next()
		if !ok {
			return
		}
		b.r.run(&t)
		b.r.queue.done(t)
	}
}

// ask sends a request and returns the answer; ok is false if there is none.
func (b *bench) ask(account, hdr, subj, body string) (p published, ok bool) {
	b.Helper()
	req := b.send(account, hdr, subj, body)
	for _, m := range b.node.take() {
		if m.subject == req.Reply {
			if ok {
				b.Errorf("%s was answered twice", subj)
			}
			p, ok = m, true
		}
	}
	return p, ok
}

// TestAnswers sends every request of the recorded file and compares the answers field by field; what differs from run to run
// (times, generated names, sizes on disk) only has to be there.
func TestAnswers(t *testing.T) {
	f, err := os.Open("testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := newBench(t)
	var got published
	var answered bool
	var line string
	n, compared := 0, 0
	for in := bufio.NewScanner(f); in.Scan(); {
		n++
		kind, rest, _ := strings.Cut(in.Text(), " ")
		switch kind {
		case ">", "store":
			line = fmt.Sprintf("line %d: %s", n, in.Text())
			account, hdr, subj, body := parseLine(rest)
			if kind == ">" {
				got, answered = b.ask(account, hdr, subj, body)
				continue
			}
			var h []byte
			if hdr != "" {
				h = []byte("NATS/1.0\r\n" + hdr + "\r\n\r\n")
			}
			b.node.accounts[account].store(subj, h, []byte(body))
		case "listen":
			b.node.listens[rest] = true
		case "<":
			compared++
			if rest == "none" {
				if answered {
					t.Errorf("%s\n answered: %s", line, got.body)
				}
				continue
			}
			want := rest
			if strings.HasPrefix(rest, "[") {
				var key string
				key, want, _ = strings.Cut(rest[1:], "] ")
				if len(header.Get([]byte(got.hdr), key)) != 8 {
					t.Errorf("%s\n header %q lacks %s", line, got.hdr, key)
				}
			} else if got.hdr != "" {
				t.Errorf("%s\n header: %q", line, got.hdr)
			}
			if g, w := shape(t, got.body), shape(t, want); !reflect.DeepEqual(g, w) {
				t.Errorf("%s\n got  %s\n want %s", line, text(g), text(w))
			}
			if !answered {
				t.Errorf("%s\n no answer", line)
			}
			if i := strings.Index(want, ","); i > 0 && !strings.HasPrefix(got.body, want[:i]) {
				t.Errorf("%s\n type is not first: %s", line, got.body)
			}
		}
	}
	if compared < 250 {
		t.Errorf("only %d answers in the file", compared)
	}
}

func parseLine(s string) (account, hdr, subj, body string) {
	account, s, _ = strings.Cut(s, " ")
	if strings.HasPrefix(s, "[") {
		hdr, s, _ = strings.Cut(s[1:], "] ")
	}
	subj, body, _ = strings.Cut(s, " ")
	return
}

var generated = regexp.MustCompile(`^(.*-)?[0-9A-Za-z]{8}$`)

// shape returns the answer without what differs from run to run.
func shape(t *testing.T, s string) any {
	t.Helper()
	if s == "" {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	plain("", v)
	return v
}

func plain(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = plain(k, e)
		}
	case []any:
		for i, e := range v {
			v[i] = plain(key, e)
		}
	case string:
		switch key {
		case "created", "ts", "first_ts", "last_ts", "time":
			if v != "0001-01-01T00:00:00Z" {
				return "some time"
			}
		case "name":
			if generated.MatchString(v) {
				return generated.ReplaceAllString(v, "${1}generated")
			}
		case "deliver_subject":
			if strings.HasPrefix(v, jsapi.RestorePrefix) {
				return v[:strings.LastIndexByte(v, '.')]
			}
		}
	case float64:
		if (key == "pause_remaining" || key == "bytes") && v > 0 {
			return "some"
		}
	}
	return v
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
