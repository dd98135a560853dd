package stream

import (
	"time"

	"ramjet/js/op"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
	"ramjet/store"
)

// FillState fills s from the log. r may be nil; page receives the paging of the subjects of r.SubjectsFilter. The count
// of consumers is the caller's.
func (m *Machine) FillState(s *jsapi.StreamState, r *jsapi.StreamInfoRequest, page *jsapi.Page) {
	m.log.State(&m.state)
	st := &m.state
	*s = jsapi.StreamState{Msgs: st.Msgs, Bytes: st.Bytes, FirstSeq: st.FirstSeq, LastSeq: st.LastSeq,
		FirstTime: timeOf(st.FirstTime), LastTime: timeOf(st.LastTime), NumSubjects: st.Subjects, NumDeleted: int(st.Deleted)}
	if m.lastTime > st.LastTime && st.LastSeq > 0 {
		s.LastTime = timeOf(m.lastTime) // skipped messages count
	}
	if st.LostMsgs > 0 || st.LostBytes > 0 {
		s.Lost = &jsapi.LostStreamData{Bytes: st.LostBytes}
	}
	if r == nil {
		return
	}
	if r.DeletedDetails && st.Deleted > 0 {
		m.log.Deleted(func(from, to uint64) bool {
			for seq := from; seq <= to; seq++ {
				s.Deleted = append(s.Deleted, seq)
			}
			return true
		})
	}
	if r.SubjectsFilter != "" {
		m.fillSubjects(s, r, page)
	}
}

func (m *Machine) fillSubjects(s *jsapi.StreamState, r *jsapi.StreamInfoRequest, page *jsapi.Page) {
	filter := &store.Filter{Patterns: []string{r.SubjectsFilter}}
	total, offset := 0, max(r.Offset, 0)
	m.log.Subjects(filter, func(subj []byte, count, _ uint64) bool {
		if total >= offset && len(s.Subjects) < jsapi.SubjectsPage {
			if s.Subjects == nil {
				s.Subjects = make(map[string]uint64)
			}
			s.Subjects[string(subj)] = count
		}
		total++
		return true
	})
	if total > 0 {
		page.Total, page.Offset, page.Limit = total, offset, jsapi.SubjectsPage
	}
}

// timeOf returns t as the API shows it; the zero time for 0.
func timeOf(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, t).UTC()
}

// CheckPurge validates a purge request and turns it into a command at now.
func (m *Machine) CheckPurge(r *jsapi.PurgeRequest, now int64, c *op.Cmd) *jsapi.Error {
	switch {
	case r.Seq > 0 && r.Keep > 0:
		return jsapi.BadRequest.Err()
	case m.cfg.Sealed:
		return jsapi.StreamSealed.Err()
	case m.cfg.DenyPurge:
		return jsapi.StreamPurgeFailed.With("err", "stream purge not permitted")
	case r.Filter != "" && !subject.Valid(r.Filter):
		return jsapi.BadRequest.Err()
	}
	*c = op.Cmd{Kind: op.Purge, Seq: r.Seq, Keep: r.Keep, Time: now, Subject: []byte(r.Filter)}
	return nil
}

// CheckDelete validates a message delete request and turns it into a command at now.
func (m *Machine) CheckDelete(r *jsapi.MsgDeleteRequest, now int64, c *op.Cmd) *jsapi.Error {
	switch {
	case m.cfg.Sealed:
		return jsapi.StreamSealed.Err()
	case m.cfg.DenyDelete:
		return jsapi.StreamMsgDeleteFailed.With("err", "message delete not permitted")
	}
	m.log.State(&m.state)
	var rec store.Rec
	switch a := m.log.Load(r.Seq, &rec); {
	case a == store.None && m.cfg.Storage == jsapi.MemoryStorage:
		return jsapi.SequenceNotFound.With("seq", r.Seq)
	case r.Seq > m.state.LastSeq:
		return jsapi.StreamMsgDeleteFailed.With("err", "stream store EOF")
	case a == store.None && r.Seq > 0 && r.Seq >= m.state.FirstSeq: // was removed on its own
		return jsapi.SequenceNotFound.With("seq", r.Seq)
	case a == store.None || r.Seq == 0:
		return jsapi.StreamMsgDeleteFailed.With("err", "no message found")
	}
	*c = op.Cmd{Kind: op.Remove, Seq: r.Seq, Time: now}
	if !r.NoErase {
		c.Flags = op.FlagErase
	}
	return nil
}
