package config

import (
	"strings"
	"time"

	"ramjet/proto/conf"
)

func jetstream(d *decoder, o *Options, e *conf.Entry) {
	j := &JetStreamOptions{Strict: true}
	switch e.Value.Kind {
	case conf.Bool:
		j.Enabled = e.Value.Bool
	case conf.String:
		switch strings.ToLower(e.Value.Str) {
		case "enabled", "enable":
			j.Enabled = true
		case "disabled", "disable":
		default:
			d.errorf(e.Pos, "Expected 'enabled' or 'disabled' for string value, got '%s'", e.Value.Str)
		}
	case conf.Map:
		j.Enabled = true
		jetstreamBlock.decode(d, j, e.Value.Map)
	default:
		d.errorf(e.Pos, "Expected map, bool or string to define JetStream, got %s", kind(e.Value))
	}
	o.JetStream = j
}

var jetstreamBlock *block[JetStreamOptions]
var jsLimitsBlock *block[JetStreamLimits]
var jsBatchBlock *block[JetStreamLimits]

// Bounds of max_concurrent_io.
const minConcurrentIO, maxConcurrentIO = 4, 8192

func init() {
	type T = JetStreamOptions
	natural := func(f func(*T) *int) func(*decoder, *T, *conf.Entry) {
		return func(d *decoder, j *T, e *conf.Entry) {
			if e.Value.Kind != conf.Int || e.Value.Int < 0 || e.Value.Int > 1<<31-1 {
				d.errorf(e.Pos, "Expected an absolute size for %q, got %s", strings.ToLower(e.Key), e.Value.Text())
				return
			}
			*f(j) = int(e.Value.Int)
		}
	}
	// A negative size is found out at start, as one that is not given.
	storage := func(f func(*T) (*int64, *bool)) func(*decoder, *T, *conf.Entry) {
		return func(d *decoder, j *T, e *conf.Entry) {
			if n, ok := d.size(e); ok {
				v, set := f(j)
				*v, *set = max(n, 0), n >= 0
			}
		}
	}
	jetstreamBlock = newBlock(unknownField, []key[T]{
		{"enabled enable", boolean(func(j *T) *bool { return &j.Enabled })},
		{"store_dir store storedir", func(d *decoder, j *T, e *conf.Entry) {
			if s, ok := d.str(e); ok {
				d.setStoreDir(d.opts, e.Pos, s)
			}
		}},
		{"max_memory_store max_mem_store max_mem", storage(func(j *T) (*int64, *bool) { return &j.MaxMemory, &j.MaxMemorySet })},
		{"max_file_store max_file", storage(func(j *T) (*int64, *bool) { return &j.MaxStore, &j.MaxStoreSet })},
		{"domain", str(func(j *T) *string { return &j.Domain })},
		{"unique_tag", func(d *decoder, j *T, e *conf.Entry) {
			if s, ok := d.str(e); ok {
				j.UniqueTag = strings.ToLower(strings.TrimSpace(s))
			}
		}},
		{"extension_hint", str(func(j *T) *string { return &j.ExtensionHint })},
		{"sync_interval sync", func(d *decoder, j *T, e *conf.Entry) {
			j.SyncSet = true
			if strings.EqualFold(e.Value.Str, "always") {
				j.SyncAlways = true
				return
			}
			if v, ok := d.duration(e); ok {
				j.SyncInterval = v
			}
		}},
		{"strict", boolean(func(j *T) *bool { return &j.Strict })},
		{"encryption_key key ek", str(func(j *T) *string { return &j.Key })},
		{"prev_encryption_key prev_key prev_ek", str(func(j *T) *string { return &j.PrevKey })},
		{"cipher", func(d *decoder, j *T, e *conf.Entry) {
			if s, ok := d.str(e); ok {
				j.Cipher = d.cipher(e, s)
			}
		}},
		{"tpm", func(d *decoder, j *T, e *conf.Entry) {
			if m, ok := d.object(e); ok {
				j.TPM = map[string]any{}
				tpmBlock.decode(d, &j.TPM, m)
			}
		}},
		{"limits", func(d *decoder, j *T, e *conf.Entry) {
			if e.Value.Kind != conf.Map {
				d.errorf(e.Pos, "Expected a map to define JetStreamLimits, got %s", kind(e.Value))
				return
			}
			jsLimitsBlock.decode(d, &j.Limits, e.Value.Map)
		}},
		{"max_outstanding_catchup", size(func(j *T) *int64 { return &j.MaxOutstandingCatchup })},
		{"max_buffered_size", size(func(j *T) *int64 { return &j.MaxBufferedSize })},
		{"max_buffered_msgs", natural(func(j *T) *int { return &j.MaxBufferedMsgs })},
		{"request_queue_limit", natural(func(j *T) *int { return &j.RequestQueueLimit })},
		{"info_queue_limit", natural(func(j *T) *int { return &j.InfoQueueLimit })},
		{"meta_compact", natural(func(j *T) *int { return &j.MetaCompact })},
		{"meta_compact_size", size(func(j *T) *int64 { return &j.MetaCompactSize })},
		{"meta_compact_sync", boolean(func(j *T) *bool { return &j.MetaCompactSync })},
		{"max_concurrent_io", func(d *decoder, j *T, e *conf.Entry) {
			n, ok := d.integer(e, -1<<31, 1<<31-1)
			if ok && (n < minConcurrentIO || n > maxConcurrentIO) {
				d.errorf(e.Pos, "Expected an absolute size for %q between %d and %d, got %d", "max_concurrent_io", minConcurrentIO, maxConcurrentIO, n)
				return
			}
			j.MaxConcurrentIO = int(n)
		}},
	}...)
	type L = JetStreamLimits
	jsLimitsBlock = newBlock(unknownField, []key[L]{
		{"max_ack_pending", integer(func(l *L) *int { return &l.MaxAckPending })},
		{"max_ha_assets", integer(func(l *L) *int { return &l.MaxHAAssets })},
		{"max_request_batch", integer(func(l *L) *int { return &l.MaxRequestBatch })},
		{"default_max_consumers", integer(func(l *L) *int { return &l.DefaultMaxConsumers })},
		{"duplicate_window", strict(func(l *L) *time.Duration { return &l.DuplicateWindow })},
		{"batch", func(d *decoder, l *L, e *conf.Entry) {
			if e.Value.Kind != conf.Map {
				d.errorf(e.Pos, "Expected a map to define batch limits, got %s", kind(e.Value))
				return
			}
			jsBatchBlock.decode(d, l, e.Value.Map)
		}},
	}...)
	jsBatchBlock = newBlock(unknownField, []key[L]{
		{"max_inflight_per_stream", integer(func(l *L) *int { return &l.BatchMaxInflightPerStream })},
		{"max_inflight_total", integer(func(l *L) *int { return &l.BatchMaxInflightTotal })},
		{"max_msgs", integer(func(l *L) *int { return &l.BatchMaxMsgs })},
		{"timeout", strict(func(l *L) *time.Duration { return &l.BatchTimeout })},
	}...)
}

// cipher normalizes the name of a cipher for stored data.
func (d *decoder) cipher(e *conf.Entry, name string) string {
	switch strings.ToLower(name) {
	case "chacha", "chachapoly":
		return "chacha"
	case "aes":
		return "aes"
	}
	d.errorf(e.Pos, "Unknown cipher type: %q (expected chacha or aes)", name)
	return ""
}

var tpmBlock = func() *block[map[string]any] {
	var keys []key[map[string]any]
	for _, name := range []string{"keys_file", "encryption_password", "srk_password", "cipher"} {
		keys = append(keys, key[map[string]any]{name, func(d *decoder, m *map[string]any, e *conf.Entry) {
			s, ok := d.str(e)
			if ok && name == "cipher" {
				s = d.cipher(e, s)
			}
			if ok {
				(*m)[name] = s
			}
		}})
	}
	keys = append(keys, key[map[string]any]{"pcr", func(d *decoder, m *map[string]any, e *conf.Entry) {
		if n, ok := d.integer(e, 0, 1<<31-1); ok {
			(*m)["pcr"] = n
		}
	}})
	return newBlock(unknownField, keys...)
}()
