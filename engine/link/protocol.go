package link

import (
	"errors"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// Protocol is what a connection kind implements; called on the owning loop except Describe.
type Protocol interface {
	// OnOpen: enrolled and registered, nothing read yet.
	OnOpen()
	// OnSecured: the TLS handshake finished.
	OnSecured()
	// OnOp handles one operation; op and its slices are borrowed. nil continues; ErrHold and ErrRetry
	// suspend the feed until Conn.Resume; ErrUpgraded sends what follows through a new stage; any other error ends it (the protocol has closed the
	// connection, or the feed does, with reason Protocol Violation).
	OnOp(op *wire.Op) error
	// OnTimer: a timer of the protocol fired (link handles TimerPing and TimerStall itself).
	OnTimer(id uint8)
	// OnPeerClose: the connection is closed; last call.
	OnPeerClose(r netio.Reason)
	// Describe adds what only the kind knows to a monitoring entry; any goroutine, from atomics and
	// immutable values only.
	Describe(*sysapi.ConnInfo)
}

// Appender is implemented by protocols whose messages are not MSG and HMSG lines. Append appends m
// for s to dst; pure, any goroutine. size is what counts as bytes out.
type Appender interface {
	Append(dst []byte, m *engine.Msg, s *interest.Sub) (out []byte, size int)
}

// TooLarge is implemented by protocols that want to know which message is too large, before the connection is closed. op has what
// wire.ErrMaxPayload says. Loop.
type TooLarge interface{ OnTooLarge(op *wire.Op) }

// Packets is implemented by protocols that are not made of lines: OnOp is never called, and nothing like
// -ERR is sent. Owning loop.
type Packets interface {
	// Next decodes the packet at the start of data, which is borrowed until OnPacket returns. n is its
	// length; 0: more bytes are needed, and need is the whole length if it is known, which it is at the
	// latest after a few bytes. An error ends the connection.
	Next(data []byte) (n, need int, err error)
	// OnPacket handles what Next decoded; it answers as OnOp does.
	OnPacket() error
	// OnBad closes the connection for an error of Next.
	OnBad(err error)
}

// LeafSource is implemented by links to servers some of whose subscriptions stand for interest of leafnodes there.
type LeafSource interface {
	// LeafOrigin returns the cluster of the leafnode that s comes from, "" if it has none; leaf is false
	// when s does not come from one. Any goroutine.
	LeafOrigin(s *interest.Sub) (cluster string, leaf bool)
}

// Suspension of the feed, returned by Protocol.OnOp.
var (
	// ErrHold: the operation was handled; the bytes after it wait for Resume.
	ErrHold = errors.New("link: hold after the operation")
	// ErrRetry: the operation was not handled; it is decoded again after Resume.
	ErrRetry = errors.New("link: hold before the operation")
	// ErrUpgraded: a stage was pushed; the bytes after the operation go through it.
	ErrUpgraded = errors.New("link: the bytes that follow are for a new stage")
	// ErrClosed: the protocol has closed the connection.
	ErrClosed = errors.New("link: connection closed by the protocol")
)

// Timers of a connection.
const (
	TimerPing  uint8 = iota // link
	TimerStall              // link
	TimerAuth               // protocol: authentication timeout, then expiry
	TimerUser               // protocol
)
