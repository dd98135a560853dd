package consumer

import (
	"strconv"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Texts of statuses (reference/jetstream/consumer.md, sections 4 and 5).
const (
	textHeartbeat      = "Idle Heartbeat"
	textFlowControl    = "FlowControl Request"
	textNoMessages     = "No Messages"
	textTimeout        = "Request Timeout"
	textPending        = "Requests Pending"
	textBatchDone      = "Batch Completed"
	textTooLarge       = "Message Size Exceeds MaxBytes"
	textMaxWaiting     = "Exceeded MaxWaiting"
	textPushBased      = "Consumer is push based"
	textAPILevel       = "Required Api Level"
	textBadRequest     = "Bad Request - "
	textPinMismatch    = "Nats-Pin-Id mismatch"
	textWrongPin       = "Nats-Wrong-Pin-Id"
	textDeleted        = "Consumer Deleted"
	textLeaderChange   = "Leadership Change"
	textServerShutdown = "Server Shutdown"
)

// status sends a status without fields.
func (c *Consumer) status(to []byte, code int, text string) {
	c.hdr = header.AppendStatus(c.hdr[:0], code, text)
	c.emit(Reply{To: to, Header: c.hdr})
}

// statusRest sends a status that tells what the request could still have got.
func (c *Consumer) statusRest(w *waiter, code int, text string) {
	c.hdr = header.AppendStatusLine(c.hdr[:0], code, text)
	c.hdr = appendNumber(c.hdr, jsapi.HdrPendingMessages, uint64(max(w.n, 0)))
	c.hdr = appendNumber(c.hdr, jsapi.HdrPendingBytes, uint64(max(w.bytes, 0)))
	c.hdr = append(c.hdr, "\r\n"...)
	c.emit(Reply{To: w.reply, Header: c.hdr})
}

// heartbeat sends an idle heartbeat; stalled is the flow control subject that is waited for, if any.
func (c *Consumer) heartbeat(to []byte, stalled []byte) {
	c.hdr = header.AppendStatusLine(c.hdr[:0], 100, textHeartbeat)
	c.hdr = appendNumber(c.hdr, jsapi.HdrLastConsumer, c.st.delivered.Consumer)
	c.hdr = appendNumber(c.hdr, jsapi.HdrLastStream, c.seen())
	if len(stalled) > 0 {
		c.hdr = header.AppendField(c.hdr, jsapi.HdrConsumerStalled, stalled)
	}
	c.hdr = append(c.hdr, "\r\n"...)
	c.emit(Reply{To: to, Header: c.hdr})
}

// seen returns the last stream sequence that was delivered or passed over.
func (c *Consumer) seen() uint64 {
	if c.listLeft() > 0 {
		return c.st.delivered.Stream
	}
	return max(c.scan, 1) - 1
}

func appendNumber(dst []byte, key string, n uint64) []byte {
	var b [20]byte
	return header.AppendField(dst, key, strconv.AppendUint(b[:0], n, 10))
}
