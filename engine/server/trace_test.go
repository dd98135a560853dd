package server

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine/config"
	"ramjet/store/vfs"
)

// traceLines returns the steps of an event without times and connection ids, and says who tells it.
func traceLines(t *testing.T, m *nats.Msg) (server string, lines []string) {
	t.Helper()
	data := m.Data
	if m.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(string(data)))
		if err == nil {
			data, err = io.ReadAll(z)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var e struct {
		Server  struct{ Name string }
		Request struct {
			Header  map[string][]string
			MsgSize int
		}
		Events []map[string]any
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	for _, v := range e.Events {
		line := fmt.Sprint(v["type"])
		for _, k := range []string{"acc", "name", "subj", "from", "to", "stream", "subject", "nointerest", "sub", "error"} {
			if x := v[k]; x != nil {
				line += fmt.Sprintf(" %s=%v", k, x)
			}
		}
		lines = append(lines, line)
	}
	return e.Server.Name, append(lines, fmt.Sprintf("size %d, %d headers", e.Request.MsgSize, len(e.Request.Header)))
}

// TestTraces publishes messages that are traced through a server with JetStream.
func TestTraces(t *testing.T) {
	s, _ := jsServer(t, vfs.NewMem(), &config.Options{ServerName: "one", MaxPayload: 1000})
	nc, err := nats.Connect(s.ClientURL(), nats.Name("pub"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	traces := subscribe(t, nc, "traces")
	subscribe(t, nc, "plain")
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s.*"}}); err != nil {
		t.Fatal(err)
	}
	send := func(subj, reply string, pairs ...string) {
		t.Helper()
		m := nats.NewMsg(subj)
		m.Reply, m.Data = reply, []byte("hello")
		m.Header.Set("Nats-Trace-Dest", "traces")
		for i := 0; i < len(pairs); i += 2 {
			m.Header.Set(pairs[i], pairs[i+1])
		}
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	want := func(lines ...string) {
		t.Helper()
		name, got := traceLines(t, nextMsg(t, traces))
		if a, b := strings.Join(got, "\n"), strings.Join(lines, "\n"); a != b || name != "one" {
			t.Errorf("server %q told\n%s\nwant\n%s", name, a, b)
		}
	}
	send("plain", "", "Accept-Encoding", "gzip")
	want("in acc=$G name=pub subj=plain", "eg name=pub sub=plain", "size 65, 2 headers")
	send("s.1", "")
	want("in acc=$G name=pub subj=s.1", "js stream=S subject=s.1", "size 42, 1 headers")
	send("s.2", "", "Nats-Trace-Only", "1")
	want("in acc=$G name=pub subj=s.2", "js stream=S subject=s.2", "size 62, 2 headers")
	send("s.3", "", "Nats-Expected-Last-Sequence", "9")
	want("in acc=$G name=pub subj=s.3", "js stream=S error=wrong last sequence: 1", "size 74, 2 headers")
	m, err := js.GetLastMsg("S", "s.*")
	if err != nil || m.Sequence != 1 || m.Header.Get("Nats-Trace-Dest") != "trace disabled" {
		t.Errorf("the stream has %+v, %v", m, err)
	}
	// What is too large is told before the connection is closed.
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hdr := "NATS/1.0\r\nNats-Trace-Dest: traces\r\n\r\n"
	fmt.Fprintf(c, "CONNECT {\"headers\":true,\"verbose\":false,\"name\":\"big\"}\r\nHPUB plain %d %d\r\n%s", len(hdr), len(hdr)+1000, hdr)
	want("in acc=$G name=big subj=plain error=maximum payload exceeded", fmt.Sprintf("size %d, 1 headers", len(hdr)+1000))
	if _, err := traces.NextMsg(time.Millisecond); err != nats.ErrTimeout {
		t.Errorf("one more event: %v", err)
	}
}
