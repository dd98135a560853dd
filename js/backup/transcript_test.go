package backup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/store"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// transcript writes down what a decoder hands on.
type transcript struct {
	strings.Builder
	order string // kinds of calls, runs collapsed
	fail  string // kind of the call that fails
}

var errHandler = errors.New("handler")

func (t *transcript) note(kind, format string, args ...any) error {
	if !strings.HasSuffix(t.order, kind[:1]) {
		t.order += kind[:1]
	}
	fmt.Fprintf(t, kind+" "+format+"\n", args...)
	if t.fail == kind {
		return errHandler
	}
	return nil
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (t *transcript) Stream(s *Stream) error {
	return t.note("stream", "state %s config %s created %d", text(s.State), text(s.Config), s.Created)
}

func (t *transcript) Consumer(c *Consumer) error {
	return t.note("consumer", "%s created %d config %s state %s", c.Name, c.Created, text(&c.Config), text(&c.State))
}

func (t *transcript) Record(r *store.Rec) error {
	payload := fmt.Sprintf("%.1000q", r.Payload)
	if len(r.Payload) > 1000 {
		payload += fmt.Sprintf(" %x", sha256.Sum256(r.Payload))
	}
	return t.note("record", "%d %d %s ttl %d %q %s", r.Seq, r.Time, r.Subject, r.TTL, r.Header, payload)
}

func (t *transcript) Deleted(from, to uint64) error { return t.note("deleted", "%d %d", from, to) }

func (t *transcript) End(first, last uint64) error { return t.note("end", "%d %d", first, last) }

// decode feeds b in pieces.
func decode(b []byte, piece int, o Options) (*transcript, error) {
	t := &transcript{}
	d := NewDecoder(t, o)
	for len(b) > 0 {
		n := min(piece, len(b))
		if err := d.Feed(b[:n]); err != nil {
			return t, err
		}
		b = b[n:]
	}
	return t, d.Close()
}

func backups(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("testdata/*.s2")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(name, ".s2")] = b
	}
	return all
}

// The transcripts were compared with the streams that the backups are of.
func TestBackupsOfNatsServer(t *testing.T) {
	for name, b := range backups(t) {
		got, err := decode(b, len(b), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if *update {
			if err := os.WriteFile(name+".txt", []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s: got\n%s", name, got)
		}
		for _, piece := range []int{1, 7, 512} {
			if split, err := decode(b, piece, Options{}); err != nil || split.String() != got.String() {
				t.Errorf("%s in pieces of %d: %v\n%s", name, piece, err, split)
			}
		}
	}
}
