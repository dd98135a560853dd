package advisory

import (
	"encoding/json"
	"time"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

// Builder makes advisories (reference/jetstream/consumer.md, section 8).
type Builder struct {
	Domain string
	ids    *rng.NUID
}

// NewBuilder returns a builder; src is its source of ids.
func NewBuilder(domain string, src *rng.Source) *Builder {
	return &Builder{Domain: domain, ids: rng.NewNUID(src)}
}

// Message is an advisory to publish.
type Message struct {
	Subject string
	Body    []byte
}

func (b *Builder) head(kind string, now time.Time) jsapi.Event {
	return jsapi.Event{Type: jsapi.AdvisoryType + kind, ID: b.ids.Next(), Time: now.UTC()}
}

func message(subject string, v any) Message {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return Message{subject, body}
}

// Subject returns the subject of an advisory, for the question whether somebody listens.
func Subject(kind, stream, consumer string) string {
	s := jsapi.AdvisoryPrefix + kind
	if stream != "" {
		s += "." + stream
	}
	if consumer != "" {
		s += "." + consumer
	}
	return s
}

// Kinds of advisories: the subject after the prefix, without names.
const (
	StreamCreated     = "STREAM.CREATED"
	StreamDeleted     = "STREAM.DELETED"
	StreamUpdated     = "STREAM.UPDATED"
	ConsumerCreated   = "CONSUMER.CREATED"
	ConsumerDeleted   = "CONSUMER.DELETED"
	ConsumerPaused    = "CONSUMER.PAUSE"
	MaxDeliveries     = "CONSUMER.MAX_DELIVERIES"
	MsgNaked          = "CONSUMER.MSG_NAKED"
	MsgTerminated     = "CONSUMER.MSG_TERMINATED"
	Pinned            = "CONSUMER.PINNED"
	Unpinned          = "CONSUMER.UNPINNED"
	SnapshotCreate    = "STREAM.SNAPSHOT_CREATE"
	SnapshotComplete  = "STREAM.SNAPSHOT_COMPLETE"
	RestoreCreate     = "STREAM.RESTORE_CREATE"
	RestoreComplete   = "STREAM.RESTORE_COMPLETE"
	StreamLeader      = "STREAM.LEADER_ELECTED"
	StreamQuorumLost  = "STREAM.QUORUM_LOST"
	BatchAbandoned    = "STREAM.BATCH_ABANDONED"
	StreamDamaged     = "STREAM.DAMAGED" // of this server alone
	ConsumerLeader    = "CONSUMER.LEADER_ELECTED"
	ConsumerQuorumOut = "CONSUMER.QUORUM_LOST"
	DomainLeader      = "DOMAIN.LEADER_ELECTED"
	OutOfStorage      = "SERVER.OUT_OF_STORAGE"
	ServerRemoved     = "SERVER.REMOVED"
	MetaRescued       = "SERVER.META_RESCUE"
	APILimitReached   = "API.LIMIT_REACHED"
	APIAudit          = "API"
)

// Stream tells of a change of a stream: kind is StreamCreated, StreamDeleted or StreamUpdated.
func (b *Builder) Stream(kind, stream string, now time.Time) Message {
	action := map[string]string{StreamCreated: "create", StreamDeleted: "delete", StreamUpdated: "modify"}[kind]
	return message(Subject(kind, stream, ""), &jsapi.StreamActionAdvisory{
		Event: b.head("stream_action", now), Stream: stream, Action: action, Domain: b.Domain})
}

// Consumer tells of a change of a consumer: kind is ConsumerCreated or ConsumerDeleted.
func (b *Builder) Consumer(kind, stream, consumer string, now time.Time) Message {
	action := map[string]string{ConsumerCreated: "create", ConsumerDeleted: "delete"}[kind]
	return message(Subject(kind, stream, consumer), &jsapi.ConsumerActionAdvisory{
		Event: b.head("consumer_action", now), Stream: stream, Consumer: consumer, Action: action, Domain: b.Domain})
}

// Pause tells that a consumer pauses until a time, or resumed if that is zero or over.
func (b *Builder) Pause(stream, consumer string, until, now time.Time) Message {
	u := until.UTC()
	a := &jsapi.ConsumerPauseAdvisory{Event: b.head("consumer_pause", now), Stream: stream, Consumer: consumer,
		Paused: now.Before(u), PauseUntil: &u, Domain: b.Domain}
	return message(Subject(ConsumerPaused, stream, consumer), a)
}

// MaxDeliver tells that a message was delivered as often as allowed.
func (b *Builder) MaxDeliver(stream, consumer string, seq, deliveries uint64, now time.Time) Message {
	return message(Subject(MaxDeliveries, stream, consumer), &jsapi.MaxDeliverAdvisory{
		Event: b.head("max_deliver", now), Stream: stream, Consumer: consumer, StreamSeq: seq, Deliveries: deliveries, Domain: b.Domain})
}

// Msg tells that a message was refused or terminated: kind is MsgNaked or MsgTerminated.
func (b *Builder) Msg(kind, stream, consumer string, cseq, sseq, deliveries uint64, reason string, now time.Time) Message {
	typ := map[string]string{MsgNaked: "nak", MsgTerminated: "terminated"}[kind]
	return message(Subject(kind, stream, consumer), &jsapi.MsgAdvisory{Event: b.head(typ, now), Stream: stream, Consumer: consumer,
		ConsumerSeq: cseq, StreamSeq: sseq, Deliveries: deliveries, Reason: reason, Domain: b.Domain})
}

// Ack is the sample of an acknowledgement, a metric.
func (b *Builder) Ack(stream, consumer string, cseq, sseq, deliveries uint64, delay time.Duration, now time.Time) Message {
	e := b.head("", now)
	e.Type = jsapi.MetricType + "consumer_ack"
	return message(AckSubject(stream, consumer), &jsapi.ConsumerAckMetric{Event: e, Stream: stream, Consumer: consumer,
		ConsumerSeq: cseq, StreamSeq: sseq, Deliveries: deliveries, Delay: delay, Domain: b.Domain})
}

// AckSubject is the subject of Ack.
func AckSubject(stream, consumer string) string {
	return jsapi.MetricPrefix + "CONSUMER.ACK." + stream + "." + consumer
}

// Pin tells that a client was pinned (pin) or, if pin is empty, unpinned for a reason.
func (b *Builder) Pin(account, stream, consumer, group, pin, reason string, now time.Time) Message {
	kind, typ := Pinned, "consumer_group_pinned"
	if pin == "" {
		kind, typ = Unpinned, "consumer_group_unpinned"
	}
	return message(Subject(kind, stream, consumer), &jsapi.ConsumerGroupAdvisory{Event: b.head(typ, now), Account: account,
		Stream: stream, Consumer: consumer, Group: group, PinID: pin, Reason: reason, Domain: b.Domain})
}

// Snapshot tells that a backup began; client is the client information as JSON.
func (b *Builder) Snapshot(stream string, state *jsapi.StreamState, client []byte, now time.Time) Message {
	return message(Subject(SnapshotCreate, stream, ""), &jsapi.SnapshotCreateAdvisory{Event: b.head("snapshot_create", now),
		Stream: stream, State: *state, Client: client, Domain: b.Domain})
}

// SnapshotDone tells that a backup ended; problem is empty if it went well.
func (b *Builder) SnapshotDone(stream, problem string, start, now time.Time, client []byte) Message {
	return message(Subject(SnapshotComplete, stream, ""), &jsapi.SnapshotCompleteAdvisory{Event: b.head("snapshot_complete", now),
		Stream: stream, Start: start.UTC(), End: now.UTC(), Client: client, Error: problem, Domain: b.Domain})
}

// Restore tells that a restore began.
func (b *Builder) Restore(stream string, client []byte, now time.Time) Message {
	return message(Subject(RestoreCreate, stream, ""), &jsapi.RestoreCreateAdvisory{Event: b.head("restore_create", now),
		Stream: stream, Client: client, Domain: b.Domain})
}

// RestoreDone tells that a restore of so many bytes ended.
func (b *Builder) RestoreDone(stream string, bytes int64, start, now time.Time, client []byte) Message {
	return message(Subject(RestoreComplete, stream, ""), &jsapi.RestoreCompleteAdvisory{Event: b.head("restore_complete", now),
		Stream: stream, Start: start.UTC(), End: now.UTC(), Bytes: bytes, Client: client, Domain: b.Domain})
}

// Abandoned tells that an atomic batch was given up. It goes to the account with account empty, and to the system
// account with it.
func (b *Builder) Abandoned(account, stream, batch, reason string, now time.Time) Message {
	return message(Subject(BatchAbandoned, stream, ""), &jsapi.BatchAbandonedAdvisory{Event: b.head("stream_batch_abandoned", now),
		Account: account, Stream: stream, Domain: b.Domain, Batch: batch, Reason: reason})
}

// Damaged tells that messages from first to last do not verify; 0 and 0 if it is not known which.
func (b *Builder) Damaged(account, stream string, first, last uint64, reason string, now time.Time) Message {
	return message(Subject(StreamDamaged, stream, ""), &jsapi.StreamDamagedAdvisory{Event: b.head("stream_damaged", now),
		Account: account, Stream: stream, First: first, Last: last, Reason: reason, Domain: b.Domain})
}

// Leader tells that a stream, or a consumer if it is not empty, has a leader; replicas are all peers.
func (b *Builder) Leader(account, stream, consumer, leader string, replicas []*jsapi.PeerInfo, now time.Time) Message {
	kind, typ := StreamLeader, "stream_leader_elected"
	if consumer != "" {
		kind, typ = ConsumerLeader, "consumer_leader_elected"
	}
	return message(Subject(kind, stream, consumer), &jsapi.LeaderElectedAdvisory{Event: b.head(typ, now), Account: account,
		Stream: stream, Consumer: consumer, Leader: leader, Replicas: replicas, Domain: b.Domain})
}

// QuorumLost tells that a stream, or a consumer if it is not empty, lost its quorum.
func (b *Builder) QuorumLost(account, stream, consumer string, replicas []*jsapi.PeerInfo, now time.Time) Message {
	kind, typ := StreamQuorumLost, "stream_quorum_lost"
	if consumer != "" {
		kind, typ = ConsumerQuorumOut, "consumer_quorum_lost"
	}
	return message(Subject(kind, stream, consumer), &jsapi.QuorumLostAdvisory{Event: b.head(typ, now), Account: account,
		Stream: stream, Consumer: consumer, Replicas: replicas, Domain: b.Domain})
}

// Server tells about a server: kind is OutOfStorage, ServerRemoved or MetaRescued; a carries what belongs to it.
func (b *Builder) Server(kind string, a jsapi.ServerAdvisory, now time.Time) Message {
	typ := map[string]string{OutOfStorage: "server_out_of_space", ServerRemoved: "server_removed", MetaRescued: "meta_rescue"}[kind]
	a.Event, a.Domain = b.head(typ, now), b.Domain
	return message(Subject(kind, "", ""), &a)
}

// APILimit tells that an API queue with so many requests was dropped.
func (b *Builder) APILimit(server string, dropped int64, now time.Time) Message {
	return message(Subject(APILimitReached, "", ""), &jsapi.APILimitAdvisory{Event: b.head("api_limit_reached", now),
		Server: server, Domain: b.Domain, Dropped: dropped})
}

// Audit tells of an API call; client is the client information as JSON, nil for none.
func (b *Builder) Audit(server string, client []byte, subject, request, response string, now time.Time) Message {
	if client == nil {
		client = []byte("null")
	}
	return message(Subject(APIAudit, "", ""), &jsapi.APIAuditAdvisory{Event: b.head("api_audit", now), Server: server,
		Client: client, Subject: subject, Request: request, Response: response, Domain: b.Domain})
}
