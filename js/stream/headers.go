package stream

import (
	"bytes"
	"encoding/json"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// headers are the fields of an inbound message that mean something to a stream: nil if absent, of the block otherwise.
type headers struct {
	msgID, stream, lastSeq, subjSeq, subjSub, lastID    []byte
	rollup, ttl, incr, source, level                    []byte
	batchID, batchSeq, batchCommit                      []byte
	schedule, zone, target, from, schedTTL, schedRollup []byte
	scheduler, next, requestInfo                        []byte
	expected, hasStatus, scheduled                      bool
}

// parse reads block in one pass; the first field of a name counts.
func (h *headers) parse(block []byte) {
	*h = headers{}
	if len(block) == 0 {
		return
	}
	empty := false
	h.hasStatus = !bytes.HasPrefix(block, []byte(header.Version+"\r\n"))
	for it := header.NewIter(block); ; {
		k, v, ok := it.Next()
		if !ok {
			h.settle(empty)
			return
		}
		if len(k) < 8 || string(k[:5]) != "Nats-" {
			continue
		}
		p := h.slot(k)
		if p == nil || *p != nil {
			continue
		}
		if *p = v; len(v) == 0 {
			*p = none
			empty = true
		}
	}
}

// none is the value of a field without one. It hides later fields of its name.
var none = []byte{}

// settle drops values that are none and sums up.
func (h *headers) settle(empty bool) {
	if empty {
		for _, p := range []*[]byte{&h.msgID, &h.stream, &h.lastSeq, &h.subjSeq, &h.subjSub, &h.lastID, &h.rollup, &h.ttl, &h.incr,
			&h.source, &h.level, &h.batchID, &h.batchSeq, &h.schedule, &h.target, &h.from, &h.schedTTL, &h.schedRollup, &h.scheduler, &h.next} {
			if len(*p) == 0 {
				*p = nil
			}
		}
	}
	h.expected = h.stream != nil || h.lastSeq != nil || h.subjSeq != nil || h.subjSub != nil || h.lastID != nil
	h.scheduled = h.schedule != nil || h.next != nil || h.scheduler != nil || h.zone != nil
}

func (h *headers) slot(k []byte) *[]byte {
	switch string(k) {
	case jsapi.HdrMsgID:
		return &h.msgID
	case jsapi.HdrExpectedStream:
		return &h.stream
	case jsapi.HdrExpectedLastSeq:
		return &h.lastSeq
	case jsapi.HdrExpectedLastSubjSeq:
		return &h.subjSeq
	case jsapi.HdrExpectedLastSubjSub:
		return &h.subjSub
	case jsapi.HdrExpectedLastMsgID:
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
		return &h.requestInfo
	}
	return nil
}

// originalReply returns the reply subject that a request had in the account it came from by an import, which is said to
// the receiver of a fast batch; nil if it is not.
func originalReply(info []byte) []byte {
	if !bytes.Contains(info, []byte(jsapi.FastReplySuffix+`"`)) {
		return nil
	}
	var said struct {
		Reply string `json:"reply"`
	}
	if json.Unmarshal(info, &said) != nil {
		return nil
	}
	return []byte(said.Reply)
}

// stripStatus appends block with a plain version line.
func stripStatus(dst, block []byte) []byte {
	i := bytes.Index(block, []byte("\r\n"))
	if i < 0 || len(block) <= i+4 {
		return dst
	}
	return append(append(dst, header.Version...), block[i:]...)
}
