package stream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

const (
	maxRecord = 32 << 20
	maxHeader = 65535
)

// The orders of the checks (reference/jetstream/stream.md, section 2). A retry that carries both an id and an expected
// sequence sees the difference.
var (
	standaloneOrder = []checkFn{checkRecord, checkSealed, checkMsgSize, checkHeaderSize, checkIncr, checkStream, checkTTLAllowed,
		checkSubjectSeq, checkLastSeq, checkSchedule, checkStreamSource, checkDupe, checkLastID, checkRollup, checkCounter,
		checkInterest, checkServer, checkAccountBytes, checkTTL, checkDiscardNew}
	clusteredOrder = []checkFn{checkSealed, checkServer, checkAccountBytes, checkMsgSize, checkRecord, checkHeaderSize, checkIncr,
		checkStream, checkTTLAllowed, checkTTL, checkDupe, checkStreamSource, checkCounter, checkLastSeq, checkSubjectSeq,
		checkSchedule, checkRollup, checkInterest, checkDiscardNew, checkLastID}
)

func storeFailed(text string) *jsapi.Error { return jsapi.StreamStoreFailed.With("err", text) }

// IsFull reports that err is the refusal of a stream that is full and discards new messages.
func IsFull(err *jsapi.Error) bool {
	return err != nil && err.ErrCode == jsapi.StreamStoreFailed && strings.HasPrefix(err.Description, "maximum ")
}

func checkRecord(_ *Front, p *publish) *jsapi.Error {
	if MsgSize(jsapi.FileStorage, len(p.subject), len(p.header), len(p.payload)) > maxRecord {
		return storeFailed("message too large")
	}
	return nil
}

func checkSealed(f *Front, _ *publish) *jsapi.Error {
	if f.m.cfg.Sealed {
		return jsapi.StreamSealed.Err()
	}
	return nil
}

func checkMsgSize(f *Front, p *publish) *jsapi.Error {
	if most := int(f.m.cfg.MaxMsgSize); most > 0 && len(p.header)+len(p.payload) > most {
		return jsapi.StreamMessageExceedsMaximum.Err()
	}
	return nil
}

func checkHeaderSize(_ *Front, p *publish) *jsapi.Error {
	if len(p.header) > maxHeader {
		return jsapi.StreamHeaderExceedsMaximum.Err()
	}
	return nil
}

func checkStream(f *Front, p *publish) *jsapi.Error {
	if p.h.stream != nil && string(p.h.stream) != f.m.cfg.Name {
		return jsapi.StreamNotMatch.Err()
	}
	return nil
}

func checkTTLAllowed(f *Front, p *publish) *jsapi.Error {
	if p.h.ttl == nil || f.m.cfg.AllowMsgTTL || p.in.Origin == Source || p.in.Origin == Mirror {
		return nil
	}
	if ttl, ok := jsapi.ParseTTL(p.h.ttl); p.sequential() && (!ok || ttl == 0) {
		return nil
	} else if ok && ttl == 0 {
		return nil
	}
	return jsapi.MessageTTLDisabled.Err()
}

func checkTTL(f *Front, p *publish) *jsapi.Error {
	if p.h.ttl == nil || p.skip {
		return nil
	}
	ttl, ok := jsapi.ParseTTL(p.h.ttl)
	if !ok {
		if p.in.Origin == Source || p.in.Origin == Mirror {
			return nil
		}
		return jsapi.MessageTTLInvalid.Err()
	}
	if !f.m.cfg.AllowMsgTTL {
		p.ttl = max(ttl, 0) // enforced when TTLs are allowed later; what never expires obeys the age limit
		return nil
	}
	if least := int64(f.m.cfg.SubjectDeleteMarkerTTL.Seconds()); ttl > 0 && ttl < least && f.m.cfg.MaxMsgsPerSubject != 1 {
		ttl = least
		p.header = header.AppendSet(nil, p.header, jsapi.HdrTTL, fmt.Append(nil, ttl))
	}
	p.ttl = ttl
	return nil
}

func checkSubjectSeq(f *Front, p *publish) *jsapi.Error {
	if p.h.subjSeq == nil {
		if p.h.subjSub != nil {
			return jsapi.StreamExpectedLastSeqPerSubjectInvalid.Err()
		}
		return nil
	}
	want, ok := jsapi.ParseUint(p.h.subjSeq)
	pattern := p.subject
	if len(p.h.subjSub) > 0 {
		pattern = p.h.subjSub
	}
	if p.inBatch && p.atomic.wrote(pattern) {
		return jsapi.StreamWrongLastSequenceConstant.Err()
	}
	last, inFlight := f.lastMatching(pattern)
	switch {
	case inFlight && f.cfg.Clustered:
		return jsapi.StreamWrongLastSequenceConstant.Err()
	case last != want || !ok:
		return jsapi.StreamWrongLastSequence.With("seq", last)
	}
	return nil
}

func checkLastSeq(f *Front, p *publish) *jsapi.Error {
	if p.h.lastSeq == nil {
		return nil
	}
	if want, ok := jsapi.ParseUint(p.h.lastSeq); !ok || want != f.seq {
		return jsapi.StreamWrongLastSequence.With("seq", f.seq)
	}
	if p.inBatch && p.atomic.staged > 0 {
		return jsapi.StreamWrongLastSequenceConstant.Err()
	}
	return nil
}

func checkLastID(f *Front, p *publish) *jsapi.Error {
	if p.h.lastID == nil {
		return nil
	}
	last := f.m.lastID
	if f.idsSet {
		last = f.lastID
	}
	if !bytes.Equal(last, p.h.lastID) {
		return jsapi.StreamWrongLastMsgID.With("id", string(last))
	}
	return nil
}

func checkStreamSource(_ *Front, p *publish) *jsapi.Error {
	if p.h.source != nil && p.in.Origin != Source && p.in.Origin != Mirror {
		return jsapi.MessageSourceHdrNotAllowed.Err()
	}
	return nil
}

func checkDupe(f *Front, p *publish) *jsapi.Error {
	if len(p.h.msgID) == 0 || p.in.Origin == Mirror || f.m.cfg.Mirror != nil || f.m.dedupe.window == 0 {
		return nil
	}
	if s := f.ids.find(p.h.msgID); s != nil && p.now-s.time < f.m.dedupe.window {
		if f.cfg.Clustered {
			return jsapi.StreamDuplicateMessageConflict.Err()
		}
		p.dup, p.isDup = s.seq, true
		return nil
	}
	p.dup, p.isDup = f.m.dedupe.lookup(p.h.msgID, p.now)
	return nil
}

func checkRollup(f *Front, p *publish) *jsapi.Error {
	if len(p.h.rollup) == 0 {
		return nil
	}
	fromOrigin := p.in.Origin == Source || p.in.Origin == Mirror
	if (!f.m.cfg.AllowRollup || f.m.cfg.DenyPurge) && !fromOrigin {
		return jsapi.StreamRollupFailed.Wrap(errors.New("rollup not permitted"))
	}
	switch {
	case bytes.EqualFold(p.h.rollup, []byte(jsapi.RollupSub)):
		if p.inBatch && p.atomic.wrote(p.subject) {
			return jsapi.StreamRollupFailed.Wrap(errors.New("batch rollup sub invalid"))
		}
		p.flags |= op.FlagRollupSub
	case bytes.EqualFold(p.h.rollup, []byte(jsapi.RollupAll)):
		if p.inBatch && p.atomic.staged > 0 {
			return jsapi.StreamRollupFailed.Wrap(errors.New("batch rollup all invalid"))
		}
		p.flags |= op.FlagRollupAll
	default:
		return jsapi.StreamRollupFailed.Wrap(fmt.Errorf("rollup value invalid: %q", p.h.rollup))
	}
	return nil
}

// checkInterest finds out whether the message is stored at all.
func checkInterest(f *Front, p *publish) *jsapi.Error {
	if f.m.cfg.Retention == jsapi.InterestRetention && (f.m.retainer == nil || !f.m.retainer.Interest(p.subject)) {
		p.skip = true
	}
	return nil
}

func checkServer(f *Front, p *publish) *jsapi.Error {
	if q := f.cfg.Quota; q != nil && q.ServerFull(f.m.cfg.Storage, int(p.size)) {
		return jsapi.InsufficientResources.Err()
	}
	return nil
}

func checkAccountBytes(f *Front, p *publish) *jsapi.Error {
	if q := f.cfg.Quota; q != nil && !p.skip && q.AccountFull(f.m.cfg.Storage, f.m.cfg.Replicas, int(p.size)) {
		return jsapi.AccountResourcesExceeded.Err()
	}
	return nil
}

// checkDiscardNew refuses what does not fit. A message that takes the place of the oldest one of its subject fits if it
// is not larger.
func checkDiscardNew(f *Front, p *publish) *jsapi.Error {
	c := &f.m.cfg
	if c.Discard != jsapi.DiscardNew || p.skip {
		return nil
	}
	var freed uint64
	if most := c.MaxMsgsPerSubject; most > 0 {
		have := f.subjs.count(p.subject)
		if have < uint64(most) {
			have += f.m.log.Count(p.subject)
		}
		if have >= uint64(most) {
			if c.DiscardNewPerSubject && p.flags&(op.FlagRollupSub|op.FlagRollupAll) == 0 {
				return storeFailed("maximum messages per subject exceeded")
			}
			p.replace = true
			if seq, ok := f.m.log.First(p.subject); ok {
				freed = f.m.log.Weight(seq)
			}
		}
	}
	if c.MaxMsgs <= 0 && c.MaxBytes <= 0 {
		return nil
	}
	msgs, bytes, _, _ := f.m.size()
	if c.MaxMsgs > 0 && !p.replace && msgs+f.inMsgs >= uint64(c.MaxMsgs) {
		return storeFailed("maximum messages exceeded")
	}
	if c.MaxBytes > 0 && bytes+f.inBytes+p.size > uint64(c.MaxBytes) && (!p.replace || freed < p.size) {
		return storeFailed("maximum bytes exceeded")
	}
	return nil
}
