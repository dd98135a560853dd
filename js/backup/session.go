package backup

import (
	"errors"
	"strconv"
	"time"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// What is waited for, in nanoseconds.
const (
	interestWait = int64(2 * time.Second) // interest in the deliver subject
	ackWait      = int64(5 * time.Second) // an ack, when the window is full
	chunkWait    = int64(5 * time.Second) // the next chunk of a restore
)

// Errors of a transfer; the texts are those of the advisory.
var (
	ErrNoInterest     = errors.New("no interest")
	ErrNoFlowResponse = errors.New("no flow response")
)

// Msg is a message to send.
type Msg struct {
	Subject string
	Reply   string
	Header  []byte // nil if none
	Payload []byte // valid until the next call on the session
}

// SnapshotSession sends a backup in chunks. doc.go says how it is driven. One owner.
type SnapshotSession struct {
	enc     *Encoder
	deliver string
	acks    string // subject of acks without length and number
	chunk   []byte
	window  int // chunks that may be without ack
	slots   int // of the window that are free
	sent    uint64
	begun   bool // interest was there, or not waited for any longer
	seen    bool // interest was there
	done    bool
	failed  error
	since   int64 // of what is waited for: interest or an ack
}

// NewSnapshotSession returns the session that answers r for a stream. The request was validated and its sizes are set;
// jsck and no_consumers are the caller's. id makes the subject of acks unique: one token. The caller fills enc.
func NewSnapshotSession(r *jsapi.SnapshotRequest, stream, id string, enc *Encoder, now int64) *SnapshotSession {
	chunk := max(r.ChunkSize, 1)
	window := max(r.WindowSize/chunk, 1)
	return &SnapshotSession{enc: enc, deliver: r.DeliverSubject, acks: jsapi.SnapAckPrefix + stream + "." + id,
		chunk: make([]byte, chunk), window: window, slots: window, since: now}
}

// AckSubject is what to subscribe to: each message that arrives there is an Ack.
func (s *SnapshotSession) AckSubject() string { return s.acks + ".>" }

// Interest tells whether the deliver subject has interest: at the start and whenever that changes.
func (s *SnapshotSession) Interest(yes bool, now int64) {
	switch {
	case yes:
		if !s.begun {
			s.since = now
		}
		s.seen, s.begun = true, true
	case s.seen:
		s.fail(ErrNoInterest)
	}
}

// Ack tells that a chunk arrived.
func (s *SnapshotSession) Ack(now int64) {
	s.slots = min(s.slots+1, s.window)
	s.since = now
}

// Fail tells that the stream cannot be read; the client is told.
func (s *SnapshotSession) Fail(err error) { s.fail(err) }

func (s *SnapshotSession) fail(err error) {
	if s.failed == nil && !s.done {
		s.failed = err
	}
}

// Deadline returns when Tick has to be called, in unix nanoseconds; 0 = never.
func (s *SnapshotSession) Deadline() int64 {
	switch {
	case s.done || s.failed != nil:
		return 0
	case !s.begun:
		return s.since + interestWait
	case s.slots == 0:
		return s.since + ackWait
	}
	return 0
}

// Tick judges the time: a backup starts without interest, or fails because nothing is acknowledged.
func (s *SnapshotSession) Tick(now int64) {
	switch {
	case s.done || s.failed != nil:
	case !s.begun && now-s.since >= interestWait:
		s.begun, s.since = true, now
	case s.begun && s.slots == 0 && now-s.since >= ackWait:
		s.fail(ErrNoFlowResponse)
	}
}

// Wants reports that the encoder should be fed (or finished) before Next has more to send.
func (s *SnapshotSession) Wants() bool {
	return !s.done && s.failed == nil && s.begun && s.slots > 0 && !s.enc.Finished() && s.enc.Len() < len(s.chunk)
}

// Next returns the next message to send; false if there is none now. Done tells whether it was the last.
func (s *SnapshotSession) Next(now int64) (Msg, bool) {
	if s.done {
		return Msg{}, false
	}
	m := Msg{Subject: s.deliver}
	switch {
	case s.failed != nil:
		s.done = true
		m.Header = failure(s.failed)
		return m, true
	case !s.begun || s.slots == 0:
		return Msg{}, false
	case s.enc.Len() >= len(s.chunk):
		m.Payload = s.chunk[:s.enc.Read(s.chunk)]
		s.sent++
		s.slots--
		s.since = now
		m.Reply = s.acks + "." + strconv.Itoa(len(m.Payload)) + "." + strconv.FormatUint(s.sent, 10)
		return m, true
	case !s.enc.Finished():
		return Msg{}, false
	case s.enc.Len() > 0: // the last, which is not acknowledged
		m.Payload = s.chunk[:s.enc.Read(s.chunk)]
		return m, true
	}
	s.done = true
	if s.sent > 0 {
		m.Header = header.AppendStatus(nil, 204, "")
	}
	return m, true
}

// failure returns the header of the message that ends a failed transfer.
func failure(err error) []byte {
	switch err {
	case ErrNoInterest:
		return header.AppendStatus(nil, 408, "No Interest")
	case ErrNoFlowResponse:
		return header.AppendStatus(nil, 408, "No Flow Response")
	}
	return header.AppendStatus(nil, 500, oneLine(err.Error()))
}

// oneLine replaces what would break a header.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Done reports that everything was sent.
func (s *SnapshotSession) Done() bool { return s.done }

// Err returns why the transfer failed; nil if it did not. Its text is the error of the advisory.
func (s *SnapshotSession) Err() error { return s.failed }

// RestorePhase says what a RestoreSession waits for.
type RestorePhase uint8

// The phases.
const (
	Receiving RestorePhase = iota // the next chunk
	Received                      // Finish: everything was read and handed on
	Over                          // nothing; Err tells how it ended
)

// Errors of a restore.
var (
	ErrNoReply = errors.New("restore requires a reply subject for each chunk")
	ErrStalled = errors.New("restore is stalled")
)

// RestoreSession takes a backup in chunks. doc.go says how it is driven. One owner.
type RestoreSession struct {
	dec     *Decoder
	subject string
	reply   string // of the chunk that ended the transfer
	phase   RestorePhase
	err     error
	bytes   int64
	since   int64
}

// NewRestoreSession returns the session that takes a backup into a stream with dec. id makes its subject unique: one
// token.
func NewRestoreSession(stream, id string, dec *Decoder, now int64) *RestoreSession {
	return &RestoreSession{dec: dec, subject: jsapi.RestorePrefix + stream + "." + id, since: now}
}

// Subject is what to subscribe to and what the client is told.
func (s *RestoreSession) Subject() string { return s.subject }

// Bytes is how many bytes arrived.
func (s *RestoreSession) Bytes() int64 { return s.bytes }

// Chunk takes a message on Subject and calls the decoder's handler with what is in it, which may take its time: the
// client waits. It returns the acknowledgement to send, if there is one. An empty payload ends the transfer: if the
// phase is Received afterwards, the stream is to be activated and Finish to be called.
func (s *RestoreSession) Chunk(reply string, payload []byte, now int64) (ack Msg, ok bool) {
	switch {
	case s.phase != Receiving:
		return Msg{}, false
	case reply == "":
		s.over(ErrNoReply)
		return Msg{}, false
	}
	s.since = now
	s.bytes += int64(len(payload))
	err := error(nil)
	if len(payload) > 0 {
		if err = s.dec.Feed(payload); err == nil {
			return Msg{Subject: reply}, true
		}
	} else if err = s.dec.Close(); err == nil {
		s.phase = Received
	}
	s.reply = reply
	if err != nil {
		s.over(err)
	}
	return Msg{}, false
}

// Touch tells that the acknowledgement of a chunk was sent: the client has its time from then on.
func (s *RestoreSession) Touch(now int64) { s.since = now }

// Finish tells whether the stream could be activated after everything was received.
func (s *RestoreSession) Finish(err error) {
	if s.phase == Received {
		s.over(err)
	}
}

// Deadline returns when Tick has to be called, in unix nanoseconds; 0 = never.
func (s *RestoreSession) Deadline() int64 {
	if s.phase != Receiving {
		return 0
	}
	return s.since + chunkWait
}

// Tick ends a transfer whose client is silent.
func (s *RestoreSession) Tick(now int64) {
	if s.phase == Receiving && now-s.since >= chunkWait {
		s.over(ErrStalled)
	}
}

// Phase says what is waited for.
func (s *RestoreSession) Phase() RestorePhase { return s.phase }

// Reply is where the answer of the API has to go when the restore is over; "" if there is nobody to answer.
func (s *RestoreSession) Reply() string { return s.reply }

// Err returns why the restore failed: what was created is to be removed. nil if it did not, or is not over.
func (s *RestoreSession) Err() error { return s.err }

// APIError returns Err as the API shows it: an *jsapi.Error of the handler or of Finish keeps its code.
func (s *RestoreSession) APIError() *jsapi.Error {
	if s.err == nil {
		return nil
	}
	return jsapi.StreamRestore.Wrap(s.err)
}

func (s *RestoreSession) over(err error) { s.phase, s.err = Over, err }
