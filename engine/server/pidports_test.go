package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pid")
	if err := writePidFile(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != strconv.Itoa(os.Getpid()) {
		t.Errorf("got %q", b)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm()&^0o600 != 0 {
		t.Errorf("mode %v", st.Mode())
	}
	err = writePidFile(filepath.Join(path, "x"))
	if err == nil || !strings.HasPrefix(err.Error(), "Could not write pidfile: open ") {
		t.Errorf("got %v", err)
	}
}

func TestPortsFile(t *testing.T) {
	dir := t.TempDir()
	want := &Ports{Nats: []string{"nats://127.0.0.1:1"}, Websocket: []string{"ws://127.0.0.1:2"}}
	if err := writePortsFile(dir, want); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*_"+strconv.Itoa(os.Getpid())+".ports"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != `{"nats":["nats://127.0.0.1:1"],"websocket":["ws://127.0.0.1:2"]}` {
		t.Errorf("got %s", b)
	}
	var got Ports
	if err := json.Unmarshal(b, &got); err != nil {
		t.Error(err)
	}
	if err := removePortsFile(dir); err != nil {
		t.Error(err)
	}
	if err := removePortsFile(dir); err != nil {
		t.Errorf("second removal: %v", err)
	}
	if err := writePortsFile(filepath.Join(dir, "none"), want); err == nil || !strings.HasPrefix(err.Error(), "Error writing ports file (") {
		t.Errorf("got %v", err)
	}
}

func TestExpandHost(t *testing.T) {
	for _, h := range []string{"127.0.0.1", "localhost", "::1"} {
		if got := expandHost(h, false); !slices.Equal(got, []string{h}) {
			t.Errorf("%s: %q", h, got)
		}
	}
	if got := expandHost("0.0.0.0", true); !slices.Contains(got, "127.0.0.1") {
		t.Errorf("got %q", got)
	}
	if got := expandHost("0.0.0.0", false); slices.Contains(got, "127.0.0.1") {
		t.Errorf("got %q", got)
	}
}

func TestAdvertised(t *testing.T) {
	for _, c := range []struct {
		adv, host string
		port      int
	}{{"", "h", 4}, {"a", "a", 4}, {"a:7", "a", 7}, {"[::1]:7", "::1", 7}, {"a:0", "a", 4}} {
		if h, p := advertised(c.adv, "h", 4); h != c.host || p != c.port {
			t.Errorf("%q: %s %d", c.adv, h, p)
		}
	}
}
