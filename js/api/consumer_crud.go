package api

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/js/advisory"
	"ramjet/js/consumer"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// ephemeralThreshold is how long an ephemeral consumer may be out of use if it does not say.
const ephemeralThreshold = 5 * time.Second

// creation is a consumer create request on its way.
type creation struct {
	*call
	req      jsapi.CreateConsumerRequest
	cfg      *jsapi.ConsumerConfig // of req
	in       Stream
	limits   consumer.Limits
	existing Consumer
	legacy   bool   // the name is generated
	identity string // of the stream, if the consumer is internal
}

// consumerCreate answers all forms of CONSUMER.CREATE and CONSUMER.DURABLE.CREATE.
func (c *call) consumerCreate() (any, *jsapi.Error) {
	n := &creation{call: c}
	n.cfg = &n.req.Config
	if err := c.decode(&n.req); err != nil {
		return nil, err
	}
	if err := c.gate(); err != nil {
		return nil, err
	}
	if err := n.names(); err != nil {
		return nil, err
	}
	if err := checkTimes(n.cfg.OptStartTime, n.cfg.PauseUntil); err != nil {
		return nil, err
	}
	if n.cfg.Replicas > 1 {
		return nil, jsapi.StreamReplicasNotSupported.Err()
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	var err *jsapi.Error
	if n.in, err = c.stream(); err != nil {
		return nil, err
	}
	if why := n.in.Offline(); why != "" {
		return nil, streamOffline(why)
	}
	if err := n.internal(); err != nil {
		return nil, err
	}
	if n.cfg.Name != "" {
		n.existing = n.in.Consumer(n.cfg.Name)
	}
	if err := n.keep(); err != nil {
		return nil, err
	}
	n.metadata()
	if err := n.validate(); err != nil {
		return nil, err
	}
	o := n.existing
	if o != nil {
		err = n.update()
	} else {
		o, err = n.create()
	}
	if err != nil {
		return nil, err
	}
	return n.created(o)
}

// names holds the names in subject and body against each other; afterwards the configuration has the name, if there is one.
func (n *creation) names() *jsapi.Error {
	cfg := n.cfg
	durable := n.Endpoint == jsapi.ConsumerDurableCreate
	name := n.Consumer
	if name == "" {
		name = cfg.Name
	}
	switch {
	case n.Stream != n.req.Stream:
		return jsapi.StreamMismatch.Err()
	case strings.ContainsAny(name, `\/`):
		return jsapi.ConsumerNameContainsPathSeparators.Err()
	case durable && cfg.Durable == "":
		return jsapi.ConsumerDurableNameNotSet.Err()
	case n.Consumer != "" && cfg.Durable != "" && cfg.Durable != n.Consumer:
		return jsapi.ConsumerDurableNameNotMatchSubject.Err()
	case n.Consumer == "" && cfg.Durable != "":
		return jsapi.ConsumerEphemeralWithDurableName.Err()
	case n.Rest != "" && len(cfg.FilterSubjects) != 0:
		return jsapi.ConsumerMultipleFiltersNotAllowed.Err()
	case n.Rest != "" && cfg.FilterSubject != n.Rest:
		return jsapi.ConsumerCreateFilterSubjectMismatch.Err()
	}
	cfg.Name = name
	return nil
}

// internal prepares the consumer of a mirror or source. Its name is stable at the other end: on a stream with limits every new one
// gets a suffix, on others it is one durable consumer that acknowledges by flow control.
func (n *creation) internal() *jsapi.Error {
	cfg := n.cfg
	if cfg.Direct && cfg.Sourcing && cfg.Name != "" {
		if n.in.Config().Retention != jsapi.LimitsRetention {
			cfg.Direct, cfg.Durable, cfg.AckPolicy = false, cfg.Name, jsapi.AckFlowControl
			cfg.AckWait, cfg.MaxDeliver, cfg.InactiveThreshold = 0, 0, 0
		} else {
			cfg.Name += "-" + jsapi.HashName(n.router.node.Random())
		}
	}
	if !cfg.Direct && !cfg.Sourcing {
		return nil
	}
	n.identity = streamIdentity(n.in)
	if want := header.Get(n.call.req.Header, jsapi.HdrStreamIdentity); len(want) > 0 && string(want) != n.identity {
		return jsapi.ConsumerStreamIdentityMismatch.With("msg", n.identity, "identity", n.identity)
	}
	return nil
}

// streamIdentity tells a stream from an earlier or later one of the same name.
func streamIdentity(s Stream) string { return jsapi.Hash(s.Created().UTC().Format(time.RFC3339Nano)) }

// keep takes over what a new configuration can not change in an existing consumer.
func (n *creation) keep() *jsapi.Error {
	if n.existing == nil {
		return nil
	}
	if why := n.existing.Offline(); why != "" {
		return consumerOffline(why)
	}
	old := n.existing.Config()
	n.cfg.PauseUntil = old.PauseUntil
	if n.cfg.Sourcing && n.cfg.Durable != "" {
		n.cfg.DeliverPolicy, n.cfg.OptStartSeq, n.cfg.OptStartTime = old.DeliverPolicy, old.OptStartSeq, old.OptStartTime
	}
	return nil
}

// metadata replaces what only a server may write.
func (n *creation) metadata() {
	m := make(map[string]string, len(n.cfg.Metadata)+1)
	maps.Copy(m, n.cfg.Metadata)
	delete(m, jsapi.MetaServerVersion)
	delete(m, jsapi.MetaServerLevel)
	m[jsapi.MetaRequiredLevel] = strconv.Itoa(consumer.RequiredLevel(n.cfg))
	n.cfg.Metadata = m
}

// validate sets the defaults and checks the configuration by itself.
func (n *creation) validate() *jsapi.Error {
	tier, err := n.acc.Tier(1)
	if err != nil {
		return err
	}
	n.limits = consumer.Limits{
		Stream: n.in.Config(), Standalone: true, MaxAckPending: n.srv.MaxAckPending, AccountAckPending: tier.MaxAckPending,
		MaxRequestBatch: n.srv.MaxRequestBatch, AccountMaxConsumers: tier.MaxConsumers,
		DefaultMaxConsumers: n.srv.DefaultMaxConsumers,
	}
	if err := consumer.SetDefaults(n.cfg, &n.limits, n.req.Pedantic); err != nil {
		return jsapi.ConsumerCreate.Wrap(err)
	}
	if err := consumer.Validate(n.cfg, &n.limits); err != nil {
		return jsapi.ConsumerCreate.Wrap(err)
	}
	return nil
}

// update changes the existing consumer.
func (n *creation) update() *jsapi.Error {
	old := n.existing.Config()
	if n.req.Action == jsapi.ActionCreate && !identical(old, n.cfg) {
		return jsapi.ConsumerAlreadyExists.Err()
	}
	if old.Durable == "" && n.cfg.InactiveThreshold == 0 {
		n.cfg.InactiveThreshold = ephemeralThreshold
	}
	if identical(old, n.cfg) {
		return nil
	}
	bound := !old.Pull() && n.in.Bound(old.DeliverSubject, old.DeliverGroup)
	if err := consumer.ValidateUpdate(old, n.cfg, &n.limits, configsOf(n.in, n.cfg.Name), bound); err != nil {
		return jsapi.ConsumerCreate.Wrap(err)
	}
	return n.existing.Update(n.cfg)
}

// identical reports whether two configurations mean the same and are shown the same: filters have two forms.
func identical(a, b *jsapi.ConsumerConfig) bool {
	return consumer.Same(a, b) && a.FilterSubject == b.FilterSubject && slices.Equal(a.FilterSubjects, b.FilterSubjects)
}

// create makes a new consumer.
func (n *creation) create() (Consumer, *jsapi.Error) {
	if n.req.Action == jsapi.ActionUpdate {
		return nil, jsapi.ConsumerDoesNotExist.Err()
	}
	if err := consumer.ValidateNew(n.cfg, &n.limits, configsOf(n.in, "")); err != nil {
		return nil, jsapi.ConsumerCreate.Wrap(err)
	}
	if n.cfg.Durable == "" && n.cfg.InactiveThreshold == 0 {
		n.cfg.InactiveThreshold = ephemeralThreshold
	}
	name := n.cfg.Name
	for n.legacy = name == ""; name == "" || n.legacy && n.in.Consumer(name) != nil; {
		name = jsapi.HashName(n.router.node.Random())
	}
	o, err := n.in.CreateConsumer(name, n.cfg, n.legacy)
	if err != nil {
		return nil, err
	}
	n.adviseConsumer(advisory.ConsumerCreated, name)
	return o, nil
}

// created answers, and tells of a pause.
func (n *creation) created(o Consumer) (any, *jsapi.Error) {
	info := n.consumerInfoOf(o)
	if info == nil {
		return nil, jsapi.ConsumerCreate.Wrap(errors.New("consumer closed"))
	}
	if n.identity != "" {
		n.hdr = header.AppendAdd(nil, nil, jsapi.HdrStreamIdentity, []byte(n.identity))
	}
	n.after = func() {
		o.Begin()
		if until := info.Config.PauseUntil; until != nil && n.router.node.Now().Before(*until) {
			n.advisePause(info.Name, *until)
		}
	}
	return &jsapi.ConsumerResponse{ConsumerInfo: info}, nil
}

// consumerDelete answers CONSUMER.DELETE.
func (c *call) consumerDelete() (any, *jsapi.Error) {
	if err := c.decode(nil); err != nil {
		return nil, err
	}
	c.acc.Lock()
	defer c.acc.Unlock()
	o, err := c.consumer()
	if err != nil {
		return nil, err
	}
	if err := o.Delete(); err != nil {
		return nil, err
	}
	c.adviseConsumer(advisory.ConsumerDeleted, c.Consumer)
	return &jsapi.SuccessResponse{Success: true}, nil
}

// consumerInfo answers CONSUMER.INFO. Its body is judged first.
func (c *call) consumerInfo() (any, *jsapi.Error) {
	if err := c.decode(nil); err != nil {
		return nil, err
	}
	if err := c.gate(); err != nil {
		return nil, err
	}
	o, err := c.consumer()
	if err != nil {
		return nil, err
	}
	if why := o.Offline(); why != "" {
		return nil, consumerOffline(why)
	}
	info := c.consumerInfoOf(o)
	if info == nil {
		return nil, jsapi.ConsumerNotFound.Err()
	}
	return &jsapi.ConsumerResponse{ConsumerInfo: info}, nil
}

// consumer returns the consumer of the subject.
func (c *call) consumer() (Consumer, *jsapi.Error) {
	s, err := c.stream()
	if err != nil {
		return nil, err
	}
	if o := s.Consumer(c.Consumer); o != nil {
		return o, nil
	}
	return nil, jsapi.ConsumerNotFound.Err()
}

// consumerInfoOf returns the information of create and info; nil if the consumer is gone.
func (c *call) consumerInfoOf(o Consumer) *jsapi.ConsumerInfo {
	info := o.Info()
	if info == nil || info.Config == nil {
		return nil
	}
	info.Config = consumer.WithServerMetadata(info.Config, c.srv.Version)
	return info
}

// showLevel replaces the configuration by a copy that tells the API level it needs now: a pause changes it.
func showLevel(info *jsapi.ConsumerInfo) {
	cfg := *info.Config
	cfg.Metadata = make(map[string]string, len(info.Config.Metadata)+3)
	maps.Copy(cfg.Metadata, info.Config.Metadata)
	cfg.Metadata[jsapi.MetaRequiredLevel] = strconv.Itoa(consumer.RequiredLevel(&cfg))
	info.Config = &cfg
}

func (c *call) adviseConsumer(kind, name string) {
	c.router.advise(c.req.Account, kind, c.Stream, name, func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.Consumer(kind, c.Stream, name, now)
	})
}

func (c *call) advisePause(name string, until time.Time) {
	c.router.advise(c.req.Account, advisory.ConsumerPaused, c.Stream, name, func(b *advisory.Builder, now time.Time) advisory.Message {
		return b.Pause(c.Stream, name, until, now)
	})
}

func consumerOffline(why string) *jsapi.Error { return jsapi.ConsumerOfflineReason.With("err", why) }
