package ocsp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

func newTestCache(files *memFiles, change func(*config.OCSPCacheOptions)) (*Cache, *clock.Manual, *testLog) {
	clk, log := clock.NewManual(epoch), &testLog{}
	o := &config.OCSPCacheOptions{Type: "local", LocalStore: "/dir", SaveInterval: time.Minute}
	if change != nil {
		change(o)
	}
	return NewCache(o, files, clk, log), clk, log
}

func response(status int) *ocsp.Response {
	return &ocsp.Response{Status: status, Raw: []byte(strings.Repeat("der", 500)), NextUpdate: epoch.Add(time.Hour), SerialNumber: big.NewInt(1)}
}

// TestCacheFile: saved at intervals when something changed, and at Stop; loaded at Start with its counts.
func TestCacheFile(t *testing.T) {
	files := &memFiles{}
	c, clk, _ := newTestCache(files, nil)
	c.Start()
	clk.Advance(10 * time.Minute)
	if files.wrote != 0 {
		t.Fatal("saved without change")
	}
	c.put("a", "CN=a", response(ocsp.Good))
	c.put("b", "CN=b", response(ocsp.Revoked))
	clk.Advance(time.Minute)
	clk.Advance(time.Minute)
	if files.wrote != 1 {
		t.Fatalf("saved %d times", files.wrote)
	}
	c.put("c", "CN=c", response(ocsp.Unknown))
	c.Stop()
	if files.wrote != 2 || clk.Pending() != 0 {
		t.Fatalf("saved %d times, %d timers", files.wrote, clk.Pending())
	}
	d, _, _ := newTestCache(files, nil)
	d.Start()
	if s, want := d.Stats(), (CacheStats{Responses: 3, Good: 1, Revoked: 1, Unknown: 1}); s != want {
		t.Errorf("%+v", s)
	}
	if !bytes.Equal(d.get("b"), response(0).Raw) || d.get("x") != nil {
		t.Error("content is different")
	}
	if s := d.Stats(); s.Hits != 1 || s.Misses != 1 {
		t.Errorf("%+v", s)
	}
	d.put("b", "CN=b", response(ocsp.Good)) // replaces
	if s := d.Stats(); s.Responses != 3 || s.Good != 2 || s.Revoked != 0 {
		t.Errorf("%+v", s)
	}
	var form map[string]map[string]any
	if err := json.Unmarshal(files.m["/dir/cache.json"], &form); err != nil {
		t.Fatal(err)
	}
	delete(form["a"], "resp")
	want := "map[cached_at:2026-05-06T07:18:09Z resp_expires:2026-05-06T08:08:09Z resp_status:good subject:CN=a]"
	if got := fmt.Sprint(form["a"]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCacheTrouble: an unreadable file is an empty cache; a save that failed is repeated.
func TestCacheTrouble(t *testing.T) {
	files := &memFiles{m: map[string][]byte{"/dir/cache.json": []byte(`{"a":`)}, fail: errors.New("disk full")}
	c, clk, log := newTestCache(files, nil)
	c.Start()
	if !log.has("1 RJ-O010 Unable to load OCSP peer cache") || c.Stats().Responses != 0 {
		t.Error(log.buf.String())
	}
	c.put("a", "CN=a", response(ocsp.Good))
	clk.Advance(time.Minute)
	if !log.has("2 RJ-O011 Unable to save OCSP peer cache: disk full") {
		t.Error(log.buf.String())
	}
	files.fail = nil
	clk.Advance(time.Minute)
	if files.wrote != 1 {
		t.Errorf("saved %d times", files.wrote)
	}
	c.items["a"] = cached{Resp: []byte("no s2")}
	if c.get("a") != nil || !log.has("2 RJ-O012 Unable to decompress OCSP response for key [a]") {
		t.Error(log.buf.String())
	}
}

func TestCacheUseless(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		c, _, _ := newTestCache(&memFiles{}, func(o *config.OCSPCacheOptions) { o.PreserveRevoked = preserve })
		c.Start()
		c.put("g", "", response(ocsp.Good))
		c.put("r", "", response(ocsp.Revoked))
		for _, k := range []string{"g", "r"} {
			c.get(k)
			c.useless(k)
		}
		c.useless("never there")
		want := CacheStats{Misses: 2}
		if preserve {
			want.Responses, want.Revoked = 1, 1
		}
		if s := c.Stats(); s != want {
			t.Errorf("preserve %v: %+v", preserve, s)
		}
	}
}

// TestCacheBounded: the number of answers has a limit; revocations to be preserved do not make room.
func TestCacheBounded(t *testing.T) {
	c, _, _ := newTestCache(&memFiles{}, func(o *config.OCSPCacheOptions) { o.PreserveRevoked = true })
	c.put("r", "", response(ocsp.Revoked))
	for i := range maxCached {
		c.items[fmt.Sprint(i)] = cached{Status: ocsp.Good}
		c.count(ocsp.Good, 1)
	}
	delete(c.items, "0")
	c.count(ocsp.Good, -1)
	for i := range 100 {
		c.put(fmt.Sprint("new", i), "", response(ocsp.Good))
	}
	if s := c.Stats(); len(c.items) != maxCached || s.Responses != maxCached || c.get("r") == nil {
		t.Errorf("%d items, %+v", len(c.items), s)
	}
}

func TestCacheNone(t *testing.T) {
	c := NewCache(&config.OCSPCacheOptions{Type: "none"}, nil, nil, nil)
	c.Start()
	c.put("a", "", response(ocsp.Good))
	if c.get("a") != nil || c.Type() != "none" || c.Stats() != (CacheStats{}) {
		t.Error("something was kept")
	}
	c.Stop()
	d := NewCache(nil, nil, nil, nil)
	if d.Type() != "local" || !strings.HasSuffix(d.path, "/_rc_/cache.json") || d.opts.SaveInterval != 5*time.Minute {
		t.Errorf("default %+v %s", d.opts, d.path)
	}
}

// FuzzCacheFile: whatever the file holds, the cache starts, serves, and saves a file that loads to the same.
func FuzzCacheFile(f *testing.F) {
	f.Add([]byte(`{"k":{"subject":"CN=a","cached_at":"2026-01-01T00:00:00Z","resp_status":"revoked","resp":"/wYAAFMyc1R3TwEHAADM3Zx3YWJj"}}`))
	f.Add([]byte(`{"k":{"resp_status":7}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := &memFiles{m: map[string][]byte{"/dir/cache.json": data}}
		c, _, _ := newTestCache(files, nil)
		c.Start()
		for k := range c.items {
			if raw := c.get(k); len(raw) > maxResponse {
				t.Fatalf("%d bytes", len(raw))
			}
		}
		before := c.Stats()
		if before.Good+before.Revoked+before.Unknown != before.Responses || before.Responses != int64(len(c.items)) {
			t.Fatalf("%+v", before)
		}
		c.put("new", "CN=n", response(ocsp.Good))
		c.Stop()
		d, _, log := newTestCache(files, nil)
		d.Start()
		if log.has("Unable") || len(d.items) != len(c.items) {
			t.Fatalf("%d items, then %d\n%s", len(c.items), len(d.items), log.buf.String())
		}
	})
}

// FuzzParse: an answer of a responder is refused or is signed by the CA; it never panics.
func FuzzParse(f *testing.F) {
	ca := newAuthority(f, nil, "ca")
	leaf := ca.leaf("l", false).Leaf
	good := ca.respond(leaf.SerialNumber)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0x30, 3, 0x0a, 1, 6})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parse(raw, leaf, ca.cert)
		if err != nil {
			return
		}
		if err := r.CheckSignatureFrom(ca.cert); err != nil {
			t.Fatalf("accepted: %v", err)
		}
	})
}
