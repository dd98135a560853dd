//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	damageMsgs = 1500 // of stream S when it was stopped cleanly
	damageMore = 200  // more, which only the journal has, before it was killed
)

// damageRig starts a server with JetStream on a store.
func damageRig(t *testing.T, store string) (*rig, nats.JetStreamContext) {
	t.Helper()
	conf := strings.Replace(rigConfig, "APP {", "APP { jetstream: enabled\n", 1) + "jetstream { store_dir: \"" + store + "\" }\n"
	r := startRigFile(t, writeFile(t, "rig.conf", conf))
	r.seen = 0 // it may have been ready before the listeners
	r.expect(`JetStream is ready: `)
	nc, err := nats.Connect(r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := nc.JetStream(nats.MaxWait(patience), nats.PublishAsyncMaxPending(256))
	if err != nil {
		t.Fatal(err)
	}
	return r, js
}

func damagePayload(stream string, seq uint64) []byte {
	return []byte(fmt.Sprintf("%s message %d %s", stream, seq, strings.Repeat("x", 380)))
}

// fillStream publishes messages from to to and waits for all acknowledgements.
func fillStream(t *testing.T, js nats.JetStreamContext, stream string, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		if _, err := js.PublishAsync(strings.ToLower(stream), damagePayload(stream, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(patience):
		t.Fatal("no acknowledgements")
	}
}

// damageStores makes two stores: one of a server that was stopped, one of a server that was killed with messages in its journal alone.
func damageStores(t *testing.T) (stopped, killed string) {
	t.Helper()
	stopped, killed = t.TempDir(), t.TempDir()
	r, js := damageRig(t, stopped)
	for _, s := range []string{"S", "T"} {
		if _, err := js.AddStream(&nats.StreamConfig{Name: s, Subjects: []string{strings.ToLower(s)}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.AddConsumer("S", &nats.ConsumerConfig{Durable: "C", AckPolicy: nats.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	fillStream(t, js, "S", 1, damageMsgs)
	fillStream(t, js, "T", 1, 100)
	r.signal(syscall.SIGTERM)
	if code := r.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if err := os.CopyFS(killed, os.DirFS(stopped)); err != nil {
		t.Fatal(err)
	}
	r, js = damageRig(t, killed)
	fillStream(t, js, "S", damageMsgs+1, damageMsgs+damageMore)
	fillStream(t, js, "T", 101, 150)
	r.signal(syscall.SIGKILL)
	r.exit()
	return stopped, killed
}

// The ways to damage a file; nil removes it.
func flip(at float64) func([]byte) []byte {
	return func(b []byte) []byte { b[int(at*float64(len(b)-1))] ^= 0x10; return b }
}

func flipNearEnd(n int) func([]byte) []byte {
	return func(b []byte) []byte { b[len(b)-n] ^= 0x10; return b }
}

func cut(b []byte) []byte { return b[:len(b)*2/3] }

func zero(b []byte) []byte { clear(b[len(b)/2 : min(len(b)/2+512, len(b))]); return b }

// flipIn changes a byte of the text itself.
func flipIn(text string) func([]byte) []byte {
	return func(b []byte) []byte {
		if i := bytes.Index(b, []byte(text)); i >= 0 {
			b[i+3] ^= 0x10
			return b
		}
		return nil
	}
}

// What becomes of stream S.
const (
	whole    = "whole"     // every message is there
	partly   = "partly"    // some messages are not
	readOnly = "read only" // some messages may be missing, and it takes no more
	offline  = "offline"
)

type damageCase struct {
	name    string
	killed  bool
	file    string // below the directory of JetStream
	last    bool   // of the files that match, else the first
	how     func([]byte) []byte
	becomes string
	logged  string // on standard error
	health  string // in the problem of S
	sound   bool   // nothing is damaged: check is content, nobody complains
}

// TestDamage damages one file of a stopped store in one way: the server starts, says so, serves nothing wrong, and everything that is not concerned works.
func TestDamage(t *testing.T) {
	stopped, killed := damageStores(t)
	const s = "accounts/APP/S/"
	for _, tt := range []damageCase{
		{name: "nothing", file: s + "state", how: func(b []byte) []byte { return b }, becomes: whole, sound: true},
		{name: "nothing after a kill", killed: true, file: s + "state", how: func(b []byte) []byte { return b }, becomes: whole, sound: true},
		{name: "record", file: s + "*.seg", how: flip(.3), becomes: partly, logged: `stream 'APP > S'.*does not verify`, health: "damaged"},
		{name: "record of the last segment", file: s + "*.seg", last: true, how: flip(.2), becomes: partly, logged: `stream 'APP > S'`, health: "damaged"},
		{name: "segment header", file: s + "*.seg", how: flip(.0001), becomes: whole, logged: `stream 'APP > S'.*header`, health: "damaged"},
		{name: "segment footer", file: s + "*.seg", how: flipNearEnd(20), becomes: whole, logged: `stream 'APP > S'.*footer`, health: "damaged"},
		{name: "segment cut", file: s + "*.seg", how: cut, becomes: partly, logged: `stream 'APP > S'`, health: "damaged"},
		{name: "segment zeroed", file: s + "*.seg", how: zero, becomes: partly, logged: `stream 'APP > S'`, health: "damaged"},
		{name: "segment gone", file: s + "*.seg", becomes: partly, logged: `stream 'APP > S'`, health: "damaged"},
		{name: "state", file: s + "state", how: flip(.5), becomes: whole, logged: `stream 'APP > S'.*rebuilt`, health: "rebuilt"},
		{name: "state cut", file: s + "state", how: cut, becomes: whole, logged: `stream 'APP > S'.*rebuilt`, health: "rebuilt"},
		{name: "state zeroed", file: s + "state", how: zero, becomes: whole, logged: `stream 'APP > S'.*rebuilt`, health: "rebuilt"},
		{name: "state gone", file: s + "state", becomes: whole, logged: `stream 'APP > S'.*rebuilt`, health: "rebuilt"},
		{name: "state gone after a kill", killed: true, file: s + "state", becomes: whole, logged: `stream 'APP > S'.*rebuilt`, health: "rebuilt"},
		{name: "metadata", file: s + "meta", how: flip(.5), becomes: offline, logged: `stream 'APP > S' is offline`, health: "catalog"},
		{name: "metadata cut", file: s + "meta", how: cut, becomes: offline, logged: `stream 'APP > S' is offline`, health: "catalog"},
		{name: "metadata gone", file: s + "meta", becomes: offline, logged: `stream 'APP > S' is offline`, health: "no such file"},
		{name: "consumer's metadata", file: s + "consumers/C/meta", how: flip(.5), becomes: whole, logged: `consumer 'APP > S > C' is offline`, health: "consumer C is offline"},
		{name: "consumer's metadata gone", file: s + "consumers/C/meta", becomes: whole, logged: `consumer 'APP > S > C' is offline`, health: "consumer C is offline"},
		{name: "journal record", killed: true, file: "journal/*.jnl", how: flipIn("S message 1600 "), becomes: readOnly, logged: `journal file \d+: \d+ bytes at \d+ do not verify`, health: "read only"},
		{name: "journal headers", killed: true, file: "journal/*.jnl", how: func(b []byte) []byte { clear(b[:100]); b[70] = 1; clear(b[2048:2200]); return b }, becomes: readOnly, logged: `header of .* does not verify`, health: "read only"},
		{name: "journal after a stop", file: "journal/*.jnl", how: func(b []byte) []byte { b[0], b[2048] = 'X', 'X'; return b }, becomes: whole, logged: `header of .* does not verify`},
		{name: "journal gone", killed: true, file: "journal", becomes: readOnly, logged: `no file of the journal is there`, health: "read only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, n := stopped, damageMsgs
			if tt.killed {
				from, n = killed, damageMsgs+damageMore
			}
			store := t.TempDir()
			if err := os.CopyFS(store, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, store+"/jetstream/")
			code, out, stderr := runOnce(t, "check", store)
			if want := map[bool]int{true: 0, false: 1}[tt.sound]; code != want {
				t.Errorf("check: exit code %d, want %d\n%s%s", code, want, out, stderr)
			}
			r, js := damageRig(t, store)
			tt.read(t, js, n)
			tt.complains(t, r, false)
			tt.writes(t, js)
			r.unharmed()
			if tt.becomes == readOnly { // also when nothing is left that proves the damage
				r.signal(syscall.SIGTERM)
				r.exit()
				r, js = damageRig(t, store)
				tt.complains(t, r, true)
				if _, err := js.Publish("s", []byte("more")); err == nil {
					t.Error("after another start the stream takes messages")
				}
			}
		})
	}
}

// spoil damages the file, or with an apt change the first of several in which it applies.
func (c *damageCase) spoil(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(dir + c.file)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", c.file, err)
	}
	if c.last {
		slices.Reverse(names)
	}
	if strings.HasPrefix(c.file, "journal/") {
		// The file that is in use holds the messages; unused ones are zero.
		slices.SortStableFunc(names, func(a, b string) int { return inUse(t, b) - inUse(t, a) })
	}
	for _, name := range names {
		if c.how == nil {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
			return
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if b = c.how(b); b != nil {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no file to damage")
}

// read reads all of S and T: what comes is what was stored.
func (c *damageCase) read(t *testing.T, js nats.JetStreamContext, n int) {
	t.Helper()
	if c.becomes == offline {
		if i, err := js.StreamInfo("S"); err == nil {
			t.Errorf("the stream shows %+v", i.State)
		}
	} else {
		got := readStream(t, js, "S")
		switch {
		case c.becomes == whole && got != n, c.becomes == partly && (got == 0 || got >= n), c.becomes == readOnly && got < damageMsgs:
			t.Errorf("%d of %d messages of a stream that is %s", got, n, c.becomes)
		}
	}
	if got, want := readStream(t, js, "T"), map[bool]int{false: 100, true: 150}[c.killed && c.becomes != readOnly]; got < want {
		t.Errorf("%d of %d messages of the other stream", got, want)
	}
}

// readStream reads a stream through a new consumer and returns how many messages came.
func readStream(t *testing.T, js nats.JetStreamContext, stream string) (n int) {
	t.Helper()
	sub, err := js.PullSubscribe("", "", nats.BindStream(stream), nats.AckNone())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	last := uint64(0)
	for {
		i, err := sub.ConsumerInfo()
		if err != nil {
			t.Fatal(err)
		}
		if i.NumPending == 0 {
			return n
		}
		msgs, err := sub.Fetch(500, nats.MaxWait(2*time.Second))
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			t.Fatal(err)
		}
		for _, m := range msgs {
			md, err := m.Metadata()
			if err != nil {
				t.Fatal(err)
			}
			if q := md.Sequence.Stream; q <= last || !bytes.Equal(m.Data, damagePayload(stream, q)) {
				t.Fatalf("message %d after %d is %.40q", q, last, m.Data)
			}
			last = md.Sequence.Stream
			n++
		}
	}
}

// complains checks that log, health, metrics and /jsz tell.
func (c *damageCase) complains(t *testing.T, r *rig, again bool) {
	t.Helper()
	r.mu.Lock()
	log := strings.Join(r.log, "\n")
	r.mu.Unlock()
	if c.logged != "" && !again && !regexp.MustCompile(c.logged).MatchString(log) {
		t.Errorf("no line %q in the log", c.logged)
	}
	code, body := r.get("/healthz?details=true")
	if c.health == "" {
		if code != 200 {
			t.Errorf("health: %d %s", code, body)
		}
	} else if code == 200 || !strings.Contains(body, `"S"`) || !strings.Contains(body, c.health) {
		t.Errorf("health does not name S and %q: %d %s", c.health, code, body)
	}
	if _, body := r.get("/jsz?streams=true"); c.health != "" && c.becomes != offline && !strings.Contains(body, `"problem": "`) {
		t.Errorf("/jsz names no problem: %s", body)
	}
	if n := r.metric("ramjet_storage_damage_total"); (n > 0) != (strings.Contains(c.file, "journal") || strings.Contains(c.file, ".seg") || strings.HasSuffix(c.file, "/state")) && !c.sound && !again {
		t.Errorf("%v findings of damage", n)
	}
	if n := r.metric("ramjet_jetstream_failed_assets"); (n > 0) != (c.health != "") {
		t.Errorf("%v failed assets", n)
	}
}

// writes checks who takes messages: T always, unless nobody knows what the journal held of it.
func (c *damageCase) writes(t *testing.T, js nats.JetStreamContext) {
	t.Helper()
	_, err := js.Publish("s", []byte("more"))
	if want := c.becomes == whole || c.becomes == partly; (err == nil) != want {
		t.Errorf("publishing to a stream that is %s: %v", c.becomes, err)
	}
	if _, err := js.Publish("t", []byte("more")); err != nil && (c.becomes != readOnly || strings.Contains(c.name, "record")) {
		t.Errorf("publishing to the other stream: %v", err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "NEW", Subjects: []string{"new"}}); err != nil {
		t.Error(err)
	}
	if _, err := js.Publish("new", []byte("x")); err != nil {
		t.Error(err)
	}
}

// inUse returns the number of a journal file, 0 for one that is not in use.
func inUse(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(b, []byte("RAMJETJL")) {
		return int(b[16])
	}
	return 0
}
