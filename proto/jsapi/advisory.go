package jsapi

import (
	"encoding/json"
	"time"
)

// Event is the head that every advisory and metric shares.
type Event struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Time time.Time `json:"timestamp"`
}

// StreamActionAdvisory tells that a stream was created, deleted or modified.
type StreamActionAdvisory struct {
	Event
	Stream   string `json:"stream"`
	Action   string `json:"action"`
	Template string `json:"template,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

// ConsumerActionAdvisory tells that a consumer was created or deleted.
type ConsumerActionAdvisory struct {
	Event
	Stream   string `json:"stream"`
	Consumer string `json:"consumer"`
	Action   string `json:"action"`
	Domain   string `json:"domain,omitempty"`
}

// ConsumerPauseAdvisory tells that a consumer was paused or resumed.
type ConsumerPauseAdvisory struct {
	Event
	Stream     string     `json:"stream"`
	Consumer   string     `json:"consumer"`
	Paused     bool       `json:"paused"`
	PauseUntil *time.Time `json:"pause_until,omitempty"`
	Domain     string     `json:"domain,omitempty"`
}

// MaxDeliverAdvisory tells that a message was delivered as often as allowed.
type MaxDeliverAdvisory struct {
	Event
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
	Domain     string `json:"domain,omitempty"`
}

// MsgAdvisory tells that a message was negatively acknowledged or terminated.
type MsgAdvisory struct {
	Event
	Stream      string `json:"stream"`
	Consumer    string `json:"consumer"`
	ConsumerSeq uint64 `json:"consumer_seq"`
	StreamSeq   uint64 `json:"stream_seq"`
	Deliveries  uint64 `json:"deliveries"`
	Reason      string `json:"reason,omitempty"`
	Domain      string `json:"domain,omitempty"`
}

// ConsumerAckMetric is the sample of an acknowledgement.
type ConsumerAckMetric struct {
	Event
	Stream      string        `json:"stream"`
	Consumer    string        `json:"consumer"`
	ConsumerSeq uint64        `json:"consumer_seq"`
	StreamSeq   uint64        `json:"stream_seq"`
	Delay       time.Duration `json:"ack_time"`
	Deliveries  uint64        `json:"deliveries"`
	Domain      string        `json:"domain,omitempty"`
}

// ConsumerGroupAdvisory tells that a client was pinned (PinID) or unpinned (Reason).
type ConsumerGroupAdvisory struct {
	Event
	Account  string `json:"account,omitempty"`
	Stream   string `json:"stream"`
	Consumer string `json:"consumer"`
	Domain   string `json:"domain,omitempty"`
	Group    string `json:"group"`
	PinID    string `json:"pinned_id,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// SnapshotCreateAdvisory tells that a backup began. Client is the client information, as JSON.
type SnapshotCreateAdvisory struct {
	Event
	Stream string          `json:"stream"`
	State  StreamState     `json:"state"`
	Client json.RawMessage `json:"client,omitempty"`
	Domain string          `json:"domain,omitempty"`
}

// SnapshotCompleteAdvisory tells that a backup ended.
type SnapshotCompleteAdvisory struct {
	Event
	Stream string          `json:"stream"`
	Start  time.Time       `json:"start"`
	End    time.Time       `json:"end"`
	Client json.RawMessage `json:"client,omitempty"`
	Domain string          `json:"domain,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// RestoreCreateAdvisory tells that a restore began.
type RestoreCreateAdvisory struct {
	Event
	Stream string          `json:"stream"`
	Client json.RawMessage `json:"client,omitempty"`
	Domain string          `json:"domain,omitempty"`
}

// RestoreCompleteAdvisory tells that a restore ended.
type RestoreCompleteAdvisory struct {
	Event
	Stream string          `json:"stream"`
	Start  time.Time       `json:"start"`
	End    time.Time       `json:"end"`
	Bytes  int64           `json:"bytes"`
	Client json.RawMessage `json:"client,omitempty"`
	Domain string          `json:"domain,omitempty"`
}

// LeaderElectedAdvisory tells that a stream, or a consumer, has a leader. Replicas has all peers.
type LeaderElectedAdvisory struct {
	Event
	Account  string      `json:"account,omitempty"`
	Stream   string      `json:"stream"`
	Consumer string      `json:"consumer,omitempty"`
	Leader   string      `json:"leader"`
	Replicas []*PeerInfo `json:"replicas"`
	Domain   string      `json:"domain,omitempty"`
}

// QuorumLostAdvisory tells that a stream, or a consumer, lost its quorum.
type QuorumLostAdvisory struct {
	Event
	Account  string      `json:"account,omitempty"`
	Stream   string      `json:"stream"`
	Consumer string      `json:"consumer,omitempty"`
	Replicas []*PeerInfo `json:"replicas"`
	Domain   string      `json:"domain,omitempty"`
}

// BatchAbandonedAdvisory tells that an atomic batch was given up.
type BatchAbandonedAdvisory struct {
	Event
	Account string `json:"account,omitempty"`
	Stream  string `json:"stream"`
	Domain  string `json:"domain,omitempty"`
	Batch   string `json:"batch"`
	Reason  string `json:"reason"`
}

// StreamDamagedAdvisory tells that messages of a stream were found damaged. nats-server has none; the subject is
// $JS.EVENT.ADVISORY.STREAM.DAMAGED.<stream>.
type StreamDamagedAdvisory struct {
	Event
	Account string `json:"account,omitempty"`
	Stream  string `json:"stream"`
	First   uint64 `json:"first_seq,omitempty"` // 0: not known which
	Last    uint64 `json:"last_seq,omitempty"`
	Reason  string `json:"reason"`
	Domain  string `json:"domain,omitempty"`
}

// DomainLeaderAdvisory tells that the meta group has a leader.
type DomainLeaderAdvisory struct {
	Event
	Leader   string      `json:"leader"`
	Replicas []*PeerInfo `json:"replicas"`
	Cluster  string      `json:"cluster"`
	Domain   string      `json:"domain,omitempty"`
}

// ServerAdvisory tells about a server: out of storage, removed, meta group rescued.
type ServerAdvisory struct {
	Event
	Server     string `json:"server"`
	ServerID   string `json:"server_id"`
	Stream     string `json:"stream,omitempty"`
	PrevQuorum int    `json:"prev_quorum,omitempty"`
	NewQuorum  int    `json:"new_quorum,omitempty"`
	Cluster    string `json:"cluster"`
	Domain     string `json:"domain,omitempty"`
}

// APILimitAdvisory tells that an API queue was dropped.
type APILimitAdvisory struct {
	Event
	Server  string `json:"server"`
	Domain  string `json:"domain,omitempty"`
	Dropped int64  `json:"dropped"`
}

// APIAuditAdvisory tells of an API call.
type APIAuditAdvisory struct {
	Event
	Server   string          `json:"server"`
	Client   json.RawMessage `json:"client"`
	Subject  string          `json:"subject"`
	Request  string          `json:"request,omitempty"`
	Response string          `json:"response"`
	Domain   string          `json:"domain,omitempty"`
}
