package stream

import (
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// AckRule says what has to happen to the entry of a publish before it is applied and acknowledged.
type AckRule struct {
	Quorum bool             // replicated: a quorum of appends; otherwise the local one
	Sync   store.SyncPolicy // what each append has to reach
}

// RuleFor is the table of acknowledgements:
//
//	storage replicas policy    after
//	memory  1        -         apply
//	memory  >1       -         quorum of in-memory appends
//	file    1        always    fdatasync covering it
//	file    >1       always    quorum of appends after fdatasync
//	file    1        interval  bytes handed to the OS
//	file    >1       interval  quorum of appends handed to the OS
//
// persist_mode async relaxes a file stream to acceptance in memory.
func RuleFor(c *jsapi.StreamConfig, always bool) AckRule {
	r := AckRule{Quorum: c.Replicas > 1, Sync: store.SyncOS}
	switch {
	case c.Storage == jsapi.MemoryStorage || c.PersistMode == jsapi.PersistAsync:
		r.Sync = store.SyncNone
	case always:
		r.Sync = store.SyncDurable
	}
	return r
}
