package api

import (
	"time"

	"ramjet/js/advisory"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// Bounds of the sizes of a backup in bytes (reference/jetstream/api.md, section 6).
const (
	minSize       = 1 << 10
	defaultChunk  = 128 << 10
	maxChunk      = 1 << 20
	defaultWindow = 8 << 20
	maxWindow     = 32 << 20
)

// streamSnapshot answers STREAM.SNAPSHOT. The stream is looked up before the body is judged. A backup may begin with a check of all
// messages: it has a goroutine of its own, which sends the answer too.
func (c *call) streamSnapshot() (any, *jsapi.Error) {
	req := new(jsapi.SnapshotRequest)
	bad := c.decode(req)
	if bad != nil && jsapi.BadRequest.Is(bad) {
		return nil, bad
	}
	s, err := c.running()
	if s == nil {
		return nil, err
	}
	if bad != nil {
		return nil, bad
	}
	if !subject.ValidLiteral(req.DeliverSubject) {
		return nil, jsapi.SnapshotDeliverSubjectInvalid.Err()
	}
	boundSizes(req)
	c.silent = true // the backup answers
	c.router.background(func() { c.backup(s, req) })
	return nil, nil
}

func boundSizes(r *jsapi.SnapshotRequest) {
	if r.ChunkSize == 0 {
		r.ChunkSize = defaultChunk
	}
	if r.WindowSize == 0 {
		r.WindowSize = defaultWindow
	}
	r.ChunkSize = min(max(r.ChunkSize, minSize), maxChunk)
	r.WindowSize = max(min(r.WindowSize, maxWindow), r.ChunkSize)
}

func (c *call) backup(s Stream, req *jsapi.SnapshotRequest) {
	start := c.router.node.Now()
	answer, run, err := s.Snapshot(c.req, req)
	if err != nil {
		c.answer(nil, err)
		return
	}
	client := c.client()
	c.answer(answer, nil)
	if answer.State != nil {
		c.router.advise(c.req.Account, advisory.SnapshotCreate, c.Stream, "", func(b *advisory.Builder, now time.Time) advisory.Message {
			return b.Snapshot(c.Stream, answer.State, client, now)
		})
	}
	problem := ""
	if err := run(); err != nil {
		problem = err.Error()
	}
	c.router.advise(c.req.Account, advisory.SnapshotComplete, c.Stream, "", func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.SnapshotDone(c.Stream, problem, start, now, client)
	})
}

// streamRestore answers STREAM.RESTORE with the subject for the chunks. What the configuration breaks by itself and the limits show
// at once, a conflict with other streams at the end of the transfer.
func (c *call) streamRestore() (any, *jsapi.Error) {
	var req jsapi.RestoreRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	cfg := &req.Config
	if cfg.Name == "" {
		cfg.Name = c.Stream
	}
	if err := c.checkStream(cfg); err != nil {
		return nil, err
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	x, noLimits := c.streamContext(cfg, false)
	_, levelled := cfg.Metadata[jsapi.MetaRequiredLevel]
	if err := stream.Check(cfg, x); err != nil {
		return nil, err
	}
	if !levelled { // a backup from before there were levels stays one
		stream.DropServerMetadata(cfg)
	}
	if noLimits != nil {
		return nil, noLimits
	}
	if c.acc.Stream(cfg.Name) != nil {
		return nil, jsapi.StreamNameExistRestoreFailed.Err()
	}
	if err := c.acc.Reserve(nil, cfg); err != nil {
		return nil, err
	}
	start, client := c.router.node.Now(), c.client()
	to, err := c.acc.Restore(c.req, &req, func(end *Restored) { c.restored(end, start, client) })
	if err != nil {
		return nil, err
	}
	c.router.advise(c.req.Account, advisory.RestoreCreate, c.Stream, "", func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.Restore(c.Stream, client, now)
	})
	return &jsapi.RestoreResponse{DeliverSubject: to}, nil
}

// restored ends a restore. A transfer that stalled ends in silence.
func (c *call) restored(end *Restored, start time.Time, client []byte) {
	if end.Reply == "" && end.Err != nil {
		return
	}
	c.router.advise(c.req.Account, advisory.RestoreComplete, c.Stream, "", func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.RestoreDone(c.Stream, end.Bytes, start, now, client)
	})
	if end.Reply == "" {
		return
	}
	var v any
	err := end.Err
	if err == nil {
		var page jsapi.Page
		if info := end.Stream.Info(&jsapi.StreamInfoRequest{}, &page); info != nil {
			v = &jsapi.StreamResponse{StreamInfo: &jsapi.StreamInfo{
				Config: *stream.WithServerMetadata(&info.Config, c.srv.Version), Created: info.Created, State: info.State,
				TimeStamp: info.TimeStamp}}
		} else {
			err = jsapi.StreamNotFound.Err()
		}
	}
	c.router.node.Publish(c.req.Account, end.Reply, nil,
		jsapi.AppendResponse(nil, jsapi.StreamCreateAPI.ResponseType(), err, v))
}
