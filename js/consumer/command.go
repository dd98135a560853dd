package consumer

import "encoding/binary"

// The commands. Numbers are on disk.
const (
	cmdStart     = 1  // next, count, ascending differences
	cmdFresh     = 2  // dseq, sseq, n, ts, wait: n first deliveries of consecutive messages
	cmdAgain     = 3  // dseq, sseq, deliveries, ts, wait
	cmdAck       = 4  // sseq, n, ts: n consecutive messages
	cmdAckAll    = 5  // sseq, dseq, ts
	cmdRetry     = 6  // sseq, due
	cmdProgress  = 7  // sseq, ts, wait
	cmdExhaust   = 8  // sseq
	cmdDrop      = 9  // sseq, n
	cmdDropBelow = 10 // first
	cmdReset     = 11 // next
	cmdPullBack  = 12 // last
	cmdMoved     = 13 // dseq, sseq, ts: delivered without acknowledgement up to here
	cmdSkip      = 14 // next: what is below can not be read
	cmdPurged    = 15 // first: nothing is left below
)

const (
	cmdVersion = 1
	maxRun     = 1 << 14
)

// encoder collects commands; consecutive ones of the same kind become one.
type encoder struct {
	buf  []byte
	off  bool // state that is not kept: nothing to encode
	kind byte // open run: cmdFresh, cmdAck, cmdDrop or cmdMoved; 0 none
	dseq uint64
	sseq uint64
	n    uint64
	ts   int64
	wait uint64
}

// waitOf encodes a deadline relative to ts: 0 is never.
func waitOf(ts, due int64) uint64 {
	if due == never || due < ts {
		return 0
	}
	return uint64(due-ts) + 1
}

func dueOf(ts int64, wait uint64) int64 {
	if wait == 0 || wait-1 > uint64(never-max(ts, 0)) {
		return never
	}
	return ts + int64(wait-1)
}

func (e *encoder) op(kind byte, args ...uint64) {
	if e.off {
		return
	}
	e.close()
	e.raw(kind, args...)
}

func (e *encoder) raw(kind byte, args ...uint64) {
	if len(e.buf) == 0 {
		e.buf = append(e.buf, cmdVersion)
	}
	e.buf = append(e.buf, kind)
	for _, a := range args {
		e.buf = binary.AppendUvarint(e.buf, a)
	}
}

func (e *encoder) close() {
	switch e.kind {
	case cmdFresh:
		e.raw(cmdFresh, e.dseq, e.sseq, e.n, uint64(e.ts), e.wait)
	case cmdAck:
		e.raw(cmdAck, e.sseq, e.n, uint64(e.ts))
	case cmdDrop:
		e.raw(cmdDrop, e.sseq, e.n)
	case cmdMoved:
		e.raw(cmdMoved, e.dseq, e.sseq, uint64(e.ts))
	}
	e.kind, e.n = 0, 0
}

func (e *encoder) fresh(dseq, sseq uint64, ts, due int64) {
	if e.off {
		return
	}
	wait := waitOf(ts, due)
	if e.kind == cmdFresh && dseq == e.dseq+e.n && sseq == e.sseq+e.n && ts == e.ts && wait == e.wait && e.n < maxRun {
		e.n++
		return
	}
	e.close()
	e.kind, e.dseq, e.sseq, e.n, e.ts, e.wait = cmdFresh, dseq, sseq, 1, ts, wait
}

func (e *encoder) moved(dseq, sseq uint64, ts int64) {
	if e.off {
		return
	}
	if e.kind != cmdMoved {
		e.close()
		e.kind = cmdMoved
	}
	e.dseq, e.sseq, e.ts = dseq, sseq, ts
}

func (e *encoder) ack(sseq uint64, ts int64) { e.run(cmdAck, sseq, ts) }
func (e *encoder) drop(sseq uint64)          { e.run(cmdDrop, sseq, 0) }

func (e *encoder) run(kind byte, sseq uint64, ts int64) {
	if e.off {
		return
	}
	if e.kind == kind && sseq == e.sseq+e.n && ts == e.ts && e.n < maxRun {
		e.n++
		return
	}
	e.close()
	e.kind, e.sseq, e.n, e.ts = kind, sseq, 1, ts
}

func (e *encoder) start(next uint64, list []uint64) {
	if e.off {
		return
	}
	e.close()
	e.raw(cmdStart, next, uint64(len(list)))
	e.buf = appendAscending(e.buf, list)
}

func appendAscending(dst []byte, list []uint64) []byte {
	last := uint64(0)
	for _, s := range list {
		dst = binary.AppendUvarint(dst, s-last)
		last = s
	}
	return dst
}

// take returns what was collected since the last take, valid until the next command; nil if nothing.
func (e *encoder) take() []byte {
	e.close()
	b := e.buf
	e.buf = e.buf[:0]
	if len(b) == 0 {
		return nil
	}
	return b
}
