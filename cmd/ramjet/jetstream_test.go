package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestJetStreamFlags: -js and -sd are all it takes; what was stored survives the process, and check agrees.
func TestJetStreamFlags(t *testing.T) {
	dir := t.TempDir()
	args := []string{"-js", "-sd", dir, "-a", "127.0.0.1", "-p", "-1"}
	for round := range 3 {
		p := start(t, args...)
		nc, err := nats.Connect(p.ready())
		if err != nil {
			t.Fatal(err)
		}
		js, err := nc.JetStream()
		if err == nil && round == 0 {
			_, err = js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			a, err := js.Publish("s", []byte("x"))
			if err != nil || a.Sequence != uint64(round*10+i+1) {
				t.Fatalf("round %d: %+v %v", round, a, err)
			}
		}
		if code, _, stderr := runOnce(t, "check", dir); code != 2 || !strings.Contains(stderr, "in use") {
			t.Errorf("check of a store in use: %d %s", code, stderr)
		}
		other := start(t, args...)
		other.expect(`\[FTL\] Can't start JetStream: .* is in use by another server`)
		if code := other.exit(); code != 1 {
			t.Errorf("second server on the store: %d", code)
		}
		nc.Close()
		if round == 1 {
			p.signal(syscall.SIGKILL)
		} else {
			p.signal(syscall.SIGTERM)
		}
		p.exit()
		if code, out, stderr := runOnce(t, "check", dir); code != 0 || !strings.Contains(out, "1 stream ") {
			t.Errorf("round %d: check: %d %s\n%s", round, code, stderr, out)
		}
	}
}

// TestJetStreamCannotStart: a server that was asked for JetStream and cannot have it does not run.
func TestJetStreamCannotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runOnce(t, "-js", "-sd", file, "-a", "127.0.0.1", "-p", "-1")
	if code != 1 || !strings.Contains(stderr, "[FTL] Can't start JetStream: ") {
		t.Errorf("%d %s", code, stderr)
	}
}

// TestTPM: a configuration with a TPM is valid, and there is none to start with.
func TestTPM(t *testing.T) {
	file := writeFile(t, "tpm.conf", "listen: 127.0.0.1:-1\njetstream { store_dir: \""+t.TempDir()+"\", tpm { keys_file: k, encryption_password: p } }\n")
	if code, _, stderr := runOnce(t, "-t", "-c", file); code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
	code, _, stderr := runOnce(t, "-c", file)
	if want := "[FTL] Can't start JetStream: TPM functionality is not supported on this platform"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("%d %s", code, stderr)
	}
}
