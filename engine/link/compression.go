package link

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ramjet/engine/config"
	"ramjet/engine/netio"
)

// Modes of compression between servers, as INFO and monitoring show them (reference/interserver.md, 0.1).
const (
	CompressionNotSupported = "not supported"
	CompressionOff          = "off"
	CompressionAccept       = "accept"
	CompressionAuto         = "s2_auto"
	CompressionUncompressed = "s2_uncompressed"
	CompressionFast         = "s2_fast"
	CompressionBetter       = "s2_better"
	CompressionBest         = "s2_best"
)

// defaultThresholds are the round trips up to which s2_auto leaves bytes alone, compresses them fast, and better.
var defaultThresholds = []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}

// CompressionMode returns the canonical name of a configured mode; whenOn is what "on" means for the kind of
// connection. An unknown mode, which validation refuses, is not supported.
func CompressionMode(o *config.CompressionOptions, whenOn string) string {
	switch m := strings.ToLower(o.Mode); m {
	case CompressionNotSupported, CompressionAccept, CompressionAuto, CompressionUncompressed,
		CompressionFast, CompressionBetter, CompressionBest:
		return m
	case CompressionOff, "disabled", "false":
		return CompressionOff
	case "on", "true", "enabled":
		return whenOn
	case "auto", "fast", "better", "best":
		return "s2_" + m
	}
	return CompressionNotSupported
}

// Compresses reports whether a negotiated mode is one of S2.
func Compresses(mode string) bool { return strings.HasPrefix(mode, "s2_") }

// NegotiatesCompression reports whether a server with this mode takes part in the negotiation at all.
func NegotiatesCompression(own string) bool {
	return own != CompressionOff && own != CompressionNotSupported && own != ""
}

// SelectCompression returns the mode for a connection between a server with mode own and one that announces
// remote, "" if it announces none.
func SelectCompression(own, remote string) string {
	switch {
	case own == CompressionOff || remote == CompressionOff:
		return CompressionOff
	case !NegotiatesCompression(own) || remote == "" || remote == CompressionNotSupported:
		return CompressionNotSupported
	case own != CompressionAccept:
		return own
	case remote == CompressionAccept:
		return CompressionOff
	case remote == CompressionAuto:
		return CompressionFast
	}
	return remote
}

// AutoCompression returns what s2_auto is for a round trip, with the configured thresholds (none = default).
func AutoCompression(rtt time.Duration, thresholds []time.Duration) string {
	if len(thresholds) == 0 {
		thresholds = defaultThresholds
	}
	levels := [...]string{CompressionUncompressed, CompressionFast, CompressionBetter, CompressionBest}
	at := slices.IndexFunc(thresholds, func(d time.Duration) bool { return rtt <= d })
	switch {
	case at >= 0:
	case len(thresholds) >= len(levels)-1:
		at = len(levels) - 1 // above all: the strongest
	default:
		at = len(thresholds) - 1 // a short list names all levels that are to be used
	}
	return levels[min(at, len(levels)-1)]
}

func s2Level(mode string) netio.S2Level {
	switch mode {
	case CompressionUncompressed:
		return netio.S2Uncompressed
	case CompressionBetter:
		return netio.S2Better
	case CompressionBest:
		return netio.S2Best
	}
	return netio.S2Fast
}

// Compression is the S2 compression of one connection, for kinds that have it to embed. The zero value is not
// negotiated yet.
type Compression struct {
	auto       bool // loop: the level follows the round trip
	thresholds []time.Duration
	stage      *netio.S2Stage // loop
	mode       atomic.Pointer[string]
}

// Settle notes the outcome of a negotiation that ended without compression. Loop.
func (x *Compression) Settle(mode string) { x.mode.Store(&mode) }

// Start compresses both directions from here on: what was sent before leaves as it is, and what follows the
// operation being handled is taken as compressed. OnOp must then return the result. Loop.
func (x *Compression) Start(c *Conn, mode string, thresholds []time.Duration) error {
	if x.auto = mode == CompressionAuto; x.auto {
		x.thresholds = thresholds
		mode = AutoCompression(c.RTT(), thresholds)
		if c.RTT() == 0 {
			mode = CompressionUncompressed // until a PONG tells
		}
	}
	x.Settle(mode)
	x.stage = netio.NewS2(s2Level(mode))
	c.nc.Push(x.stage)
	return ErrUpgraded
}

// Measured adapts the level of s2_auto to the round trip of c; after each PONG. Loop.
func (x *Compression) Measured(c *Conn) {
	if !x.auto || x.stage == nil || c.RTT() == 0 {
		return
	}
	if mode := AutoCompression(c.RTT(), x.thresholds); mode != x.Mode() {
		x.Settle(mode)
		x.stage.SetLevel(s2Level(mode))
	}
}

// Active reports whether bytes are compressed. Loop.
func (x *Compression) Active() bool { return x.stage != nil }

// Mode returns the negotiated mode, the level in use for s2_auto, "" before the negotiation. Any goroutine.
func (x *Compression) Mode() string {
	if m := x.mode.Load(); m != nil {
		return *m
	}
	return ""
}
