//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestStartWithManyStreams: a server that was killed with many streams listens and answers about its health before they are recovered, says
// so, and then serves all of them. RAMJET_STREAMS=10000 for the figures.
func TestStartWithManyStreams(t *testing.T) {
	streams := 200
	if v := os.Getenv("RAMJET_STREAMS"); v != "" {
		streams, _ = strconv.Atoi(v)
	}
	store := t.TempDir()
	r, js := damageRig(t, store)
	begin := time.Now()
	var makers sync.WaitGroup
	next := make(chan int)
	for range 16 {
		makers.Add(1)
		go func() {
			defer makers.Done()
			for i := range next {
				name := fmt.Sprintf("S%d", i)
				if _, err := js.AddStream(&nats.StreamConfig{Name: name, Subjects: []string{"m." + name}}); err != nil {
					t.Error(err)
					continue
				}
				for range 3 {
					if _, err := js.Publish("m."+name, []byte("a message")); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	for i := range streams {
		next <- i
	}
	close(next)
	makers.Wait()
	t.Logf("%d streams with 3 messages each made in %v", streams, time.Since(begin).Round(time.Millisecond))
	r.signal(syscall.SIGKILL)
	r.exit()
	begin = time.Now()
	r, js = damageRig(t, store)
	t.Logf("served after %v: %s", time.Since(begin).Round(time.Millisecond), r.line(`JetStream is ready: .*`))
	t.Logf("%d MiB", r.rss()>>20)
	for _, i := range []int{0, streams / 2, streams - 1} {
		info, err := js.StreamInfo(fmt.Sprintf("S%d", i))
		if err != nil || info.State.Msgs != 3 {
			t.Errorf("stream %d: %+v %v", i, info, err)
		}
	}
	if n := r.series("ramjet_jetstream_streams", `{account="APP"}`); n != float64(streams) {
		t.Errorf("%v streams of %d", n, streams)
	}
}

// line returns the first line that matches, of all so far.
func (p *proc) line(re string) string {
	p.t.Helper()
	p.seen = 0
	return p.expect(re)[0]
}
