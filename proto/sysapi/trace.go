package sysapi

import "time"

// TraceEvent says what one server did with one message whose way is traced (reference/monitoring.md, section 6).
type TraceEvent struct {
	Server  ServerInfo   `json:"server"`
	Request TraceRequest `json:"request"`
	// Hops counts the servers the message was forwarded to; each of them publishes an event of its own.
	Hops int `json:"hops,omitempty"`
	// Events are the steps in order, the first one is a *TraceIngress.
	Events []any `json:"events"`
}

// TraceRequest is what arrived.
type TraceRequest struct {
	Header  map[string][]string `json:"header,omitempty"` // names as they were written
	MsgSize int                 `json:"msgsize,omitempty"`
}

// The types of steps.
const (
	TraceIngressType       = "in"
	TraceMappingType       = "sm"
	TraceStreamExportType  = "se"
	TraceServiceImportType = "si"
	TraceJetStreamType     = "js"
	TraceEgressType        = "eg"
)

// TraceStep begins every step.
type TraceStep struct {
	Type string    `json:"type"`
	Time time.Time `json:"ts"`
}

// TraceIngress is the arrival of the message.
type TraceIngress struct {
	TraceStep
	Kind    int    `json:"kind"` // of connection (engine.Kind)
	CID     uint64 `json:"cid"`
	Name    string `json:"name,omitempty"`
	Account string `json:"acc"`
	Subject string `json:"subj"`
	Error   string `json:"error,omitempty"` // why it went no further
}

// TraceMapping is a subject mapping of the account.
type TraceMapping struct {
	TraceStep
	MappedTo string `json:"to"`
}

// TraceStreamExport is the way to a subscriber in an account that imports the stream.
type TraceStreamExport struct {
	TraceStep
	Account string `json:"acc"`
	To      string `json:"to"`
}

// TraceServiceImport is the way to the account of a service, or back from it.
type TraceServiceImport struct {
	TraceStep
	Account string `json:"acc"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// TraceJetStream is a stream that the message was for.
type TraceJetStream struct {
	TraceStep
	Stream     string `json:"stream"`
	Subject    string `json:"subject,omitempty"`
	NoInterest bool   `json:"nointerest,omitempty"`
	Error      string `json:"error,omitempty"`
}

// TraceEgress is a connection that the message was for.
type TraceEgress struct {
	TraceStep
	Kind         int    `json:"kind"`
	CID          uint64 `json:"cid"`
	Name         string `json:"name,omitempty"`
	Hop          string `json:"hop,omitempty"` // what the next server is told
	Account      string `json:"acc,omitempty"` // when it is not that of the ingress
	Subscription string `json:"sub,omitempty"`
	Queue        string `json:"queue,omitempty"`
	Error        string `json:"error,omitempty"` // why the message was not delivered
}
