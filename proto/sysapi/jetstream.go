package sysapi

import (
	"time"

	"ramjet/proto/jsapi"
)

// JetStreamVarz is the JetStream block of /varz and of statistics.
type JetStreamVarz struct {
	Config *JetStreamConfig `json:"config,omitempty"`
	Stats  *JetStreamStats  `json:"stats,omitempty"`
	Limits *JSLimits        `json:"limits,omitempty"`
}

// JetStreamConfig is the server's JetStream configuration.
type JetStreamConfig struct {
	MaxMemory    int64         `json:"max_memory"`
	MaxStore     int64         `json:"max_storage"`
	StoreDir     string        `json:"store_dir,omitempty"`
	SyncInterval time.Duration `json:"sync_interval,omitempty"`
	SyncAlways   bool          `json:"sync_always,omitempty"`
	Domain       string        `json:"domain,omitempty"`
	CompressOK   bool          `json:"compress_ok,omitempty"`
	UniqueTag    string        `json:"unique_tag,omitempty"`
	Strict       bool          `json:"strict,omitempty"`
}

// JetStreamStats is the JetStream usage of the server, or of an account.
type JetStreamStats struct {
	Memory         uint64     `json:"memory"`
	Store          uint64     `json:"storage"`
	ReservedMemory uint64     `json:"reserved_memory"`
	ReservedStore  uint64     `json:"reserved_storage"`
	Accounts       int        `json:"accounts"`
	HAAssets       int        `json:"ha_assets"`
	API            JSAPIStats `json:"api"`
}

// JSAPIStats counts JetStream API requests.
type JSAPIStats struct {
	Level    int    `json:"level"`
	Total    uint64 `json:"total"`
	Errors   uint64 `json:"errors"`
	Inflight uint64 `json:"inflight,omitempty"`
}

// JSLimits are the server's JetStream limits.
type JSLimits struct {
	MaxRequestBatch           int           `json:"max_request_batch,omitempty"`
	MaxAckPending             int           `json:"max_ack_pending,omitempty"`
	MaxHAAssets               int           `json:"max_ha_assets,omitempty"`
	Duplicates                time.Duration `json:"max_duplicate_window,omitempty"`
	MaxBatchInflightPerStream int           `json:"max_batch_inflight_per_stream,omitempty"`
	MaxBatchInflightTotal     int           `json:"max_batch_inflight_total,omitempty"`
	MaxBatchSize              int           `json:"max_batch_size,omitempty"`
	MaxBatchTimeout           time.Duration `json:"max_batch_timeout,omitempty"`
	DefaultMaxConsumers       int           `json:"default_max_consumers,omitempty"`
}

// JSInfo is the answer of /jsz.
type JSInfo struct {
	JetStreamStats
	ID              string           `json:"server_id"`
	Now             time.Time        `json:"now"`
	Disabled        bool             `json:"disabled,omitempty"`
	Config          JetStreamConfig  `json:"config,omitempty"`
	Limits          *JSLimits        `json:"limits,omitempty"`
	Streams         int              `json:"streams"`
	StreamsLeader   int              `json:"streams_leader,omitempty"`
	Consumers       int              `json:"consumers"`
	ConsumersLeader int              `json:"consumers_leader,omitempty"`
	Messages        uint64           `json:"messages"`
	Bytes           uint64           `json:"bytes"`
	Accounts        []*AccountDetail `json:"account_details,omitempty"`
	Total           int              `json:"total"`
	Damage          uint64           `json:"damage_found,omitempty"` // findings since the start
}

// AccountDetail is the JetStream usage of an account; the reservations are its limits.
type AccountDetail struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	JetStreamStats
	Streams []StreamDetail `json:"stream_detail,omitempty"`
}

// StreamDetail is one stream of /jsz.
type StreamDetail struct {
	Name            string                    `json:"name"`
	Created         time.Time                 `json:"created"`
	Cluster         *jsapi.ClusterInfo        `json:"cluster,omitempty"`
	Config          *jsapi.StreamConfig       `json:"config,omitempty"`
	State           jsapi.StreamState         `json:"state,omitempty"`
	Consumers       []*jsapi.ConsumerInfo     `json:"consumer_detail,omitempty"`
	DirectConsumers []*jsapi.ConsumerInfo     `json:"direct_consumer_detail,omitempty"`
	Mirror          *jsapi.StreamSourceInfo   `json:"mirror,omitempty"`
	Sources         []*jsapi.StreamSourceInfo `json:"sources,omitempty"`
	Problem         string                    `json:"problem,omitempty"` // what is wrong with it
}

// JSJournal are the counters of the journal, for metrics.
type JSJournal struct {
	Records, Bytes, Batches, Syncs uint64
	SyncTime                       time.Duration
	Files                          int
	Queued                         int64
	Damage                         uint64 // findings of damage in journal and streams
}
