package backup

import (
	"encoding/json"
	"errors"
	"fmt"

	"ramjet/proto/jsapi"
	"ramjet/store"
)

// Consumer is a consumer in a backup. Lists of the state are in ascending order of stream sequences.
type Consumer struct {
	Name    string
	Config  jsapi.ConsumerConfig
	Created int64 // unix nanoseconds; 0 if the backup does not say
	State   jsapi.SnapshotConsumerState
}

// Errors of the caller of an Encoder.
var (
	ErrOrder = errors.New("backup: out of order")
	ErrRange = errors.New("backup: sequence is not of the state that the backup was started with")
)

// Encoder makes a backup in the format of nats-server 2.15: Start, AddConsumer as often as announced, AddRecord in
// ascending order, Finish. The output is taken with Read at any time; a caller that reads whenever Len is a chunk or
// more holds two blocks and one record at most. One owner.
type Encoder struct {
	w         frameWriter
	entry     []byte // scratch
	state     jsapi.StreamState
	stamp     int64 // of the entries that are no messages
	last      uint64
	consumers int // still to come
	started   bool
	finished  bool
}

// Start begins with the state of the stream, taken at now (unix nanoseconds). Messages that are stored later do not
// belong to the backup, messages that are removed later may be missing.
func (e *Encoder) Start(state *jsapi.StreamState, consumers int, now int64) error {
	if e.started {
		return fmt.Errorf("%w: started twice", ErrOrder)
	}
	e.started, e.consumers, e.stamp, e.state = true, consumers, now, *state
	s := &e.state
	s.Consumers, s.Subjects, s.Deleted = consumers, nil, nil
	e.w.write([]byte(jsapi.SnapshotMagic))
	return e.doc(jsapi.SnapshotState, s)
}

// AddConsumer adds a consumer. What its state says of messages after the state of the stream is left out.
func (e *Encoder) AddConsumer(c *Consumer) error {
	switch {
	case e.consumers == 0:
		return fmt.Errorf("%w: consumer %q", ErrOrder, c.Name)
	case c.Name == "":
		return errors.New("backup: consumer without name")
	}
	e.consumers--
	cfg, state, last := c.Config, c.State, e.state.LastSeq
	cfg.Name = c.Name
	state.Delivered.Stream = min(state.Delivered.Stream, last)
	state.AckFloor.Stream = min(state.AckFloor.Stream, last)
	for n := len(state.Pending); n > 0 && state.Pending[n-1].Stream > last; n-- {
		state.Pending = state.Pending[:n-1]
	}
	for n := len(state.Redelivered); n > 0 && state.Redelivered[n-1].Stream > last; n-- {
		state.Redelivered = state.Redelivered[:n-1]
	}
	return e.doc(jsapi.SnapshotConsumer+c.Name, &jsapi.SnapshotConsumerEntry{Config: &cfg, State: &state})
}

// AddRecord adds a message; r is not kept. Sequences between two messages are gaps. The lifetime of a message is what
// its header says.
func (e *Encoder) AddRecord(r *store.Rec) error {
	switch {
	case !e.started || e.finished || e.consumers > 0:
		return fmt.Errorf("%w: message %d", ErrOrder, r.Seq)
	case r.Seq <= e.last:
		return fmt.Errorf("%w: message %d after %d", ErrOrder, r.Seq, e.last)
	case r.Seq < e.state.FirstSeq || r.Seq > e.state.LastSeq:
		return fmt.Errorf("%w: %d is not in %d to %d", ErrRange, r.Seq, e.state.FirstSeq, e.state.LastSeq)
	}
	e.last = r.Seq
	e.put(&jsapi.SnapshotEntry{Name: r.Subject, Time: r.Time, Seq: r.Seq, Header: r.Header, Payload: r.Payload})
	return nil
}

// Finish ends the backup; the rest is there to be read.
func (e *Encoder) Finish() error {
	if !e.started || e.finished || e.consumers > 0 {
		return fmt.Errorf("%w: end", ErrOrder)
	}
	e.finished = true
	e.put(&jsapi.SnapshotEntry{})
	e.w.flush()
	return nil
}

// Len returns how many bytes are there to be read.
func (e *Encoder) Len() int { return e.w.len() }

// Read moves output to dst and returns how many bytes it were.
func (e *Encoder) Read(dst []byte) int { return e.w.read(dst) }

// Finished reports that nothing will be added to the output.
func (e *Encoder) Finished() bool { return e.finished }

func (e *Encoder) doc(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("backup: %s: %w", name, err)
	}
	e.put(&jsapi.SnapshotEntry{Name: []byte(name), Time: e.stamp, Payload: b})
	return nil
}

// put writes an entry without copying its payload twice.
func (e *Encoder) put(x *jsapi.SnapshotEntry) {
	e.entry = jsapi.AppendSnapshotHead(e.entry[:0], x)
	e.w.write(e.entry)
	e.w.write(x.Name)
	e.w.write(x.Header)
	e.w.write(x.Payload)
}
