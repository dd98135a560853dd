package interest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"ramjet/engine"
	"ramjet/proto/subject"
)

func TestSubText(t *testing.T) {
	if subSize != 40 || unsafe.Sizeof(sub24{}) != 64 || unsafe.Sizeof(bucket{}) != 64 {
		t.Fatalf("sizes: Sub %d, sub24 %d, bucket %d", subSize, unsafe.Sizeof(sub24{}), unsafe.Sizeof(bucket{}))
	}
	sink := &fakeSink{kind: engine.Leaf, id: 7}
	for n := range 300 {
		subj, queue, sid := strings.Repeat("s", n/2+1), strings.Repeat("q", n/3), strings.Repeat("9", n/4)
		s := NewSub([]byte(subj), []byte(queue), []byte(sid), 1, sink)
		if s.Subject() != subj || s.Queue() != queue || s.SID() != sid || s.HasQueue() != (queue != "") {
			t.Fatalf("length %d: got %q %q %q", n, s.Subject(), s.Queue(), s.SID())
		}
		if s.Kind() != engine.Leaf || s.Sink() != Sink(sink) || s.Weight() != 1 || !s.Remote() {
			t.Fatalf("length %d: kind %v weight %d", n, s.Kind(), s.Weight())
		}
	}
	huge := NewSub(make([]byte, 2<<20), nil, []byte("1"), 1, sink)
	if err := NewIndex().Insert(huge); err != subject.ErrInvalid {
		t.Errorf("a subject of 2 MiB: %v", err)
	}
	if w := NewSub([]byte("a"), []byte("q"), nil, 5, sink).Weight(); w != 5 {
		t.Errorf("weight %d, want 5", w)
	}
}

func TestForms(t *testing.T) {
	for subj, want := range map[string]form{
		"a": formLiteral, "foo*": formLiteral, "a.>b": formLiteral, "*": formStar, ">": formFull, "a.*": formStar,
		"a.b.>": formFull, "*.a": formInner, "a.*.b": formInner, "a.*.>": formInner, "*.*": formInner, "*.>": formInner,
		"a*": formLiteral, "a>": formLiteral, "ab.c*.*": formStar,
	} {
		if got := formOf([]byte(subj)); got != want {
			t.Errorf("%s: form %d, want %d", subj, got, want)
		}
	}
}

func TestTake(t *testing.T) {
	s := sub("a", "", "1", nil)
	for i := range 5 {
		if ok, last := s.Take(); !ok || last {
			t.Fatalf("take %d: %v %v", i, ok, last)
		}
	}
	s.SetMax(7)
	want := [][2]bool{{true, false}, {true, true}, {false, false}, {false, false}}
	for i, w := range want {
		if ok, last := s.Take(); ok != w[0] || last != w[1] {
			t.Errorf("take %d with max: %v %v, want %v", i, ok, last, w)
		}
	}
	if s.Delivered() != 7 || s.Max() != 7 {
		t.Errorf("delivered %d, max %d", s.Delivered(), s.Max())
	}
	s.SetMax(0)
	if ok, _ := s.Take(); !ok {
		t.Error("a removed limit still holds")
	}
	s.Close()
	if ok, _ := s.Take(); ok || !s.Closed() {
		t.Error("a closed subscription took a message")
	}
}

// TestTakeConcurrent: of several loops exactly max deliver and exactly one is the last.
func TestTakeConcurrent(t *testing.T) {
	s := sub("a", "", "1", nil)
	s.SetMax(1000)
	var took, last atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				ok, l := s.Take()
				if ok {
					took.Add(1)
				}
				if l {
					last.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if took.Load() != 1000 || last.Load() != 1 || s.Delivered() != 1000 {
		t.Errorf("took %d, last %d, delivered %d", took.Load(), last.Load(), s.Delivered())
	}
}
