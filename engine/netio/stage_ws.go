package netio

import (
	"sync"
	"sync/atomic"

	"ramjet/proto/ws"
)

// WebsocketSpec says what the upgrade agreed on.
type WebsocketSpec struct {
	Client   bool // we dialed: frames we send are masked unless NoMask
	NoMask   bool // agreed: the dialing side does not mask
	Compress bool // permessage-deflate
	// FrameLimit is the largest payload of an outgoing frame in bytes, 0 = none (browsers: 4096).
	FrameLimit int
	// WholeCompressed keeps compressed messages in one frame whatever FrameLimit says (Safari).
	WholeCompressed bool
	// MaxPayload returns the max_payload of the connection in bytes; asked for each compressed
	// message, on the loop. nil = 1 MiB.
	MaxPayload func() int64
	// MaskKey returns a fresh unpredictable key for each masked frame. Any goroutine, one at a time.
	// Needed when Client && !NoMask.
	MaskKey func() [4]byte
}

const (
	compressAbove = 64      // bytes of a flush from which compression is used
	maxControls   = 4 << 10 // bytes of queued pongs; beyond, older ones are dropped (RFC 6455, 5.5.3)
	keepMessage   = 64 << 10
)

// Compressors and decompressors are large and needed for one message at a time.
var (
	inflaters = sync.Pool{New: func() any { return new(ws.Inflater) }}
	deflaters = sync.Pool{New: func() any { return new(sealer) }}
)

// sealer is a compressor with room for its output.
type sealer struct {
	z   ws.Deflater
	buf []byte
}

// wsStage frames the bytes of a connection.
//
// Open runs on the loop, Seal and Finish with the outbox's writing flag; mu guards what both touch.
type wsStage struct {
	c    *Conn
	spec WebsocketSpec
	dec  ws.Decoder
	msg  []byte // compressed message whose end is not there yet

	waiting atomic.Bool // ctl is not empty
	mu      sync.Mutex
	ctl     []byte // encoded control frames to be sent
	sent    bool   // a close frame was sent: nothing may follow
	code    ws.CloseCode
	text    string // of the close frame; code 0: from the close reason
}

// NewWebsocket returns the stage that frames c's bytes; c.Push it where the upgrade ended.
func NewWebsocket(c *Conn, spec WebsocketSpec) Stage {
	s := &wsStage{c: c, spec: spec}
	s.dec.Deflate = spec.Compress
	s.dec.RequireMask = !spec.Client && !spec.NoMask
	return s
}

// stageError is an error of a stage that chooses the close reason.
type stageError struct {
	reason Reason
	err    error
}

func (e *stageError) Error() string  { return e.err.Error() }
func (e *stageError) Unwrap() error  { return e.err }
func (e *stageError) Reason() Reason { return e.reason }

// Open decodes frames: message data goes on without a copy, pings are answered, a close frame ends
// the connection.
func (s *wsStage) Open(in []byte, emit func([]byte) error) error {
	err := s.open(in, emit)
	if s.waiting.Load() {
		s.c.kick()
	}
	return err
}

func (s *wsStage) open(in []byte, emit func([]byte) error) error {
	for {
		var ev ws.Event
		n, bad := s.dec.Next(in, &ev)
		if bad != nil {
			return s.refuse(bad)
		}
		in = in[n:]
		switch ev.Kind {
		case ws.EventNone:
			return nil
		case ws.EventData:
			if ev.Compressed {
				if err := s.inflate(ev.Payload, ev.Final, emit); err != nil {
					return err
				}
			} else if len(ev.Payload) > 0 {
				if err := emit(ev.Payload); err != nil {
					return err
				}
			}
		case ws.EventPing:
			s.pong(ev.Payload)
		case ws.EventClose:
			return s.peerClosed(ev.Payload)
		}
	}
}

// refuse remembers the status for the close frame.
func (s *wsStage) refuse(bad *ws.Error) error {
	s.mu.Lock()
	s.code, s.text = bad.Code, bad.Text
	s.mu.Unlock()
	reason := ReasonReadError
	if bad.Code == ws.CloseTooBig {
		reason = ReasonMaxPayload
	}
	return &stageError{reason, bad}
}

// peerClosed answers a close frame with the same status (RFC 6455, 5.5.1).
func (s *wsStage) peerClosed(payload []byte) error {
	code, text, bad := ws.ParseClose(payload)
	if bad != nil {
		return s.refuse(bad)
	}
	s.mu.Lock()
	s.code, s.text = code, string(text)
	s.mu.Unlock()
	return &stageError{ReasonClientClosed, &ws.Error{Code: code, Text: "websocket closed by peer"}}
}

// inflate takes a piece of a compressed message.
func (s *wsStage) inflate(piece []byte, final bool, emit func([]byte) error) error {
	limit := int64(1 << 20)
	if s.spec.MaxPayload != nil {
		limit = s.spec.MaxPayload()
	}
	if int64(len(s.msg)+len(piece)+4) > ws.CompressedLimit(limit) {
		return s.refuse(ws.ErrTooBig)
	}
	if !final {
		s.msg = append(s.msg, piece...)
		return nil
	}
	if len(s.msg) > 0 {
		s.msg = append(s.msg, piece...)
		piece = s.msg
	}
	if limit <= 0 {
		limit = ws.CompressedLimit(0)
	}
	z := inflaters.Get().(*ws.Inflater)
	err := z.Inflate(piece, limit, emit)
	inflaters.Put(z)
	if s.msg = s.msg[:0]; cap(s.msg) > keepMessage {
		s.msg = nil
	}
	if bad, ok := err.(*ws.Error); ok {
		return s.refuse(bad)
	}
	return err
}

// pong queues the answer to a ping.
func (s *wsStage) pong(payload []byte) {
	key := s.key()
	s.mu.Lock()
	if len(s.ctl)+len(payload)+ws.MaxHeader > maxControls {
		s.ctl = s.ctl[:0]
	}
	s.ctl = appendFrame(s.ctl, ws.OpPong, true, false, payload, key)
	s.mu.Unlock()
	s.waiting.Store(true)
}

// key returns the mask of the next frame, nil when frames are not masked.
func (s *wsStage) key() *[4]byte {
	if !s.spec.Client || s.spec.NoMask {
		return nil
	}
	s.mu.Lock() // a pong is masked on the loop while somebody else writes
	k := s.spec.MaskKey()
	s.mu.Unlock()
	return &k
}

func appendFrame(dst []byte, op ws.Opcode, fin, compressed bool, payload []byte, key *[4]byte) []byte {
	dst = ws.AppendHeader(dst, op, fin, compressed, len(payload), key)
	at := len(dst)
	dst = append(dst, payload...)
	if key != nil {
		ws.Mask(dst[at:], *key, 0)
	}
	return dst
}

// controls moves queued control frames to dst and reports whether the close frame has gone.
func (s *wsStage) controls(dst []byte) ([]byte, bool) {
	if s.waiting.Load() {
		s.mu.Lock()
		dst = append(dst, s.ctl...)
		s.ctl = s.ctl[:0]
		s.waiting.Store(false)
		s.mu.Unlock()
	}
	return dst, s.sent
}

// Seal makes one message of plain, or several of at most FrameLimit bytes.
func (s *wsStage) Seal(dst, plain []byte) ([]byte, error) {
	dst, sent := s.controls(dst)
	if sent || len(plain) == 0 {
		return dst, nil
	}
	if s.spec.Compress && len(plain) > compressAbove {
		return s.sealCompressed(dst, plain)
	}
	return s.sealPlain(dst, plain), nil
}

func (s *wsStage) sealPlain(dst, plain []byte) []byte {
	for s.spec.FrameLimit > 0 && len(plain) > s.spec.FrameLimit {
		dst = appendFrame(dst, ws.OpBinary, true, false, plain[:s.spec.FrameLimit], s.key())
		plain = plain[s.spec.FrameLimit:]
	}
	return appendFrame(dst, ws.OpBinary, true, false, plain, s.key())
}

// sealCompressed compresses plain; what does not get smaller is sent as it is.
func (s *wsStage) sealCompressed(dst, plain []byte) ([]byte, error) {
	z := deflaters.Get().(*sealer)
	defer deflaters.Put(z)
	var err error
	if z.buf, err = z.z.Append(z.buf[:0], plain); err != nil {
		return dst, err
	}
	b := z.buf
	if len(b) >= len(plain) {
		return s.sealPlain(dst, plain), nil
	}
	op, compressed := ws.OpBinary, true
	for s.spec.FrameLimit > 0 && !s.spec.WholeCompressed && len(b) > s.spec.FrameLimit {
		dst = appendFrame(dst, op, false, compressed, b[:s.spec.FrameLimit], s.key())
		b = b[s.spec.FrameLimit:]
		op, compressed = ws.OpContinuation, false
	}
	return appendFrame(dst, op, true, compressed, b, s.key()), nil
}

// Finish appends the close frame: the answer to the peer's, the status of a violation, or that of r.
func (s *wsStage) Finish(dst []byte, r Reason) []byte {
	dst, sent := s.controls(dst)
	if sent {
		return dst
	}
	s.sent = true
	s.mu.Lock()
	code, text := s.code, s.text
	s.mu.Unlock()
	if code == 0 {
		code, text = closeCode(r), r.String()
	}
	return ws.AppendClose(dst, code, text, s.key())
}

// closeCode is the status for a close reason (reference/websocket_mqtt.md, A2).
func closeCode(r Reason) ws.CloseCode {
	switch r {
	case ReasonClientClosed:
		return ws.CloseNormal
	case ReasonAuthTimeout, ReasonAuthFailure, ReasonSlowPending, ReasonSlowDeadline, ReasonMaxConnections,
		ReasonMaxAccountConnections, ReasonMaxControlLine, ReasonMaxSubscriptions, ReasonMissingAccount,
		ReasonAuthExpired, ReasonRevoked:
		return ws.ClosePolicy
	case ReasonTLSHandshake:
		return ws.CloseTLSHandshake
	case ReasonParseError, ReasonProtocolViolation, ReasonBadProtocolVersion:
		return ws.CloseProtocol
	case ReasonMaxPayload:
		return ws.CloseTooBig
	case ReasonWriteError, ReasonReadError, ReasonStale, ReasonServerShutdown:
		return ws.CloseGoingAway
	}
	return ws.CloseInternal
}
