package host

import (
	"fmt"
	"testing"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// TestPendingAtLimit: what is left for a consumer with a filter stays exact while the stream removes old messages.
func TestPendingAtLimit(t *testing.T) {
	for _, kind := range []jsapi.Storage{jsapi.MemoryStorage, jsapi.FileStorage} {
		for name, cfg := range map[string]jsapi.StreamConfig{
			"msgs": {MaxMsgs: 40}, "bytes": {MaxBytes: 2000}, "per subject": {MaxMsgsPerSubject: 4},
		} {
			t.Run(fmt.Sprintf("%v %s", kind, name), func(t *testing.T) {
				w := newWorld(t, vfs.NewMem())
				cfg.Name, cfg.Subjects, cfg.Storage = "S", []string{"s.>"}, kind
				s := w.create(cfg)
				var list []*Consumer
				for i, f := range []string{"s.0", "s.1.>", "", "s.*"} {
					cc := jsapi.ConsumerConfig{Durable: fmt.Sprint("c", i), FilterSubject: f, AckPolicy: jsapi.AckExplicit}
					if err := consumer.SetDefaults(&cc, &consumer.Limits{Stream: &cfg}, false); err != nil {
						t.Fatal(err)
					}
					list = append(list, w.consumer(s, cc.Durable, cc))
				}
				for i := range 300 {
					w.publish([]string{"s.0", "s.1.x", "s.2", "s.1.y"}[i%4], "body")
					if i%50 == 7 {
						w.next("S", list[i/50%4].name)
					}
					s.sh.call(func() {
						for _, c := range list {
							got := c.eng.NumPending()
							if want := s.log.Pending(c.eng.Filter(), c.eng.State().Next(), false); got != want {
								t.Errorf("message %d: %s has %d pending, %d in the stream", i, c.name, got, want)
							}
						}
					})
				}
			})
		}
	}
}
