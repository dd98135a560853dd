package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ramjet-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "ramjet")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const patience = 20 * time.Second // of every wait; generous, machines are busy

// proc is a running child. Its standard error is collected line by line.
type proc struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  []string
	seen int           // lines that expect has passed
	more chan struct{} // capacity 1: a line was added, or the end
	eof  chan struct{}
}

// start runs the binary and kills it at the end of the test.
func start(t *testing.T, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, cmd: exec.Command(binary, args...), more: make(chan struct{}, 1), eof: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.SysProcAttr = childAttr()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(stderr)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.eof
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("log of %q:\n%s", args, strings.Join(p.log, "\n"))
		}
	})
	return p
}

func (p *proc) read(r io.Reader) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.mu.Lock()
		p.log = append(p.log, sc.Text())
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
	}
	close(p.eof)
}

// expect waits for a line that matches re, after those of earlier calls, and returns its groups.
func (p *proc) expect(re string) []string {
	p.t.Helper()
	rx := regexp.MustCompile(re)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ended := false
	for {
		p.mu.Lock()
		for p.seen < len(p.log) {
			line := p.log[p.seen]
			p.seen++
			if m := rx.FindStringSubmatch(line); m != nil {
				p.mu.Unlock()
				return m
			}
		}
		p.mu.Unlock()
		if ended {
			p.t.Fatalf("the process ended without a line %q", re)
		}
		select {
		case <-p.more:
		case <-p.eof:
			ended = true
		case <-deadline.C:
			p.t.Fatalf("no line %q after %v", re, patience)
		}
	}
}

// never fails if some line so far matches re.
func (p *proc) never(re string) {
	p.t.Helper()
	rx := regexp.MustCompile(re)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.log {
		if rx.MatchString(line) {
			p.t.Errorf("unexpected line %q", line)
		}
	}
}

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (p *proc) exit() int {
	p.t.Helper()
	select {
	case <-p.eof:
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// ready waits until clients can connect and returns the client URL.
func (p *proc) ready() string {
	p.t.Helper()
	m := p.expect(`Listening for client connections on (\S+)$`)
	p.expect(`Server is ready$`)
	return "nats://" + m[1]
}

// runOnce runs the binary to its end.
func runOnce(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// writeFile writes a file of the test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}
