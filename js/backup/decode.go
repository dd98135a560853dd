package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// Errors of a backup that is read; what is wrong is in the text.
var (
	ErrDamaged     = jsapi.ErrSnapshotDamaged
	ErrTooLarge    = jsapi.ErrSnapshotTooLarge
	ErrUnsupported = errors.New("backup has unexpected content")
	errTruncated   = jsapi.ErrSnapshotTruncated
)

// Handler takes what a Decoder reads, in this order: Stream, then consumers and records, then End. An error stops the
// decoder. Arguments are valid during the call.
//
// In the format of 2.15 consumers come before records. In the older one records come first, and messages that had been
// deleted are among them: Deleted tells which before End.
type Handler interface {
	Stream(s *Stream) error

	// Consumer has a state that is in itself consistent; it may be ahead of the stream if messages were lost.
	Consumer(c *Consumer) error

	// Record takes messages in ascending order of sequences; what lies between two is deleted. TTL is what the header
	// says, also if the stream does not allow it.
	Record(r *store.Rec) error

	// Deleted takes ranges of sequences (both ends included) in ascending order; records of them are to be removed.
	Deleted(from, to uint64) error

	// End tells first and last sequence of the stream: records below first are to be removed, missing sequences up to
	// last are used up. Without messages first is last+1, or a message that Deleted told of; both are 0 if there never
	// was one.
	End(first, last uint64) error
}

// Stream is what a backup says of its stream.
type Stream struct {
	State   *jsapi.StreamState  // nil in the older format
	Config  *jsapi.StreamConfig // nil in the format of 2.15
	Created int64               // unix nanoseconds; 0 in the format of 2.15
}

// Options of a Decoder. Zero values are the defaults.
type Options struct {
	Name       string // the older format has to be of this stream, as nats-server demands; "" = of any
	FirstSeq   uint64 // records below are left out; only for the older format, which tells it at the end
	MaxPayload int    // header and payload of a message; 0 = 64 MiB
	MaxMsgSize int    // the same, of the stream; 0 or less = unlimited
	MaxDoc     int    // of a consumer with its state; 0 = 64 MiB
	Now        int64  // unix nanoseconds; messages whose lifetime is over become gaps; 0 = none is
}

// check reports a message that no stream could have.
func (o *Options) check(r *store.Rec) error {
	size := len(r.Header) + len(r.Payload)
	switch {
	case size > o.MaxPayload:
		return fmt.Errorf("%w: message sequence %d has %d bytes, maximum payload is %d", ErrTooLarge, r.Seq, size, o.MaxPayload)
	case o.MaxMsgSize > 0 && size > o.MaxMsgSize:
		return fmt.Errorf("%w: message sequence %d has %d bytes, maximum message size is %d", ErrTooLarge, r.Seq, size, o.MaxMsgSize)
	case !subject.ValidLiteral(string(r.Subject)):
		return fmt.Errorf("%w: message sequence %d has the subject %.100q", ErrDamaged, r.Seq, r.Subject)
	case len(r.Header) > 0 && !bytes.HasPrefix(r.Header, []byte(header.Version)):
		return fmt.Errorf("%w: message sequence %d has a header that is none", ErrDamaged, r.Seq)
	}
	return nil
}

// lifetime sets the TTL of r and reports whether it is over.
func (o *Options) lifetime(r *store.Rec) (over bool, err error) {
	r.TTL = 0
	if len(r.Header) == 0 {
		return false, nil
	}
	ttl, ok := jsapi.ParseTTL(header.Get(r.Header, jsapi.HdrTTL))
	if !ok {
		return false, fmt.Errorf("%w: message sequence %d has a lifetime that is none", ErrDamaged, r.Seq)
	}
	r.TTL = ttl
	return ttl > 0 && o.Now > 0 && r.Time < o.Now && (o.Now-r.Time)/int64(time.Second) >= ttl, nil
}

// content reads one of the formats.
type content interface {
	feed(b []byte) error
	close() error
}

// Decoder reads backups of nats-server: the archive of 2.15 and the tar of 2.10 to 2.14. It is fed pieces of any size
// and holds a block, a record and a document at most. One owner.
type Decoder struct {
	opt    Options
	h      Handler
	frames frameReader
	head   []byte // of the content, until the format is known
	body   content
	err    error
	closed bool
}

// NewDecoder returns a decoder that hands on to h.
func NewDecoder(h Handler, o Options) *Decoder {
	if o.MaxPayload <= 0 {
		o.MaxPayload = jsapi.DefaultSnapshotMsg
	}
	if o.MaxDoc <= 0 {
		o.MaxDoc = jsapi.DefaultSnapshotDoc
	}
	return &Decoder{opt: o, h: h}
}

// Feed takes the next piece. After an error, of the backup or of the handler, it returns the same again.
func (d *Decoder) Feed(piece []byte) error {
	if d.closed {
		return fmt.Errorf("%w: fed after the end", ErrOrder)
	}
	if d.err == nil {
		d.err = d.frames.feed(piece, d.take)
	}
	return d.err
}

func (d *Decoder) take(b []byte) error {
	if d.body != nil {
		return d.body.feed(b)
	}
	d.head = append(d.head, b...)
	if len(d.head) < len(jsapi.SnapshotMagic) {
		return nil
	}
	if string(d.head[:len(jsapi.SnapshotMagic)]) == jsapi.SnapshotMagic {
		d.body = newArchive(d.h, &d.opt)
	} else {
		d.body = newOldBackup(d.h, &d.opt)
	}
	b, d.head = d.head, nil
	return d.body.feed(b)
}

// Close ends the input. It returns the error of Feed, or says that the backup is incomplete; otherwise the handler got
// everything.
func (d *Decoder) Close() error {
	if d.err != nil || d.closed {
		return d.err
	}
	d.closed = true
	if d.err = d.frames.close(); d.err == nil {
		if d.err = errTruncated; d.body != nil {
			d.err = d.body.close()
		}
	}
	return d.err
}

// archive reads the format of 2.15.
type archive struct {
	h         Handler
	opt       *Options
	dec       jsapi.SnapshotDecoder
	state     jsapi.StreamState
	started   bool
	consumers int // still to come
	last      uint64
	rec       store.Rec
}

func newArchive(h Handler, o *Options) *archive {
	return &archive{h: h, opt: o, dec: jsapi.SnapshotDecoder{MaxDoc: min(o.MaxDoc, maxConfig), MaxMsg: o.MaxPayload}}
}

func (a *archive) feed(b []byte) error { return a.dec.Feed(b, a.entry) }

func (a *archive) close() error {
	if err := a.dec.Close(); err != nil {
		return err
	}
	switch {
	case !a.started:
		return fmt.Errorf("%w: no %s", ErrDamaged, jsapi.SnapshotState)
	case a.consumers > 0:
		return fmt.Errorf("%w: %d consumers are missing", ErrDamaged, a.consumers)
	}
	return a.h.End(a.state.FirstSeq, a.state.LastSeq)
}

func (a *archive) entry(e *jsapi.SnapshotEntry) error {
	switch {
	case !a.started:
		return a.start(e)
	case a.consumers > 0:
		a.consumers--
		return a.consumer(e)
	case e.Seq == 0:
		return fmt.Errorf("%w: message expected, got %.100q", ErrDamaged, e.Name)
	}
	return a.message(e)
}

func (a *archive) start(e *jsapi.SnapshotEntry) error {
	if string(e.Name) != jsapi.SnapshotState {
		return fmt.Errorf("%w: expected %s first, got %.100q", ErrDamaged, jsapi.SnapshotState, e.Name)
	}
	s := &a.state
	if err := json.Unmarshal(e.Payload, s); err != nil {
		return fmt.Errorf("%w: error in %s: %v", ErrDamaged, e.Name, err)
	}
	empty := s.FirstSeq == 0 && s.LastSeq == 0 || s.FirstSeq > 0 && s.FirstSeq-1 == s.LastSeq
	switch {
	case s.Consumers < 0:
		return fmt.Errorf("%w: %d consumers", ErrDamaged, s.Consumers)
	case s.LastSeq == math.MaxUint64,
		empty && s.Msgs > 0,
		!empty && (s.FirstSeq == 0 || s.FirstSeq > s.LastSeq || s.Msgs > s.LastSeq-s.FirstSeq+1):
		return fmt.Errorf("%w: %d messages in sequences %d to %d", ErrDamaged, s.Msgs, s.FirstSeq, s.LastSeq)
	}
	a.started, a.consumers, a.dec.MaxDoc = true, s.Consumers, a.opt.MaxDoc
	return a.h.Stream(&Stream{State: s})
}

func (a *archive) consumer(e *jsapi.SnapshotEntry) error {
	const prefix = jsapi.SnapshotConsumer
	if e.Seq != 0 || len(e.Name) <= len(prefix) || string(e.Name[:len(prefix)]) != prefix {
		return fmt.Errorf("%w: consumer expected, got %.100q", ErrDamaged, e.Name)
	}
	c := Consumer{Name: string(e.Name[len(prefix):])}
	var x struct {
		Config *boundedConfig
		State  *jsapi.SnapshotConsumerState
	}
	if err := json.Unmarshal(e.Payload, &x); err != nil {
		return fmt.Errorf("%w: consumer %q: %v", ErrDamaged, c.Name, err)
	}
	switch {
	case x.Config == nil:
		return fmt.Errorf("%w: consumer %q has no configuration", ErrDamaged, c.Name)
	case x.State == nil:
		return fmt.Errorf("%w: consumer %q has no state", ErrDamaged, c.Name)
	}
	c.Config, c.State = x.Config.ConsumerConfig, *x.State
	return handConsumer(a.h, &c)
}

// boundedConfig is a configuration that is not absurdly large, unlike states, which may be.
type boundedConfig struct{ jsapi.ConsumerConfig }

// UnmarshalJSON reads the configuration.
func (c *boundedConfig) UnmarshalJSON(b []byte) error {
	if len(b) > maxConfig {
		return fmt.Errorf("configuration of %d bytes", len(b))
	}
	return json.Unmarshal(b, &c.ConsumerConfig)
}

// handConsumer checks a consumer and hands it on.
func handConsumer(h Handler, c *Consumer) error {
	for _, name := range []string{c.Config.Name, c.Config.Durable} {
		if name != "" && name != c.Name {
			return fmt.Errorf("%w: consumer %q has the configuration of %q", ErrDamaged, c.Name, name)
		}
	}
	c.Config.Name = c.Name
	if p := c.Config.PauseUntil; p != nil && p.IsZero() { // how nats-server writes that there is none
		c.Config.PauseUntil = nil
	}
	s := &c.State
	if s.AckFloor.Consumer > s.Delivered.Consumer || s.AckFloor.Stream > s.Delivered.Stream {
		return fmt.Errorf("%w: consumer %q acknowledged up to %+v and received up to %+v", ErrDamaged, c.Name, s.AckFloor, s.Delivered)
	}
	if n := len(s.Pending); n > 0 && (s.Pending[0].Stream <= s.AckFloor.Stream || s.Pending[n-1].Stream > s.Delivered.Stream) {
		return fmt.Errorf("%w: consumer %q has a pending message outside of %d to %d", ErrDamaged, c.Name, s.AckFloor.Stream, s.Delivered.Stream)
	}
	return h.Consumer(c)
}

func (a *archive) message(e *jsapi.SnapshotEntry) error {
	switch {
	case e.Seq <= a.last:
		return fmt.Errorf("%w: message sequence %d is out of order after %d", ErrDamaged, e.Seq, a.last)
	case e.Seq < a.state.FirstSeq || e.Seq > a.state.LastSeq:
		return fmt.Errorf("%w: message sequence %d is not in %d to %d", ErrDamaged, e.Seq, a.state.FirstSeq, a.state.LastSeq)
	}
	a.last = e.Seq
	r := &a.rec
	*r = store.Rec{Seq: e.Seq, Time: e.Time, Subject: e.Name, Payload: e.Payload}
	if len(e.Header) > 0 {
		r.Header = e.Header
	}
	if err := a.opt.check(r); err != nil {
		return err
	}
	if over, err := a.opt.lifetime(r); err != nil || over {
		return err
	}
	return a.h.Record(r)
}
