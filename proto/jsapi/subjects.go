package jsapi

import (
	"crypto/sha256"
	"strings"

	"ramjet/proto/subject"
)

// Subjects of JetStream (reference/jetstream/api.md, sections 2 and 8).
const (
	APIPrefix       = "$JS.API."
	DirectPrefix    = "$JS.API.DIRECT.GET."
	NextPrefix      = "$JS.API.CONSUMER.MSG.NEXT."
	FlowPrefix      = "$JS.FC."
	AdvisoryPrefix  = "$JS.EVENT.ADVISORY."
	MetricPrefix    = "$JS.EVENT.METRIC."
	SnapAckPrefix   = "$JS.SNAPSHOT.ACK."
	RestorePrefix   = "$JS.SNAPSHOT.RESTORE."
	MirrorPrefix    = "$JS.M."
	SourcePrefix    = "$JS.S."
	ResponsePrefix  = "io.nats.jetstream.api.v1."
	AdvisoryType    = "io.nats.jetstream.advisory.v1."
	MetricType      = "io.nats.jetstream.metric.v1."
	DirectQueue     = "_sys_"
	FastReplySuffix = ".$FI"
	// ImportReplyPrefix begins the reply subjects of requests from other accounts.
	ImportReplyPrefix = "_R_."
	MaxNameLen        = 255
)

// Endpoint is an operation of the API.
type Endpoint uint8

// The endpoints. Those from MetaStepdown on belong to the system account.
const (
	UnknownEndpoint Endpoint = iota
	Info
	StreamCreateAPI
	StreamUpdateAPI
	StreamNames
	StreamList
	StreamInfoAPI
	StreamDeleteAPI
	StreamPurge
	StreamSnapshotAPI
	StreamRestoreAPI
	StreamMsgGet
	StreamMsgDelete
	DirectGet
	StreamStepdown
	StreamPeerRemove
	StreamPeerEvacuate
	StreamCancelMove
	ConsumerCreateAPI
	ConsumerDurableCreate
	ConsumerNames
	ConsumerList
	ConsumerInfoAPI
	ConsumerDelete
	ConsumerPause
	ConsumerUnpin
	ConsumerReset
	ConsumerNext
	ConsumerStepdown
	ConsumerPeerRemove
	ConsumerPeerEvacuate
	MetaStepdown
	ServerRemove
	ServerEvacuate
	MetaRescue
	AccountPurge
	AccountStreamMove
	AccountStreamCancelMove
)

// endpointInfo describes an endpoint: its subject after APIPrefix, how many names follow, whether more tokens may
// follow, and the suffix of the type of its response.
type endpointInfo struct {
	subject  string
	names    int  // names that must follow
	optional bool // any further tokens may follow
	response string
}

var endpoints = [...]endpointInfo{
	Info:                    {"INFO", 0, false, "account_info_response"},
	StreamCreateAPI:         {"STREAM.CREATE", 1, false, "stream_create_response"},
	StreamUpdateAPI:         {"STREAM.UPDATE", 1, false, "stream_update_response"},
	StreamNames:             {"STREAM.NAMES", 0, false, "stream_names_response"},
	StreamList:              {"STREAM.LIST", 0, false, "stream_list_response"},
	StreamInfoAPI:           {"STREAM.INFO", 1, false, "stream_info_response"},
	StreamDeleteAPI:         {"STREAM.DELETE", 1, false, "stream_delete_response"},
	StreamPurge:             {"STREAM.PURGE", 1, false, "stream_purge_response"},
	StreamSnapshotAPI:       {"STREAM.SNAPSHOT", 1, false, "stream_snapshot_response"},
	StreamRestoreAPI:        {"STREAM.RESTORE", 1, false, "stream_restore_response"},
	StreamMsgGet:            {"STREAM.MSG.GET", 1, false, "stream_msg_get_response"},
	StreamMsgDelete:         {"STREAM.MSG.DELETE", 1, false, "stream_msg_delete_response"},
	DirectGet:               {"DIRECT.GET", 1, true, ""},
	StreamStepdown:          {"STREAM.LEADER.STEPDOWN", 1, false, "stream_leader_stepdown_response"},
	StreamPeerRemove:        {"STREAM.PEER.REMOVE", 1, false, "stream_remove_peer_response"},
	StreamPeerEvacuate:      {"STREAM.PEER.EVACUATE", 1, false, "stream_evacuate_peer_response"},
	StreamCancelMove:        {"STREAM.CANCEL_MOVE", 1, false, "stream_cancel_move_response"},
	ConsumerCreateAPI:       {"CONSUMER.CREATE", 1, true, "consumer_create_response"},
	ConsumerDurableCreate:   {"CONSUMER.DURABLE.CREATE", 2, true, "consumer_create_response"},
	ConsumerNames:           {"CONSUMER.NAMES", 1, false, "consumer_names_response"},
	ConsumerList:            {"CONSUMER.LIST", 1, false, "consumer_list_response"},
	ConsumerInfoAPI:         {"CONSUMER.INFO", 2, false, "consumer_info_response"},
	ConsumerDelete:          {"CONSUMER.DELETE", 2, false, "consumer_delete_response"},
	ConsumerPause:           {"CONSUMER.PAUSE", 2, false, "consumer_pause_response"},
	ConsumerUnpin:           {"CONSUMER.UNPIN", 2, false, "consumer_unpin_response"},
	ConsumerReset:           {"CONSUMER.RESET", 2, false, "consumer_reset_response"},
	ConsumerNext:            {"CONSUMER.MSG.NEXT", 2, false, ""},
	ConsumerStepdown:        {"CONSUMER.LEADER.STEPDOWN", 2, false, "consumer_leader_stepdown_response"},
	ConsumerPeerRemove:      {"CONSUMER.PEER.REMOVE", 2, false, "consumer_remove_peer_response"},
	ConsumerPeerEvacuate:    {"CONSUMER.PEER.EVACUATE", 2, false, "consumer_evacuate_peer_response"},
	MetaStepdown:            {"META.LEADER.STEPDOWN", 0, false, "meta_leader_stepdown_response"},
	ServerRemove:            {"SERVER.REMOVE", 0, false, "meta_server_remove_response"},
	ServerEvacuate:          {"SERVER.EVACUATE", 0, false, "meta_server_evacuate_response"},
	MetaRescue:              {"META.RESCUE", 0, false, "meta_rescue_response"},
	AccountPurge:            {"ACCOUNT.PURGE", 1, false, "account_purge_response"},
	AccountStreamMove:       {"ACCOUNT.STREAM.MOVE", 2, false, "stream_update_response"},
	AccountStreamCancelMove: {"ACCOUNT.STREAM.CANCEL_MOVE", 2, false, "stream_cancel_move_response"},
}

var endpointByPath = func() map[string]Endpoint {
	m := make(map[string]Endpoint, len(endpoints))
	for e := Info; int(e) < len(endpoints); e++ {
		m[endpoints[e].subject] = e
	}
	return m
}()

// Endpoints calls fn for every endpoint.
func Endpoints(fn func(Endpoint)) {
	for e := Info; int(e) < len(endpoints); e++ {
		fn(e)
	}
}

// ResponseType returns the type of the response of e; "" if it answers with raw messages.
func (e Endpoint) ResponseType() string {
	if e == UnknownEndpoint || int(e) >= len(endpoints) || endpoints[e].response == "" {
		return ""
	}
	return ResponsePrefix + endpoints[e].response
}

// String returns the subject of e without names.
func (e Endpoint) String() string {
	if e == UnknownEndpoint || int(e) >= len(endpoints) {
		return ""
	}
	return APIPrefix + endpoints[e].subject
}

// Pattern returns the subject to subscribe to for e.
func (e Endpoint) Pattern() string {
	s := e.String() + strings.Repeat(".*", endpoints[e].names)
	if e == ConsumerDurableCreate {
		return APIPrefix + "CONSUMER.DURABLE.CREATE.>"
	}
	return s
}

// System reports whether only the system account may use e.
func (e Endpoint) System() bool { return e >= MetaStepdown }

// InfoQueue reports whether requests of e go to the queue of lower priority.
func (e Endpoint) InfoQueue() bool {
	switch e {
	case Info, StreamNames, StreamList, StreamInfoAPI, ConsumerNames, ConsumerList, ConsumerInfoAPI:
		return true
	}
	return false
}

// Audited reports whether a call of e produces an API advisory.
func (e Endpoint) Audited() bool {
	switch e {
	case UnknownEndpoint, StreamMsgGet, DirectGet, ConsumerNext, ConsumerReset:
		return false
	}
	return true
}

// BuildAPI returns the subject of e with names appended.
func BuildAPI(e Endpoint, names ...string) string {
	s := e.String()
	for _, n := range names {
		s += "." + n
	}
	return s
}

// APICall is a parsed API subject. The strings are of the subject.
type APICall struct {
	Endpoint Endpoint
	Account  string // endpoints of ACCOUNT only
	Stream   string
	Consumer string
	Rest     string // filter of a consumer create, subject of a direct get
	Tokens   int
}

// ParseAPI reads a request subject without domain; false if it is no endpoint of the API. Names are not validated.
// A CONSUMER.DURABLE.CREATE with a wrong number of tokens is recognised: its handler has an error for that.
func ParseAPI(subj string, c *APICall) bool {
	*c = APICall{Tokens: subject.Count(subj)}
	if !strings.HasPrefix(subj, APIPrefix) {
		return false
	}
	rest := subj[len(APIPrefix):]
	end := 0
	for n := 0; n < 3 && end <= len(rest); n++ {
		i := strings.IndexByte(rest[end:], '.')
		if i < 0 {
			i = len(rest) - end
		}
		end += i
		if e, ok := endpointByPath[rest[:end]]; ok {
			tail := ""
			if end < len(rest) {
				tail = rest[end+1:]
			}
			if c.names(e, tail, end < len(rest)) {
				c.Endpoint = e
				return true
			}
		}
		end++
	}
	return false
}

func (c *APICall) names(e Endpoint, tail string, more bool) bool {
	info := &endpoints[e]
	var names [2]string
	for i := 0; i < info.names; i++ {
		if !more {
			return e == ConsumerDurableCreate && i > 0
		}
		if names[i], tail, more = subject.Next(tail); names[i] == "" {
			return false
		}
		switch {
		case i == 0 && (e == AccountPurge || e == AccountStreamMove || e == AccountStreamCancelMove):
			c.Account = names[i]
		case c.Stream == "":
			c.Stream = names[i]
		default:
			c.Consumer = names[i]
		}
	}
	if !more {
		return true
	}
	if !info.optional {
		return false
	}
	if e == ConsumerCreateAPI {
		if c.Consumer, tail, more = subject.Next(tail); c.Consumer == "" || more && tail == "" {
			return false
		}
	} else if tail == "" {
		return false
	}
	c.Rest = tail
	return true
}

// ValidName reports whether s can name a stream or consumer: no blank, no dot, no wildcard, no path separator.
func ValidName(s string) bool { return s != "" && !strings.ContainsAny(s, " \t\r\n\f.*>\\/") }

const hashDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Hash returns the 8 character hash of s that stands for names in subjects and identities (api.md, section 9).
func Hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	var out [8]byte
	for i := range out {
		out[i] = hashDigits[sum[i]%62]
	}
	return string(out[:])
}

// HashName turns 8 random bytes into a generated name.
func HashName(random [8]byte) string {
	for i := range random {
		random[i] = hashDigits[random[i]%62]
	}
	return string(random[:])
}
