package server

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// ours returns the stacks of the goroutines of this module but the caller's.
func ours() (stacks []string) {
	buf := make([]byte, 4<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, s := range all[1:] {
		if strings.Contains(s, "\nramjet/") && !strings.Contains(s, "testing.tRunner") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

// descriptors returns what is open, by what it leads to.
func descriptors(t *testing.T) map[string]int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // the directory itself is closed by now
			open[to]++
		}
	}
	return open
}

// tree returns the files below dir, with what differs from run to run taken out of their names.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	number := regexp.MustCompile(`[0-9a-f]{8,}`)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, number.ReplaceAllString(rel, "N"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// settled waits until ok, which ends of goroutines and of the peers' sockets make true.
func settled(ok func() bool) bool {
	for late := clock.System().Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if clock.System().Now().After(late) {
			return false
		}
	}
	return true
}

// TestNothingIsLeft starts and stops a server with every listener, clients and JetStream on a real disk: no goroutine stays, no descriptor, and no file
// that the next start has no use for.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	cycle := func(n int) {
		o := config.Options{StoreDir: dir, HTTPHost: "127.0.0.1", HTTPPort: -1, JetStream: &config.JetStreamOptions{Enabled: true, Strict: true}}
		o.Leafnodes = &config.LeafOptions{Host: "127.0.0.1", Port: -1}
		o.Websocket = &config.WebsocketOptions{Host: "127.0.0.1", Port: -1, NoTLS: true}
		o.MQTT = &config.MQTTOptions{Host: "127.0.0.1", Port: -1}
		o.ServerName = "s"
		s, _ := jsServer(t, nil, &o)
		nc, err := nats.Connect(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		js := jsOf(t, nc)
		for _, storage := range []jetstream.StorageType{jetstream.FileStorage, jetstream.MemoryStorage} {
			name := fmt.Sprintf("S%d", storage)
			st, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: storage, MaxMsgs: 100})
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				if _, err := js.Publish(t.Context(), name+".a", make([]byte, 1000)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := st.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Fetch(20)
			if err != nil {
				t.Fatal(err)
			}
			for m := range got.Messages() {
				if err := m.DoubleAck(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n%2 == 0 { // the last one keeps it
			if err := js.DeleteStream(t.Context(), "S0"); err != nil {
				t.Fatal(err)
			}
		}
		nc.Close()
		shutdown(t, s)
	}
	cycle(1)
	if !settled(func() bool { return len(ours()) == 0 }) {
		t.Fatalf("%d goroutines are left; the first:\n%s", len(ours()), ours()[0])
	}
	before := descriptors(t)
	for n := 2; n <= 5; n++ {
		cycle(n)
		if !settled(func() bool { return len(ours()) == 0 }) {
			t.Fatalf("cycle %d: %d goroutines are left; the first:\n%s", n, len(ours()), ours()[0])
		}
		var more []string
		if !settled(func() bool {
			more = nil
			for to, k := range descriptors(t) {
				if k > before[to] {
					more = append(more, to)
				}
			}
			return len(more) == 0
		}) {
			t.Fatalf("cycle %d: open since the first: %q", n, more)
		}
	}
	known := []string{"accounts/$G/S0/N.seg", "accounts/$G/S0/consumers/C/meta", "accounts/$G/S0/consumers/C/saved", "accounts/$G/S0/consumers/C/state",
		"accounts/$G/S0/meta", "accounts/$G/S0/state", "accounts/$G/S0/state.prev", "clean", "journal/N.jnl", "lock", "reserve"}
	for _, name := range tree(t, dir) {
		if !slices.Contains(known, strings.TrimPrefix(name, "jetstream/")) {
			t.Errorf("%s is left in the store directory", name)
		}
	}
}
