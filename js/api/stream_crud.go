package api

import (
	"time"

	"ramjet/js/advisory"
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
)

// streamContext is what a configuration of the account is judged against. The error is that there are no limits for so many
// replicas: it counts only if the configuration is good by itself.
func (c *call) streamContext(cfg *jsapi.StreamConfig, pedantic bool) (*stream.Context, *jsapi.Error) {
	x := &stream.Context{
		Clustered: true, // a wrong number of replicas shows later: tooMany
		MaxWindow: c.srv.MaxWindow,
		Pedantic:  pedantic,
		Stream: func(name string) *jsapi.StreamConfig {
			if s := c.acc.Stream(name); s != nil {
				return s.Config()
			}
			return nil
		},
		Each: c.acc.Each,
	}
	limits, err := c.acc.Tier(max(cfg.Replicas, 1))
	if err != nil {
		return x, err
	}
	x.MaxConsumers, x.BytesRequired = limits.MaxConsumers, limits.MaxBytesRequired
	x.MaxMemoryStream, x.MaxFileStream = limits.MemoryMaxStreamBytes, limits.StoreMaxStreamBytes
	return x, nil
}

// tooMany refuses replicas that one server can not have.
func tooMany(cfg *jsapi.StreamConfig) *jsapi.Error {
	if cfg.Replicas > 1 {
		return jsapi.StreamReplicasNotSupported.Err()
	}
	return nil
}

// streamCreate answers STREAM.CREATE. A stream of the same configuration is there already: success too.
func (c *call) streamCreate() (any, *jsapi.Error) {
	var req jsapi.StreamConfigRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	cfg := &req.StreamConfig
	if err := c.checkStream(cfg); err != nil {
		return nil, err
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	x, noLimits := c.streamContext(cfg, req.Pedantic)
	if err := stream.CheckCreate(cfg, x); err != nil {
		return nil, err
	}
	if err := tooMany(cfg); err != nil {
		return nil, err
	}
	if noLimits != nil {
		return nil, noLimits
	}
	if s := c.acc.Stream(cfg.Name); s != nil {
		if !stream.SameConfig(s.Config(), cfg) {
			return nil, jsapi.StreamNameExist.Err()
		}
		return c.created(s)
	}
	if err := c.acc.Reserve(nil, cfg); err != nil {
		return nil, err
	}
	if err := stream.CheckOverlap(cfg, x); err != nil {
		return nil, err
	}
	s, wait, err := c.acc.CreateStream(cfg)
	if err != nil {
		return nil, err
	}
	end := func() (any, *jsapi.Error) {
		c.adviseStream(advisory.StreamCreated, cfg.Name)
		return c.created(s)
	}
	if wait == nil {
		return end()
	}
	c.rest = func() (any, *jsapi.Error) {
		if err := wait(); err != nil {
			return nil, err
		}
		return end()
	}
	return nil, nil
}

func (c *call) created(s Stream) (any, *jsapi.Error) {
	if why := s.Offline(); why != "" {
		return nil, streamOffline(why)
	}
	info := c.infoOf(s)
	if info == nil {
		return nil, jsapi.StreamNotFound.Err()
	}
	return &jsapi.StreamResponse{StreamInfo: info, DidCreate: true}, nil
}

// streamUpdate answers STREAM.UPDATE. The configuration is judged by itself before the stream is looked up.
func (c *call) streamUpdate() (any, *jsapi.Error) {
	var req jsapi.StreamConfigRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	cfg := &req.StreamConfig
	if err := checkStreamTimes(cfg); err != nil {
		return nil, err
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	x, noLimits := c.streamContext(cfg, req.Pedantic)
	if err := stream.Check(cfg, x); err != nil {
		return nil, err
	}
	if cfg.Name != c.Stream {
		return nil, jsapi.StreamMismatch.Err()
	}
	s, err := c.stream()
	if err != nil {
		return nil, err
	}
	if why := s.Offline(); why != "" {
		return nil, streamOffline(why)
	}
	if err := tooMany(cfg); err != nil {
		return nil, err
	}
	old := s.Config()
	if err := stream.CheckUpdate(old, cfg, configsOf(s, ""), x); err != nil {
		return nil, err
	}
	if noLimits != nil {
		return nil, noLimits
	}
	if err := c.acc.Reserve(old, cfg); err != nil {
		return nil, err
	}
	if err := s.Update(cfg); err != nil {
		return nil, err
	}
	c.adviseStream(advisory.StreamUpdated, cfg.Name)
	info := c.infoOf(s)
	if info == nil {
		return nil, jsapi.StreamNotFound.Err()
	}
	return &jsapi.StreamResponse{StreamInfo: info}, nil
}

// streamDelete answers STREAM.DELETE.
func (c *call) streamDelete() (any, *jsapi.Error) {
	if err := c.decode(nil); err != nil {
		return nil, err
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	s, err := c.stream()
	if err != nil {
		return nil, err
	}
	consumers := s.Consumers()
	if err := s.Delete(); err != nil {
		return nil, err
	}
	for _, o := range consumers {
		c.adviseConsumer(advisory.ConsumerDeleted, o.Name())
	}
	c.adviseStream(advisory.StreamDeleted, c.Stream)
	return &jsapi.SuccessResponse{Success: true}, nil
}

// streamInfo answers STREAM.INFO.
func (c *call) streamInfo() (any, *jsapi.Error) {
	var req jsapi.StreamInfoRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s, err := c.stream()
	if err != nil {
		return nil, err
	}
	if why := s.Offline(); why != "" {
		return nil, streamOffline(why)
	}
	answer := &jsapi.StreamInfoResponse{}
	if answer.StreamInfo = s.Info(&req, &answer.Page); answer.StreamInfo == nil {
		return nil, jsapi.StreamNotFound.Err()
	}
	c.complete(answer.StreamInfo)
	if answer.Cluster == nil {
		answer.Cluster = &jsapi.ClusterInfo{Leader: c.srv.Name}
	}
	return answer, nil
}

// stream returns the stream of the subject.
func (c *call) stream() (Stream, *jsapi.Error) {
	if s := c.acc.Stream(c.Stream); s != nil {
		return s, nil
	}
	return nil, jsapi.StreamNotFound.Err()
}

// infoOf returns the information of create and update; nil if the stream is gone.
func (c *call) infoOf(s Stream) *jsapi.StreamInfo {
	var page jsapi.Page
	info := s.Info(&jsapi.StreamInfoRequest{}, &page)
	if info != nil {
		c.complete(info)
	}
	return info
}

// complete adds what is the same for all answers of this server.
func (c *call) complete(info *jsapi.StreamInfo) {
	info.Domain = c.srv.Domain
	info.Config = *stream.WithServerMetadata(&info.Config, c.srv.Version)
}

func (c *call) adviseStream(kind, name string) {
	c.router.advise(c.req.Account, kind, name, "", func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.Stream(kind, name, now)
	})
}

func streamOffline(why string) *jsapi.Error { return jsapi.StreamOfflineReason.With("err", why) }

// configsOf returns the configurations of the consumers of s, but for one.
func configsOf(s Stream, except string) []*jsapi.ConsumerConfig {
	all := s.Consumers()
	configs := make([]*jsapi.ConsumerConfig, 0, len(all))
	for _, o := range all {
		if o.Name() != except {
			configs = append(configs, o.Config())
		}
	}
	return configs
}

// checkStream judges a configuration before anything is known about the account: the name, then times that JSON cannot show.
func (c *call) checkStream(cfg *jsapi.StreamConfig) *jsapi.Error {
	if cfg.Name != c.Stream {
		return jsapi.StreamMismatch.Err()
	}
	if err := stream.CheckName(cfg.Name); err != nil {
		return err
	}
	return checkStreamTimes(cfg)
}
