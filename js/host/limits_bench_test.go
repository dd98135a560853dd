package host

import (
	"fmt"
	"strconv"
	"testing"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// BenchmarkPublishAtLimit publishes into streams that remove an old message for each new one, with consumers that filter and have
// taken nothing yet.
func BenchmarkPublishAtLimit(b *testing.B) {
	const full = 100_000
	limits := []struct {
		name string
		set  func(*jsapi.StreamConfig)
	}{
		{"msgs", func(c *jsapi.StreamConfig) { c.MaxMsgs = full }},
		{"bytes", func(c *jsapi.StreamConfig) { c.MaxBytes = full * 160 }},
		{"per-subject", func(c *jsapi.StreamConfig) { c.MaxMsgsPerSubject = 5 }},
	}
	for _, kind := range []jsapi.Storage{jsapi.MemoryStorage, jsapi.FileStorage} {
		for _, l := range limits {
			for _, consumers := range []int{0, 1, 10} {
				b.Run(fmt.Sprintf("%v/%s/consumers=%d", kind, l.name, consumers), func(b *testing.B) {
					cfg := jsapi.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Storage: kind}
					l.set(&cfg)
					var fs vfs.FS = vfs.NewMem()
					dir := "js"
					if kind == jsapi.FileStorage {
						fs, dir = vfs.OS(), b.TempDir()
					}
					_, k, s := benchWorld(b, fs, dir, cfg)
					for i := range consumers {
						cc := jsapi.ConsumerConfig{Durable: fmt.Sprint("c", i), FilterSubject: fmt.Sprintf("s.%d", i), AckPolicy: jsapi.AckExplicit}
						if err := consumer.SetDefaults(&cc, &consumer.Limits{Stream: &cfg}, true); err != nil {
							b.Fatal(err)
						}
						if _, err := s.CreateConsumer(cc.Durable, &cc, true); err != nil {
							b.Fatal(err)
						}
					}
					p := &port{sh: s.sh, st: s, kind: itemPublish}
					m := &Msg{Account: "A", Reply: []byte("_INBOX.abcdefgh.ijklmnop"), Payload: make([]byte, 128)}
					i := 0
					publish := func(total int) {
						for sent := 0; sent < total; {
							n := min(total-sent, 1000)
							k.want.Store(k.n.Load() + int64(n))
							for range n {
								i++
								m.Subject = strconv.AppendInt(append(m.Subject[:0], "s."...), int64(i%(full/5)), 10)
								p.Deliver(m)
							}
							<-k.done
							sent += n
						}
					}
					publish(full)
					b.ReportAllocs()
					b.ResetTimer()
					publish(b.N)
				})
			}
		}
	}
}
