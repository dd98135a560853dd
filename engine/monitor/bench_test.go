package monitor

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/valyala/bytebufferpool"

	"ramjet/proto/sysapi"
)

// bigPage is a /connz page of 1,024 connections, the default limit.
func bigPage() *sysapi.Connz {
	p := &sysapi.Connz{}
	for i := range 1024 {
		p.Conns = append(p.Conns, &sysapi.ConnInfo{Cid: uint64(i), IP: "127.0.0.1", Port: 40000 + i, Lang: "go", Version: "1.55.0", Name: "a client"})
	}
	return p
}

// BenchmarkEncode compares pooled scratch buffers with encoding into fresh memory.
func BenchmarkEncode(b *testing.B) {
	page := bigPage()
	b.Run("pooled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf := bytebufferpool.Get()
			if err := encode(buf, page, false); err != nil {
				b.Fatal(err)
			}
			bytebufferpool.Put(buf)
		}
	})
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.MarshalIndent(page, "", "  "); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestEncode: a page is what json.MarshalIndent or json.Marshal gives, also from a buffer used before.
func TestEncode(t *testing.T) {
	page := bigPage()
	for _, compact := range []bool{false, true, false} {
		want, err := json.MarshalIndent(page, "", "  ")
		if compact {
			want, err = json.Marshal(page)
		}
		if err != nil {
			t.Fatal(err)
		}
		buf := bytebufferpool.Get()
		if err := encode(buf, page, compact); err != nil || buf.String() != string(want) {
			t.Errorf("compact %v: %v, %d bytes, want %d", compact, err, buf.Len(), len(want))
		}
		bytebufferpool.Put(buf)
	}
	buf := bytebufferpool.Get()
	if err := encode(buf, func() {}, false); err == nil {
		t.Error("encoded a function")
	}
}

// TestContentLength: the length that is announced is the one that is sent.
func TestContentLength(t *testing.T) {
	_, h := newFake(t)
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/varz", nil))
		res, body := get(t, h, "/varz")
		if res.ContentLength != int64(len(body)) || body[len(body)-1] != '}' || w.Body.Len() != len(body) {
			t.Errorf("announced %d, sent %d and %d", res.ContentLength, len(body), w.Body.Len())
		}
	}
}
