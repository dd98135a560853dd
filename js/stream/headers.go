package stream

import (
	"bytes"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// headers are the fields of an inbound message that mean something to a stream: nil if absent, of the block otherwise.
type headers struct {
	msgID, stream, lastSeq, subjSeq, subjSub, lastID      []byte
	rollup, ttl, incr, source, level                      []byte
	batchID, batchSeq, batchCommit                        []byte
	schedule, zone, target, from, schedTTL, schedRollup   []byte
	scheduler, next                                       []byte
	requestInfo, expected, hasStatus, hasBatch, scheduled bool
}

// parse reads block in one pass; the first field of a name counts.
func (h *headers) parse(block []byte) {
	*h = headers{}
	if len(block) == 0 {
		return
	}
	h.hasStatus = !bytes.HasPrefix(block, []byte(header.Version+"\r\n"))
	for it := header.NewIter(block); ; {
		k, v, ok := it.Next()
		if !ok {
			h.scheduled = h.schedule != nil || h.next != nil || h.scheduler != nil
			return
		}
		if len(k) < 8 || string(k[:5]) != "Nats-" {
			continue
		}
		p := h.slot(k)
		if p == nil || *p != nil {
			continue
		}
		if len(v) == 0 && p != &h.zone {
			continue // an empty value is no value
		}
		if *p = v; v == nil {
			*p = k[len(k):]
		}
	}
}

func (h *headers) slot(k []byte) *[]byte {
	switch string(k) {
	case jsapi.HdrMsgID:
		return &h.msgID
	case jsapi.HdrExpectedStream:
		h.expected = true
		return &h.stream
	case jsapi.HdrExpectedLastSeq:
		h.expected = true
		return &h.lastSeq
	case jsapi.HdrExpectedLastSubjSeq:
		h.expected = true
		return &h.subjSeq
	case jsapi.HdrExpectedLastSubjSub:
		h.expected = true
		return &h.subjSub
	case jsapi.HdrExpectedLastMsgID:
		h.expected = true
		return &h.lastID
	case jsapi.HdrRollup:
		return &h.rollup
	case jsapi.HdrTTL:
		return &h.ttl
	case jsapi.HdrIncr:
		return &h.incr
	case jsapi.HdrStreamSource:
		return &h.source
	case jsapi.HdrRequiredAPILevel:
		return &h.level
	case jsapi.HdrBatchID:
		return &h.batchID
	case jsapi.HdrBatchSeq:
		return &h.batchSeq
	case jsapi.HdrBatchCommit:
		return &h.batchCommit
	case jsapi.HdrSchedule:
		return &h.schedule
	case jsapi.HdrScheduleZone:
		return &h.zone
	case jsapi.HdrScheduleTarget:
		return &h.target
	case jsapi.HdrScheduleSource:
		return &h.from
	case jsapi.HdrScheduleTTL:
		return &h.schedTTL
	case jsapi.HdrScheduleRollup:
		return &h.schedRollup
	case jsapi.HdrScheduleNext:
		return &h.next
	case jsapi.HdrScheduler:
		return &h.scheduler
	case jsapi.HdrRequestInfo:
		h.requestInfo = true
	}
	return nil
}

// stripStatus appends block with a plain version line.
func stripStatus(dst, block []byte) []byte {
	i := bytes.Index(block, []byte("\r\n"))
	if i < 0 || len(block) <= i+4 {
		return dst
	}
	return append(append(dst, header.Version...), block[i:]...)
}
