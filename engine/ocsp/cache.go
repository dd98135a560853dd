package ocsp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"golang.org/x/crypto/ocsp"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// Defaults of ocsp_cache (reference/monitoring.md, section 7).
const (
	defaultStore        = "_rc_"
	cacheFile           = "cache.json"
	defaultSaveInterval = 5 * time.Minute
	// maxCached bounds the responses kept, about 2 KiB each; beyond it one makes room for another.
	maxCached = 1 << 16
)

// Cache keeps the answers of CAs about clients' certificates, under the certificate's fingerprint, in
// memory and in a file of the format of nats-server. A nil Cache (type none) keeps nothing. Any goroutine.
type Cache struct {
	opts  config.OCSPCacheOptions
	path  string
	files Files
	clk   clock.Clock
	log   engine.Logger

	mu    sync.Mutex // leaf; guards everything below
	items map[string]cached
	stats CacheStats
	dirty bool
	timer clock.Timer
	ended bool

	saving sync.Mutex // one save at a time; taken before mu
}

// CacheStats counts what is kept and how often it helped.
type CacheStats struct {
	Hits, Misses           int64
	Responses              int64
	Revoked, Good, Unknown int64
}

// cached is one answer; the JSON form is that of nats-server's cache.json.
type cached struct {
	Subject string    `json:"subject,omitempty"`
	At      time.Time `json:"cached_at"`
	Status  word      `json:"resp_status"`
	Expires time.Time `json:"resp_expires,omitempty"`
	Resp    []byte    `json:"resp"` // s2 stream of the DER
}

// word is a status that is a word in JSON.
type word int

// MarshalText implements encoding.TextMarshaler.
func (w word) MarshalText() ([]byte, error) { return []byte(statusName(int(w))), nil }

// UnmarshalText implements encoding.TextUnmarshaler; what is not known is unknown.
func (w *word) UnmarshalText(b []byte) error {
	*w = ocsp.Unknown
	for _, s := range []int{ocsp.Good, ocsp.Revoked} {
		if statusName(s) == string(b) {
			*w = word(s)
		}
	}
	return nil
}

// NewCache returns a cache that loads its file at Start; nil when opts says none. nil opts is the default.
func NewCache(opts *config.OCSPCacheOptions, files Files, clk clock.Clock, log engine.Logger) *Cache {
	o := config.OCSPCacheOptions{Type: "local"}
	if opts != nil {
		o = *opts
	}
	if o.Type == "none" {
		return nil
	}
	if o.LocalStore == "" {
		o.LocalStore = defaultStore
	}
	if o.SaveInterval <= 0 {
		o.SaveInterval = defaultSaveInterval
	}
	c := &Cache{opts: o, files: files, clk: clk, log: log, items: map[string]cached{}}
	c.path = filepath.Join(o.LocalStore, cacheFile)
	if abs, err := filepath.Abs(c.path); err == nil {
		c.path = abs
	}
	return c
}

// Type is the word for the kind of cache: "local", or "none" for nil.
func (c *Cache) Type() string {
	if c == nil {
		return "none"
	}
	return "local"
}

// Start loads the file and saves at intervals from now on. Control.
func (c *Cache) Start() {
	if c == nil {
		return
	}
	debugf(c.log, "Loading OCSP peer cache [%s]", c.path)
	items, dirty := map[string]cached{}, false
	data, err := c.files.ReadFile(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		debugf(c.log, "No OCSP peer cache found, starting with empty cache")
	case err == nil:
		if err = json.Unmarshal(data, &items); err != nil || items == nil { // "null" is JSON too
			items, dirty = map[string]cached{}, true
		}
		fallthrough
	default:
		if err != nil {
			c.log.Logf(engine.Warn, "RJ-O010", "Unable to load OCSP peer cache: %s", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items, c.dirty, c.stats = items, dirty, CacheStats{}
	for _, it := range items {
		c.count(it.Status, 1)
	}
	c.timer = c.clk.AfterFunc(c.opts.SaveInterval, c.tick)
}

// tick saves and arms the next time. Timer goroutine.
func (c *Cache) tick() {
	c.save()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.timer = c.clk.AfterFunc(c.opts.SaveInterval, c.tick)
	}
}

// Stop saves what has changed. Control.
func (c *Cache) Stop() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.save()
}

func (c *Cache) save() {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	dirty := c.dirty
	var data []byte
	var err error
	if dirty {
		data, err = json.MarshalIndent(c.items, "", " ")
		c.dirty = false
	}
	c.mu.Unlock()
	if !dirty {
		return
	}
	debugf(c.log, "Saving OCSP peer cache [%s]", c.path)
	if err == nil {
		err = c.files.WriteFile(c.path, data)
	}
	if err != nil {
		c.log.Logf(engine.Error, "RJ-O011", "Unable to save OCSP peer cache: %s", err)
		c.mu.Lock()
		c.dirty = true
		c.mu.Unlock()
		return
	}
	debugf(c.log, "Saved OCSP peer cache successfully (%d bytes)", len(data))
}

// count changes the counts of what is kept. Requires: mu, or nobody else yet.
func (c *Cache) count(s word, n int64) {
	c.stats.Responses += n
	switch s {
	case ocsp.Good:
		c.stats.Good += n
	case ocsp.Revoked:
		c.stats.Revoked += n
	default:
		c.stats.Unknown += n
	}
}

// put keeps an answer.
func (c *Cache) put(key, subject string, r *ocsp.Response) {
	if c == nil {
		return
	}
	debugf(c.log, "Caching OCSP response for [%s], key [%s]", subject, key)
	it := cached{Subject: subject, At: c.clk.Now().UTC().Round(time.Second), Status: word(r.Status),
		Expires: r.NextUpdate, Resp: compress(r.Raw)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.items[key]; ok {
		c.count(old.Status, -1)
	} else if len(c.items) >= maxCached {
		c.makeRoom()
	}
	c.items[key] = it
	c.count(it.Status, 1)
	c.dirty = true
}

// makeRoom drops any one answer that need not be preserved. Requires: mu.
func (c *Cache) makeRoom() {
	for k, it := range c.items {
		if it.Status != ocsp.Revoked || !c.opts.PreserveRevoked {
			delete(c.items, k)
			c.count(it.Status, -1)
			return
		}
	}
}

// get returns the DER of an answer, nil when there is none.
func (c *Cache) get(key string) []byte {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	it, ok := c.items[key]
	if ok {
		c.stats.Hits++
	} else {
		c.stats.Misses++
	}
	c.mu.Unlock()
	if !ok {
		debugf(c.log, "OCSP peer cache miss for key [%s]", key)
		return nil
	}
	debugf(c.log, "OCSP peer cache hit for key [%s]", key)
	raw, err := decompress(it.Resp)
	if err != nil {
		c.log.Logf(engine.Error, "RJ-O012", "Unable to decompress OCSP response for key [%s]: %s", key, err)
		return nil
	}
	return raw
}

// useless makes the hit of get a miss, and drops the answer unless it is a revocation to be preserved.
func (c *Cache) useless(key string) {
	c.mu.Lock()
	it, ok := c.items[key]
	preserve := it.Status == ocsp.Revoked && c.opts.PreserveRevoked
	if ok {
		c.stats.Hits--
		c.stats.Misses++
		if !preserve {
			delete(c.items, key)
			c.count(it.Status, -1)
			c.dirty = true
		}
	}
	c.mu.Unlock()
	switch {
	case ok && preserve:
		debugf(c.log, "Revoked OCSP response for key [%s] preserved by cache policy", key)
	case ok:
		debugf(c.log, "Deleting OCSP peer cached response for key [%s]", key)
	}
}

// Stats returns the counters, zero for nil.
func (c *Cache) Stats() CacheStats {
	if c == nil {
		return CacheStats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func compress(raw []byte) []byte {
	var b bytes.Buffer
	w := s2.NewWriter(&b, s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10))
	_, _ = w.Write(raw) // into memory
	_ = w.Close()
	return b.Bytes()
}

func decompress(b []byte) ([]byte, error) {
	r := s2.NewReader(bytes.NewReader(b), s2.ReaderAllocBlock(8<<10))
	raw, err := io.ReadAll(io.LimitReader(r, maxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxResponse {
		return nil, fmt.Errorf("larger than %d bytes", maxResponse)
	}
	return raw, nil
}

func debugf(log engine.Logger, format string, args ...any) {
	if log.Enabled(engine.Debug) {
		log.Logf(engine.Debug, "", format, args...)
	}
}
