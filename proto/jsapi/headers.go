package jsapi

// Headers of JetStream messages, requests and deliveries.
const (
	HdrMsgID               = "Nats-Msg-Id"
	HdrExpectedStream      = "Nats-Expected-Stream"
	HdrExpectedLastSeq     = "Nats-Expected-Last-Sequence"
	HdrExpectedLastSubjSeq = "Nats-Expected-Last-Subject-Sequence"
	HdrExpectedLastSubjSub = "Nats-Expected-Last-Subject-Sequence-Subject"
	HdrExpectedLastMsgID   = "Nats-Expected-Last-Msg-Id"
	HdrExpectedPrefix      = "Nats-Expected-"
	HdrRollup              = "Nats-Rollup"
	HdrTTL                 = "Nats-TTL"
	HdrMarkerReason        = "Nats-Marker-Reason"
	HdrIncr                = "Nats-Incr"
	HdrCounterSources      = "Nats-Counter-Sources"
	HdrBatchID             = "Nats-Batch-Id"
	HdrBatchSeq            = "Nats-Batch-Sequence"
	HdrBatchCommit         = "Nats-Batch-Commit"
	HdrBatchPrefix         = "Nats-Batch-"
	HdrSchedule            = "Nats-Schedule"
	HdrSchedulePrefix      = "Nats-Schedule"
	HdrScheduleZone        = "Nats-Schedule-Time-Zone"
	HdrScheduleTarget      = "Nats-Schedule-Target"
	HdrScheduleSource      = "Nats-Schedule-Source"
	HdrScheduleTTL         = "Nats-Schedule-TTL"
	HdrScheduleRollup      = "Nats-Schedule-Rollup"
	HdrScheduleNext        = "Nats-Schedule-Next"
	HdrScheduler           = "Nats-Scheduler"
	HdrStreamSource        = "Nats-Stream-Source"
	HdrStreamIdentity      = "Nats-Stream-Identity"
	HdrRequiredAPILevel    = "Nats-Required-Api-Level"
	HdrResponseType        = "Nats-Response-Type"
	HdrRequestInfo         = "Nats-Request-Info"

	HdrStream       = "Nats-Stream"
	HdrSubject      = "Nats-Subject"
	HdrSequence     = "Nats-Sequence"
	HdrTimeStamp    = "Nats-Time-Stamp"
	HdrLastSequence = "Nats-Last-Sequence"
	HdrUpToSequence = "Nats-UpTo-Sequence"
	HdrNumPending   = "Nats-Num-Pending"
	HdrMsgSize      = "Nats-Msg-Size"

	HdrPendingMessages = "Nats-Pending-Messages"
	HdrPendingBytes    = "Nats-Pending-Bytes"
	HdrLastConsumer    = "Nats-Last-Consumer"
	HdrLastStream      = "Nats-Last-Stream"
	HdrConsumerStalled = "Nats-Consumer-Stalled"
	HdrPinID           = "Nats-Pin-Id"

	HdrKVOperation = "KV-Operation"
)

// Values of headers.
const (
	RollupSub        = "sub"
	RollupAll        = "all"
	MarkerMaxAge     = "MaxAge"
	MarkerPurge      = "Purge"
	MarkerRemove     = "Remove"
	ScheduleNextDone = "purge"
	KVPurge          = "PURGE"
	BatchCommit      = "1"
	BatchCommitEOB   = "eob"
)

// Level is the API level of this server.
const Level = 5

// Metadata of streams and consumers that servers manage.
const (
	MetaRequiredLevel = "_nats.req.level"
	MetaServerVersion = "_nats.ver"
	MetaServerLevel   = "_nats.level"
)
