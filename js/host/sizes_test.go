package host

import (
	"strings"
	"testing"

	"ramjet/proto/base/clock"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		volume int64
		o      Options
		want   sizes
	}{
		{volume: 1 << 40, want: sizes{reserve: 4 << 20}},
		{volume: 1 << 40, o: Options{JournalFile: 1 << 20, JournalFiles: 3}, want: sizes{file: 1 << 20, files: 3, reserve: 4 << 20}},
		{volume: 24 << 20, want: sizes{first: 2 << 20, file: 2 << 20, files: 6, reserve: 1 << 20}},
		{volume: 4 << 20, want: sizes{first: leastFile, file: leastFile, files: 4, reserve: leastFile / 2}},
		{volume: 1536 << 20, want: sizes{first: 8 << 20, file: 64 << 20, files: 12, reserve: 4 << 20}},
		{volume: 1536 << 20, o: Options{JournalFile: 1 << 20, JournalFiles: 5}, want: sizes{first: 1 << 20, file: 1 << 20, files: 5, reserve: 1 << 19}},
	} {
		fs := vfs.NewMem()
		fs.SetLimit(tt.volume)
		if got := sizesFor(fs, &tt.o); got != tt.want {
			t.Errorf("%d: %+v, want %+v", tt.volume, got, tt.want)
		}
	}
}

// TestSmallVolume: a volume of 24 MiB takes messages until it is full, refuses more, keeps all it acknowledged, and goes on by itself when
// there is space.
func TestSmallVolume(t *testing.T) {
	fs := vfs.NewMem()
	fs.SetLimit(24 << 20)
	w := &world{t: t, n: newNet(), fs: fs, clk: clock.System(), opt: func(o *Options) { o.JournalFile = 0 }}
	w.open()
	t.Cleanup(func() { _ = w.h.Close() })
	w.create(jsapi.StreamConfig{Name: "S", Subjects: []string{"a"}, Storage: jsapi.FileStorage})
	body := strings.Repeat("x", 100<<10)
	w.n.listen("ack")
	acked := 0
	publish := func() string {
		w.n.send("A", "a", "a", "ack", "", body)
		return w.n.wait(t, "ack").body
	}
	full := func() bool { return w.h.Health() != "" || len(w.account().Problems()) > 0 }
	for !full() && acked < 1000 {
		switch b := publish(); {
		case strings.Contains(b, `"error"`):
			if !strings.Contains(b, "10023") && !strings.Contains(b, "10167") {
				t.Fatal(b)
			}
		default:
			acked++
		}
	}
	if acked < 40 || acked > 240 {
		t.Fatalf("%d messages of 100 KiB fit into 24 MiB", acked)
	}
	fs.SetLimit(200 << 20)
	for i := 0; ; i++ {
		b := publish()
		if !strings.Contains(b, `"error"`) {
			acked++
			break
		}
		if i > 1<<20 {
			t.Fatal(b)
		}
	}
	w.restart()
	if msgs, _, _, _ := w.account().stream("S").size(); msgs != uint64(acked) {
		t.Fatalf("%d of %d acknowledged messages", msgs, acked)
	}
}
