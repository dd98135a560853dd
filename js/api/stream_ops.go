package api

import (
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// running returns the stream of the subject for an operation on its messages. A stream that can not run here does not answer: the
// error is nil then, and the call silent.
func (c *call) running() (Stream, *jsapi.Error) {
	s, err := c.stream()
	if err == nil && s.Offline() != "" {
		c.silent = true
		return nil, nil
	}
	return s, err
}

// streamPurge answers STREAM.PURGE.
func (c *call) streamPurge() (any, *jsapi.Error) {
	var req jsapi.PurgeRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.Seq > 0 && req.Keep > 0 {
		return nil, jsapi.BadRequest.Err()
	}
	s, err := c.running()
	if s == nil {
		return nil, err
	}
	cfg := s.Config()
	switch {
	case cfg.Sealed:
		return nil, jsapi.StreamSealed.Err()
	case cfg.DenyPurge:
		return nil, jsapi.StreamPurgeFailed.With("err", "stream purge not permitted")
	case req.Filter != "" && !subject.Valid(req.Filter):
		return &jsapi.PurgeResponse{Success: true}, nil // matches nothing
	}
	n, err := s.Purge(&req)
	if err != nil {
		return nil, err
	}
	return &jsapi.PurgeResponse{Success: true, Purged: n}, nil
}

// msgGet answers STREAM.MSG.GET.
func (c *call) msgGet() (any, *jsapi.Error) {
	var req jsapi.MsgGetRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !oneSelector(&req) || req.Batch > 0 || req.MaxBytes > 0 {
		return nil, jsapi.BadRequest.Err()
	}
	req.MultiLast, req.UpToSeq, req.UpToTime = nil, 0, nil // of direct gets: no matter here
	s, err := c.running()
	if s == nil {
		return nil, err
	}
	m, err := s.GetMsg(&req)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, jsapi.NoMessageFound.Err()
	}
	if req.NoHeaders {
		m.Header = nil
	}
	return &jsapi.MsgGetResponse{Message: m}, nil
}

// oneSelector reports whether r selects a message in exactly one way: by sequence, by time or as the last of a subject; next
// restricts the first two.
func oneSelector(r *jsapi.MsgGetRequest) bool {
	n := 0
	for _, set := range []bool{r.Seq > 0, r.StartTime != nil, r.LastFor != ""} {
		if set {
			n++
		}
	}
	if r.NextFor != "" {
		return n == 0 || n == 1 && r.LastFor == ""
	}
	return n == 1
}

// msgDelete answers STREAM.MSG.DELETE.
func (c *call) msgDelete() (any, *jsapi.Error) {
	var req jsapi.MsgDeleteRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s, err := c.running()
	if s == nil {
		return nil, err
	}
	if err := s.DeleteMsg(&req); err != nil {
		return nil, err
	}
	return &jsapi.SuccessResponse{Success: true}, nil
}
