package server

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/js/host"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/store/crypt"
	"ramjet/store/vfs"
)

// dynamic is a limit that is found out when the store is opened.
const dynamic = -2

// Limits where the machine does not tell (reference/jetstream/limits.md).
const (
	unknownMemory = 256 << 20
	unknownDisk   = 1 << 40
)

// jsDir returns the directory of JetStream's files; temporary when none was configured.
func jsDir(o *config.Options) (dir string, temporary bool) {
	base := o.StoreDir
	if base == "" {
		base, temporary = filepath.Join(os.TempDir(), "nats"), true
	}
	return filepath.ToSlash(filepath.Join(base, "jetstream")), temporary
}

// jsOptions maps the configuration. The directory exists.
func (s *Server) jsOptions(o *config.Options, dir string) host.Options {
	j := o.JetStream
	h := host.Options{
		Dir: dir, Shards: jsShards(), InboxSize: j.MaxBufferedMsgs, InboxBytes: j.MaxBufferedSize, PoolBytes: poolBytes(),
		Domain: j.Domain, ServerName: s.Name(), ServerID: s.id, Version: NATSVersion, Pending: int(o.MaxPending),
		MaxMemory: j.MaxMemory, MaxStore: j.MaxStore,
	}
	if !j.SyncAlways {
		h.SyncInterval = j.SyncInterval
	}
	if a := s.accounts.System(); a != nil {
		h.SystemAccount = a.Name()
	}
	if j.MaxMemory == 0 && !j.MaxMemorySet {
		h.MaxMemory = memoryLimit()
	}
	if j.MaxStore == 0 && !j.MaxStoreSet {
		h.MaxStore = dynamic
	}
	if j.Key != "" {
		h.Key = []byte(j.Key)
		h.Cipher, _ = crypt.ParseCipher(j.Cipher) // checked when it was read
	}
	if j.PrevKey != "" {
		h.PrevKey = []byte(j.PrevKey)
	}
	return h
}

// memoryLimit is three quarters of what the process may use.
func memoryLimit() int64 {
	if total := totalMemory(); total > 0 {
		return total / 4 * 3
	}
	return unknownMemory
}

// poolBytes is what a shard may keep of the memory of streams that shrank or are gone: new pages cost more than all the rest of storing a message in
// memory. All shards together a thirty-second of what the process may use.
func poolBytes() int64 {
	return min(max(totalMemory()/32/int64(jsShards()), 16<<20), 256<<20)
}

// totalMemory is what the process may use in bytes, 0 if that is not known.
func totalMemory() (total int64) {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		total = int64(si.Totalram) * int64(si.Unit)
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 && (total == 0 || limit < total) {
		total = limit
	}
	return total
}

// diskLimit is three quarters of what is free or already taken by the store.
func diskLimit(disk vfs.FS, dir string, taken int64) int64 {
	free, _, err := disk.Space(dir)
	if err != nil {
		return unknownDisk
	}
	return (int64(free) + taken) / 4 * 3
}

// Open batches of the whole server, where the configuration says nothing.
const (
	maxAtomicBatches = 1000
	maxFastBatches   = 50000
)

// tuning is what a reload can change, and the count of open batches that its limit is for.
type tuning struct {
	open  [2]atomic.Int64 // batches: atomic, fast
	limit [2]atomic.Int64
}

func (t *tuning) set(o *config.Options) {
	t.limit[0].Store(maxAtomicBatches)
	t.limit[1].Store(maxFastBatches)
	if n := o.JetStream.Limits.BatchMaxInflightTotal; n > 0 {
		t.limit[0].Store(int64(n))
		t.limit[1].Store(int64(n))
	}
}

// total counts an open batch in or out; false when there are too many. Any goroutine.
func (t *tuning) total(fast bool, delta int) bool {
	i := 0
	if fast {
		i = 1
	}
	if n := t.open[i].Add(int64(delta)); delta > 0 && n > t.limit[i].Load() {
		t.open[i].Add(int64(-delta))
		return false
	}
	return true
}

// of returns the part of o that may change while JetStream runs.
func (t *tuning) of(o *config.Options) host.Tunable {
	t.set(o)
	j := o.JetStream
	l := &j.Limits
	u := host.Tunable{
		Lenient: !j.Strict, MaxWindow: l.DuplicateWindow, MaxAckPending: l.MaxAckPending, MaxRequestBatch: l.MaxRequestBatch,
		DefaultMaxConsumers: l.DefaultMaxConsumers, QueueLimit: j.RequestQueueLimit, InfoLimit: j.InfoQueueLimit,
		Batch: stream.BatchLimits{AtomicMsgs: l.BatchMaxMsgs, Timeout: int64(l.BatchTimeout), Total: t.total},
	}
	if n := l.BatchMaxInflightPerStream; n > 0 {
		u.Batch.AtomicPerStream, u.Batch.FastPerStream = n, n
	}
	return u
}

// jsLimits tells the host what accounts may use.
type jsLimits struct{ s *Server }

// Account implements host.Limits.
func (l jsLimits) Account(name string) *host.AccountLimits {
	a := l.s.accounts.Lookup(name)
	if a == nil {
		return nil
	}
	if js := l.s.js.Load(); js != nil {
		if kept := js.kept.Load(); kept != nil {
			if limits, ok := (*kept)[a]; ok {
				return limits
			}
		}
	}
	return accountLimits(a.Snap().JetStream)
}

// keepLimits finds the accounts whose JWTs give them more than the server has: they keep the limits of before, and without such JetStream is
// not served to them. was are the limits of the accounts until now, nil for an account that has no JetStream. Control.
func (js *jetStream) keepLimits(was map[*account.Account]*host.AccountLimits) map[*account.Account]*host.AccountLimits {
	sizes, now := js.limits.Load(), map[*account.Account]*host.AccountLimits{}
	kept := map[*account.Account]*host.AccountLimits{}
	js.s.accounts.Range(func(a *account.Account) bool {
		l := accountLimits(a.Snap().JetStream)
		if before := was[a]; a.Snap().Claims != nil && l != nil && sizes.less(l) && (before == nil || !sizes.less(before)) {
			js.s.log.Logf(engine.Error, "RJ-S084", "JetStream: the limits of account %q are beyond what this server may use; those of before stay", a.Name())
			l, kept[a] = before, before
		}
		now[a] = l
		return true
	})
	js.kept.Store(&kept)
	return now
}

// less reports whether an account may use more bytes than the server.
func (z *jsSizes) less(l *host.AccountLimits) bool {
	beyond := func(n *jsapi.AccountLimits) bool {
		return z.memory > 0 && n.MaxMemory > z.memory || z.store > 0 && n.MaxStore > z.store
	}
	for _, t := range l.Tiers {
		if beyond(&t) {
			return true
		}
	}
	return l.Tiers == nil && beyond(&l.Flat)
}

func accountLimits(j *account.JetStream) *host.AccountLimits {
	switch {
	case j == nil:
		return nil
	case j.Flat != nil:
		return &host.AccountLimits{Flat: limitsOf(j.Flat)}
	}
	l := &host.AccountLimits{Tiers: map[int]jsapi.AccountLimits{}}
	for tier, t := range j.Tiers {
		if len(tier) == 2 && tier[0] == 'R' && tier[1] > '0' && tier[1] <= '9' {
			l.Tiers[int(tier[1]-'0')] = limitsOf(&t)
		}
	}
	return l
}

func limitsOf(j *config.AccountJetStream) jsapi.AccountLimits {
	return jsapi.AccountLimits{MaxMemory: j.MaxMemory, MaxStore: j.MaxStore, MaxStreams: j.MaxStreams, MaxConsumers: j.MaxConsumers,
		MaxAckPending: j.MaxAckPending, MemoryMaxStreamBytes: j.MemMaxStreamBytes, StoreMaxStreamBytes: j.DiskMaxStreamBytes,
		MaxBytesRequired: j.MaxBytesRequired}
}

// logJetStream writes what JetStream works with.
func (s *Server) logJetStream(o *host.Options) {
	info := func(format string, args ...any) { s.log.Logf(engine.Info, "", format, args...) }
	info("  Strict:          %v", !o.Lenient)
	info("  Max Memory:      %s", shownBytes(o.MaxMemory))
	info("  Max Storage:     %s", shownBytes(o.MaxStore))
	info("  Store Directory: %q", o.Dir)
	if o.SyncInterval > 0 {
		info("  Sync Interval:   %v", o.SyncInterval)
	}
	if o.Domain != "" {
		info("  Domain:          %s", o.Domain)
	}
	if o.Key != nil {
		info("  Encryption:      %s", o.Cipher)
	}
	info("  API Level:       %d", APILevel)
}

func shownBytes(n int64) string {
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.2f %cB", v, " KMGT"[unit])
}
