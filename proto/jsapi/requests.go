package jsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Limits of the answers of lists.
const (
	NamesPage    = 1024
	ListPage     = 256
	SubjectsPage = 100000
)

// Page is the paging of a list answer.
type Page struct {
	Total  int `json:"total"`
	Offset int `json:"offset"`
	Limit  int `json:"limit"`
}

// StreamConfigRequest is the body of stream create and update.
type StreamConfigRequest struct {
	StreamConfig
	Pedantic bool `json:"pedantic,omitempty"`
}

// StreamResponse answers stream create, update and info.
type StreamResponse struct {
	*StreamInfo
	DidCreate bool `json:"did_create,omitempty"`
}

// StreamInfoRequest is the optional body of stream info.
type StreamInfoRequest struct {
	Offset         int    `json:"offset"`
	DeletedDetails bool   `json:"deleted_details,omitempty"`
	SubjectsFilter string `json:"subjects_filter,omitempty"`
}

// StreamInfoResponse answers stream info.
type StreamInfoResponse struct {
	Page
	*StreamInfo
}

// StreamsRequest is the optional body of stream names and list.
type StreamsRequest struct {
	Offset  int    `json:"offset"`
	Subject string `json:"subject,omitempty"`
}

// StreamNamesResponse answers stream names.
type StreamNamesResponse struct {
	Page
	Streams []string `json:"streams"` // null if empty
}

// StreamListResponse answers stream list.
type StreamListResponse struct {
	Page
	Streams []*StreamInfo     `json:"streams"` // never null
	Missing []string          `json:"missing,omitempty"`
	Offline map[string]string `json:"offline,omitempty"`
}

// SuccessResponse answers deletions and the like.
type SuccessResponse struct {
	Success bool `json:"success,omitempty"`
}

// PurgeRequest is the optional body of stream purge.
type PurgeRequest struct {
	Seq    uint64 `json:"seq,omitempty"`
	Filter string `json:"filter,omitempty"`
	Keep   uint64 `json:"keep,omitempty"`
}

// PurgeResponse answers stream purge.
type PurgeResponse struct {
	Success bool   `json:"success,omitempty"`
	Purged  uint64 `json:"purged"`
}

// MsgGetRequest is the body of message get and direct get.
type MsgGetRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
	MultiLast []string   `json:"multi_last,omitempty"`
	UpToSeq   uint64     `json:"up_to_seq,omitempty"`
	UpToTime  *time.Time `json:"up_to_time,omitempty"`
	NoHeaders bool       `json:"no_hdr,omitempty"`
}

// StoredMsg is a message in the answer of message get.
type StoredMsg struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Header  []byte    `json:"hdrs,omitempty"`
	Data    []byte    `json:"data,omitempty"`
	Time    time.Time `json:"time"`
}

// MsgGetResponse answers message get.
type MsgGetResponse struct {
	Message *StoredMsg `json:"message,omitempty"`
}

// MsgDeleteRequest is the body of message delete.
type MsgDeleteRequest struct {
	Seq     uint64 `json:"seq"`
	NoErase bool   `json:"no_erase,omitempty"`
}

// StepdownRequest is the optional body of leader step-downs.
type StepdownRequest struct {
	Placement *Placement `json:"placement,omitempty"`
}

// PeerRequest is the body of peer remove and evacuate.
type PeerRequest struct {
	Peer string `json:"peer"`
}

// ServerPeerRequest is the body of server remove and evacuate.
type ServerPeerRequest struct {
	Server string `json:"peer"`
	Peer   string `json:"peer_id,omitempty"`
}

// MetaRescueRequest is the body of meta rescue.
type MetaRescueRequest struct {
	QuorumNeeded int `json:"quorum_needed"`
}

// MetaRescueResponse answers meta rescue.
type MetaRescueResponse struct {
	Server     string `json:"server"`
	ServerID   string `json:"server_id"`
	PrevQuorum int    `json:"prev_quorum,omitempty"`
	NewQuorum  int    `json:"new_quorum,omitempty"`
}

// AccountPurgeResponse answers account purge.
type AccountPurgeResponse struct {
	Initiated bool `json:"initiated,omitempty"`
}

// StreamMoveRequest is the body of a stream move.
type StreamMoveRequest struct {
	Server  string   `json:"server,omitempty"`
	Cluster string   `json:"cluster,omitempty"`
	Domain  string   `json:"domain,omitempty"`
	Tags    []string `json:"tags,omitempty"`
}

// ConsumerAction says what a consumer create request may do.
type ConsumerAction uint8

// The actions.
const (
	ActionCreateOrUpdate ConsumerAction = iota
	ActionCreate
	ActionUpdate
)

// MarshalJSON writes the text of the action.
func (a ConsumerAction) MarshalJSON() ([]byte, error) {
	return json.Marshal([...]string{"", "create", "update"}[min(a, ActionUpdate)])
}

// UnmarshalJSON reads the text of the action.
func (a *ConsumerAction) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `""`:
		*a = ActionCreateOrUpdate
	case `"create"`:
		*a = ActionCreate
	case `"update"`:
		*a = ActionUpdate
	default:
		return errors.New("unknown consumer action: " + string(b))
	}
	return nil
}

// CreateConsumerRequest is the body of consumer create.
type CreateConsumerRequest struct {
	Stream   string         `json:"stream_name"`
	Config   ConsumerConfig `json:"config"`
	Action   ConsumerAction `json:"action"`
	Pedantic bool           `json:"pedantic,omitempty"`
}

// ConsumerResponse answers consumer create and info.
type ConsumerResponse struct{ *ConsumerInfo }

// ConsumersRequest is the optional body of consumer names and list.
type ConsumersRequest struct {
	Offset int `json:"offset"`
}

// ConsumerNamesResponse answers consumer names.
type ConsumerNamesResponse struct {
	Page
	Consumers []string `json:"consumers"`
}

// ConsumerListResponse answers consumer list.
type ConsumerListResponse struct {
	Page
	Consumers []*ConsumerInfo   `json:"consumers"`
	Missing   []string          `json:"missing,omitempty"`
	Offline   map[string]string `json:"offline,omitempty"`
}

// PauseRequest is the optional body of consumer pause.
type PauseRequest struct {
	PauseUntil time.Time `json:"pause_until,omitempty"`
}

// PauseResponse answers consumer pause.
type PauseResponse struct {
	Paused         bool          `json:"paused"`
	PauseUntil     time.Time     `json:"pause_until"`
	PauseRemaining time.Duration `json:"pause_remaining,omitempty"`
}

// UnpinRequest is the body of consumer unpin.
type UnpinRequest struct {
	Group string `json:"group"`
}

// ResetRequest is the optional body of consumer reset.
type ResetRequest struct {
	Seq uint64 `json:"seq,omitempty"`
}

// ResetResponse answers consumer reset.
type ResetResponse struct {
	*ConsumerInfo
	ResetSeq uint64 `json:"reset_seq"`
}

// SnapshotRequest is the body of stream snapshot.
type SnapshotRequest struct {
	DeliverSubject string `json:"deliver_subject"`
	NoConsumers    bool   `json:"no_consumers,omitempty"`
	ChunkSize      int    `json:"chunk_size,omitempty"`
	WindowSize     int    `json:"window_size,omitempty"`
	CheckMsgs      bool   `json:"jsck,omitempty"`
}

// SnapshotResponse answers stream snapshot.
type SnapshotResponse struct {
	Config *StreamConfig `json:"config,omitempty"`
	State  *StreamState  `json:"state,omitempty"`
}

// RestoreRequest is the body of stream restore.
type RestoreRequest struct {
	Config StreamConfig `json:"config"`
	State  StreamState  `json:"state"`
}

// RestoreResponse answers stream restore.
type RestoreResponse struct {
	DeliverSubject string `json:"deliver_subject"`
}

// Body is how an endpoint treats the body of its request.
type Body uint8

// The kinds of bodies.
const (
	BodyOptional Body = iota // parsed if it looks like JSON, ignored otherwise
	BodyEmpty                // must be empty or {}
	BodyRequired             // must not be empty or {}
	BodyParsed               // must be JSON
)

// Body returns how e treats its body.
func (e Endpoint) Body() Body {
	switch e {
	case StreamDeleteAPI, ConsumerDelete, ConsumerInfoAPI:
		return BodyEmpty
	case StreamMsgGet, StreamMsgDelete, StreamSnapshotAPI, StreamRestoreAPI, StreamPeerRemove, StreamPeerEvacuate,
		ConsumerPeerRemove, ConsumerPeerEvacuate, ServerRemove, ServerEvacuate, MetaRescue:
		return BodyRequired
	case StreamCreateAPI, StreamUpdateAPI, ConsumerCreateAPI, ConsumerDurableCreate, ConsumerUnpin, AccountStreamMove:
		return BodyParsed
	}
	return BodyOptional
}

// Decode reads the body of a request of e into v according to the rules of reference/jetstream/api.md, section 1; v is
// nil for endpoints without a body. Without strict, unknown fields are accepted; lenient tells that there were any.
func (e Endpoint) Decode(body []byte, v any, strict bool) (lenient bool, apiErr *Error) {
	t := trimSpace(body)
	switch e.Body() {
	case BodyEmpty:
		if !emptyBody(t) {
			return false, NotEmptyRequest.Err()
		}
		return false, nil
	case BodyRequired:
		if emptyBody(t) {
			return false, BadRequest.Err()
		}
	case BodyOptional:
		if v == nil || len(t) == 0 || (t[0] != '{' && t[0] != '[') {
			return false, nil
		}
	}
	return Unmarshal(body, v, strict)
}

// Unmarshal reads JSON documents in sequence into v as the API does.
func Unmarshal(body []byte, v any, strict bool) (lenient bool, apiErr *Error) {
	err := decode(body, v, true)
	if err == nil {
		return false, nil
	}
	if !strict {
		if err = decode(body, v, false); err == nil {
			return true, nil
		}
	}
	return false, InvalidJSON.Wrap(err)
}

func decode(body []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	for {
		err := d.Decode(v)
		var syntax *json.SyntaxError
		switch {
		case err == io.EOF: // nothing at all is the zero value
			return nil
		case errors.As(err, &syntax):
			return fmt.Errorf("%w at offset %d", err, syntax.Offset)
		case err != nil:
			return err
		}
	}
}

// emptyBody reports that b is empty or an empty object.
func emptyBody(b []byte) bool {
	return len(b) == 0 || b[0] == '{' && b[len(b)-1] == '}' && len(b) > 1 && len(trimSpace(b[1:len(b)-1])) == 0
}

// AppendResponse appends the answer of an endpoint: type first, then err if it is not nil, then the fields of v, which
// is a struct (or nil).
func AppendResponse(dst []byte, typ string, err *Error, v any) []byte {
	dst = append(dst, `{"type":`...)
	dst = AppendString(dst, typ)
	if err != nil {
		dst = append(dst, `,"error":`...)
		dst = AppendError(dst, err)
	}
	if v != nil {
		b, e := json.Marshal(v)
		if e != nil {
			panic(e) // plain data
		}
		if len(b) > 2 && b[0] == '{' {
			dst = append(dst, ',')
			return append(dst, b[1:]...)
		}
	}
	return append(dst, '}')
}

// LevelSupported reads the API level a request asks for; false if this server does not have it.
func LevelSupported(value []byte) bool {
	n, ok := parseInt([]byte(strings.TrimPrefix(string(value), "+")))
	return ok && n <= Level
}
