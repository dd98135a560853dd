package host

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ramjet/js/api"
	"ramjet/js/backup"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/vfs"
)

// content is what a backup holds when what was deleted is left out.
type content struct {
	list        []string // messages, then consumers
	cons        []string
	seqs        []uint64
	first, last uint64
}

func (c *content) Stream(*backup.Stream) error { return nil }

func (c *content) Consumer(b *backup.Consumer) error {
	s := &b.State
	for i := range s.Pending {
		s.Pending[i].Time = 0 // in seconds in the older format
	}
	state, err := json.Marshal(s)
	c.cons = append(c.cons, fmt.Sprint(b.Name, b.Config.AckPolicy, b.Config.FilterSubject, string(state)))
	return err
}

func (c *content) Record(r *store.Rec) error {
	c.list = append(c.list, fmt.Sprintf("%d %d %s %q %q", r.Seq, r.Time, r.Subject, r.Header, r.Payload))
	c.seqs = append(c.seqs, r.Seq)
	return nil
}

func (c *content) Deleted(from, to uint64) error {
	for i := len(c.seqs) - 1; i >= 0; i-- {
		if c.seqs[i] >= from && c.seqs[i] <= to {
			c.list, c.seqs = slices.Delete(c.list, i, i+1), slices.Delete(c.seqs, i, i+1)
		}
	}
	return nil
}

func (c *content) End(first, last uint64) error {
	if c.first, c.last = first, last; first > 1 {
		return c.Deleted(0, first-1)
	}
	return nil
}

// contentOf decodes a backup.
func contentOf(t *testing.T, b []byte) string {
	t.Helper()
	c := &content{}
	d := backup.NewDecoder(c, backup.Options{})
	if err := d.Feed(b); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if c.last == 0 {
		c.first = 0 // a stream that never had a message may start at 0 or 1
	}
	slices.Sort(c.cons)
	return strings.Join(append(c.list, c.cons...), "\n") + fmt.Sprint("\n", c.first, " to ", c.last)
}

// restore sends a backup in chunks of size bytes.
func (w *world) restore(cfg jsapi.StreamConfig, b []byte, size int) *api.Restored {
	w.t.Helper()
	if err := stream.CheckCreate(&cfg, &stream.Context{}); err != nil {
		w.t.Fatal(err)
	}
	a := w.account()
	end := make(chan *api.Restored, 1)
	a.Lock()
	to, err := a.Restore(&api.Request{}, &jsapi.RestoreRequest{Config: cfg}, func(r *api.Restored) { end <- r })
	a.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	w.n.listen("accepted")
	for len(b) > 0 {
		n := min(size, len(b))
		w.n.send("A", to, to, "accepted", "", string(b[:n]))
		if b = b[n:]; len(b) > 0 {
			w.n.wait(w.t, "accepted")
		}
	}
	w.n.send("A", to, to, "done", "", "")
	return <-end
}

// backup takes a backup of s as a client that acknowledges.
func (w *world) backup(s *Stream) []byte {
	w.t.Helper()
	_, run, apiErr := s.Snapshot(&api.Request{}, &jsapi.SnapshotRequest{DeliverSubject: "chunks", ChunkSize: 1024, WindowSize: 2048})
	if apiErr != nil {
		w.t.Fatal(apiErr)
	}
	failed := make(chan error, 1)
	go func() { failed <- run() }()
	w.n.listen("chunks")
	var all []byte
	for {
		m := w.n.wait(w.t, "chunks")
		all = append(all, m.body...)
		if m.reply != "" {
			w.n.send("A", m.reply, m.reply, "", "", "")
		}
		if m.body == "" {
			if err := <-failed; err != nil {
				w.t.Fatal(err)
			}
			return all
		}
	}
}

func TestBackupsOfNatsServer(t *testing.T) {
	for _, c := range []struct {
		file string
		cfg  jsapi.StreamConfig
	}{
		{"2.15_file", jsapi.StreamConfig{Name: "FIX", AllowMsgTTL: true}},
		{"2.15_memory", jsapi.StreamConfig{Name: "MEM", AllowMsgTTL: true, Storage: jsapi.MemoryStorage}},
		{"2.15_workqueue", jsapi.StreamConfig{Name: "WQ", Retention: jsapi.WorkQueueRetention}},
		{"2.15_empty", jsapi.StreamConfig{Name: "EMPTY"}},
		{"2.12_compressed", jsapi.StreamConfig{Name: "OLD", AllowMsgTTL: true}},
		{"2.12_workqueue", jsapi.StreamConfig{Name: "OLDWQ", Retention: jsapi.WorkQueueRetention}},
		{"2.12_limits", jsapi.StreamConfig{Name: "OLDMPS", MaxMsgsPerSubject: 2}},
		{"2.12_empty", jsapi.StreamConfig{Name: "OLDEMPTY"}},
		{"2.10_compressed", jsapi.StreamConfig{Name: "OLD10"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile("../backup/testdata/" + c.file + ".s2")
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, vfs.NewMem())
			c.cfg.Subjects = []string{c.cfg.Name + ".>"}
			end := w.restore(c.cfg, b, 500)
			if end.Err != nil || end.Reply != "done" || end.Bytes != int64(len(b)) {
				t.Fatalf("%+v", end)
			}
			want := contentOf(t, b)
			if got := contentOf(t, w.backup(end.Stream.(*Stream))); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if c.cfg.Storage == jsapi.MemoryStorage {
				return
			}
			w.restart()
			s := w.account().stream(c.cfg.Name)
			if s == nil {
				t.Fatal("no stream after the restart")
			}
			if got := contentOf(t, w.backup(s)); got != want {
				t.Errorf("after the restart: got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestRestoreOfDamage(t *testing.T) {
	b, err := os.ReadFile("../backup/testdata/2.15_file.s2")
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	w := newWorld(t, vfs.NewMem())
	cfg := jsapi.StreamConfig{Name: "FIX", Subjects: []string{"FIX.>"}, AllowMsgTTL: true}
	end := w.restore(cfg, b, len(b))
	if end.Err == nil || end.Err.ErrCode != 10062 || end.Reply != "accepted" || end.Stream != nil {
		t.Fatalf("%+v", end)
	}
	w.restart()
	if w.account().stream("FIX") != nil {
		t.Error("half a stream came back")
	}
	b[len(b)-1] ^= 1
	if end = w.restore(cfg, b, 100); end.Err != nil {
		t.Errorf("the second try: %v", end.Err)
	}
}

// What a backup calls deleted may be a range that no loop could count.
func TestRestoreWithWideGap(t *testing.T) {
	const far = 1 << 60
	for _, storage := range []jsapi.Storage{jsapi.FileStorage, jsapi.MemoryStorage} {
		w := newWorld(t, vfs.NewMem())
		s := w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: storage})
		x := &restore{a: s.acct, cfg: s.Config(), s: s}
		for _, seq := range []uint64{1, 5, 7, far - 1, far} {
			if err := x.Record(&store.Rec{Seq: seq, Time: int64(seq), Subject: []byte("s")}); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range [][2]uint64{{2, 6}, {8, far - 1}} {
			if err := x.Deleted(r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.End(7, far+9); err != nil {
			t.Fatal(err)
		}
		if i := s.Info(nil, &jsapi.Page{}); i.State.Msgs != 2 || i.State.FirstSeq != 7 || i.State.LastSeq != far+9 {
			t.Errorf("%v: %+v", storage, i.State)
		}
	}
}
