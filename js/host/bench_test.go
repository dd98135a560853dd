package host

import (
	"sync/atomic"
	"testing"

	"ramjet/js/stream"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// sink is a bus that counts.
type sink struct {
	*net
	n    atomic.Int64
	want atomic.Int64
	done chan struct{}
}

func (s *sink) Publish(string, []byte, []byte, []byte, []byte) {
	if s.n.Add(1) == s.want.Load() {
		s.done <- struct{}{}
	}
}

func (s *sink) Deliver(string, []byte, []byte, []byte, []byte, []byte) bool {
	s.Publish("", nil, nil, nil, nil)
	return true
}

func benchWorld(b *testing.B, fs vfs.FS, dir string, cfg jsapi.StreamConfig) (*Host, *sink, *Stream) {
	k := &sink{net: newNet(), done: make(chan struct{}, 1)}
	h, err := Open(Env{FS: fs, Clock: clock.System(), Rand: rng.New(1), Bus: func(int) Bus { return k }, Limits: unlimited{}},
		Options{Dir: dir, Shards: 1, MaxMemory: -1, MaxStore: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	if err := h.ServeAccount("A"); err != nil {
		b.Fatal(err)
	}
	if err := stream.CheckCreate(&cfg, &stream.Context{}); err != nil {
		b.Fatal(err)
	}
	s, aerr := h.account("A", false).createNow(&cfg)
	if aerr != nil {
		b.Fatal(aerr)
	}
	return h, k, s
}

func benchPublish(b *testing.B, fs vfs.FS, dir string, cfg jsapi.StreamConfig) {
	_, k, s := benchWorld(b, fs, dir, cfg)
	p := &port{sh: s.sh, st: s, kind: itemPublish}
	m := &Msg{Account: "A", Subject: []byte("s.x"), Reply: []byte("_INBOX.abcdefgh.ijklmnop"), Payload: make([]byte, 128)}
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		n := min(b.N-sent, 1000)
		k.want.Store(k.n.Load() + int64(n))
		for range n {
			p.Deliver(m)
		}
		<-k.done
		sent += n
	}
}

// 1,000 messages of 128 B at a time, acknowledged.
func BenchmarkPublish(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		benchPublish(b, vfs.NewMem(), "js", jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Storage: jsapi.MemoryStorage, MaxMsgs: 100000})
	})
	b.Run("file", func(b *testing.B) {
		benchPublish(b, vfs.OS(), b.TempDir(), jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}, MaxMsgs: 100000})
	})
}
