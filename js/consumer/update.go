package consumer

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

func checkSampling(s string) error {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	switch {
	case err != nil:
		return jsapi.ConsumerInvalidSampling.Wrap(err)
	case n < 0:
		return jsapi.ConsumerInvalidSampling.Wrap(errors.New("<nil>"))
	}
	return nil
}

// ValidateNew checks what a new consumer must not do to the others of its stream: others are their configurations,
// those of mirrors and sources (Direct, Sourcing) do not count.
func ValidateNew(cfg *jsapi.ConsumerConfig, l *Limits, others []*jsapi.ConsumerConfig) error {
	if cfg.Direct || cfg.Sourcing {
		return nil
	}
	n := 0
	for _, o := range others {
		if !o.Direct && !o.Sourcing {
			n++
		}
	}
	most := l.Stream.MaxConsumers
	if most <= 0 || (l.AccountMaxConsumers > 0 && l.AccountMaxConsumers < most) {
		most = l.AccountMaxConsumers
	}
	if most <= 0 {
		most = l.DefaultMaxConsumers
	}
	if most > 0 && n >= most {
		return jsapi.MaximumConsumersLimit.Err()
	}
	if l.Stream.Retention != jsapi.WorkQueueRetention {
		return nil
	}
	switch {
	case cfg.AckPolicy != jsapi.AckExplicit && cfg.AckPolicy != jsapi.AckFlowControl:
		return jsapi.ConsumerWQRequiresExplicitAck.Err()
	case cfg.DeliverPolicy != jsapi.DeliverAll:
		return jsapi.ConsumerWQConsumerNotDeliverAll.Err()
	case n > 0 && len(FilterSubjects(cfg)) == 0:
		return jsapi.ConsumerWQMultipleUnfiltered.Err()
	case !disjoint(cfg, others):
		return jsapi.ConsumerWQConsumerNotUnique.Err()
	}
	return nil
}

// disjoint reports whether no message could go to cfg and to one of the others.
func disjoint(cfg *jsapi.ConsumerConfig, others []*jsapi.ConsumerConfig) bool {
	mine := orAll(FilterSubjects(cfg))
	for _, o := range others {
		if o.Direct || o.Sourcing {
			continue
		}
		for _, f := range orAll(FilterSubjects(o)) {
			if slices.ContainsFunc(mine, func(m string) bool { return subject.Collide(m, f) }) {
				return false
			}
		}
	}
	return true
}

func orAll(filters []string) []string {
	if len(filters) == 0 {
		return []string{">"}
	}
	return filters
}

// ValidateUpdate checks a change of configuration: cfg is valid by itself, others are the other consumers of the stream,
// bound tells that the present deliver subject has interest. Fields that can not change give error 10012.
func ValidateUpdate(old, cfg *jsapi.ConsumerConfig, l *Limits, others []*jsapi.ConsumerConfig, bound bool) error {
	if Same(old, cfg) {
		return nil
	}
	if l.Stream.Retention == jsapi.WorkQueueRetention && !disjoint(cfg, others) {
		return jsapi.ConsumerWQConsumerNotUnique.Err()
	}
	for _, f := range []struct {
		changed bool
		text    string
	}{
		{old.DeliverPolicy != cfg.DeliverPolicy, "deliver policy can not be updated"},
		{old.MemoryStorage != cfg.MemoryStorage, "storage type can not be updated"},
		{old.Direct != cfg.Direct, "direct can not be updated"},
		{old.Sourcing != cfg.Sourcing, "sourcing can not be updated"},
		{old.OptStartSeq != cfg.OptStartSeq, "start sequence can not be updated"},
		{!sameTime(old.OptStartTime, cfg.OptStartTime), "start time can not be updated"},
		{old.AckPolicy != cfg.AckPolicy, "ack policy can not be updated"},
		{old.ReplayPolicy != cfg.ReplayPolicy, "replay policy can not be updated"},
		{old.Heartbeat != cfg.Heartbeat, "heart beats can not be updated"},
		{old.FlowControl != cfg.FlowControl, "flow control can not be updated"},
		{old.Pull() && !cfg.Pull(), "can not update pull consumer to push based"},
		{!old.Pull() && cfg.Pull(), "can not update push consumer to pull based"},
	} {
		if f.changed {
			return jsapi.ConsumerCreate.Wrap(errors.New(f.text))
		}
	}
	if old.DeliverSubject != cfg.DeliverSubject && bound {
		return jsapi.ConsumerNameExist.Err()
	}
	if old.MaxWaiting != cfg.MaxWaiting {
		return jsapi.ConsumerCreate.Wrap(errors.New("max waiting can not be updated"))
	}
	return nil
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// Same reports whether two configurations mean the same: filters in any order and form, server metadata and the pause
// left out.
func Same(a, b *jsapi.ConsumerConfig) bool {
	if !sameFilters(a, b) || !sameTime(a.OptStartTime, b.OptStartTime) {
		return false
	}
	x, y := plain(a), plain(b)
	return reflect.DeepEqual(&x, &y)
}

// serverKeys begins the metadata keys of the server.
const serverKeys = "_nats."

func plain(cfg *jsapi.ConsumerConfig) jsapi.ConsumerConfig {
	c := *cfg
	c.FilterSubject, c.FilterSubjects, c.OptStartTime, c.PauseUntil = "", nil, nil, nil
	if c.Name == "" {
		c.Name = c.Durable
	}
	if len(c.BackOff) == 0 {
		c.BackOff = nil
	}
	if len(c.PriorityGroups) == 0 {
		c.PriorityGroups = nil
	}
	var meta map[string]string
	for k, v := range c.Metadata {
		if !strings.HasPrefix(k, serverKeys) {
			if meta == nil {
				meta = map[string]string{}
			}
			meta[k] = v
		}
	}
	c.Metadata = meta
	return c
}

// WithServerMetadata returns cfg as create, update, reset and info show it: with version and level of the server, and the level that it
// needs now, which a pause changes.
func WithServerMetadata(cfg *jsapi.ConsumerConfig, version string) *jsapi.ConsumerConfig {
	d := *cfg
	d.Metadata = make(map[string]string, len(cfg.Metadata)+3)
	maps.Copy(d.Metadata, cfg.Metadata)
	d.Metadata[jsapi.MetaRequiredLevel] = strconv.Itoa(RequiredLevel(cfg))
	d.Metadata[jsapi.MetaServerVersion] = version
	d.Metadata[jsapi.MetaServerLevel] = strconv.Itoa(jsapi.Level)
	return &d
}

// RequiredLevel returns the API level a configuration needs.
func RequiredLevel(cfg *jsapi.ConsumerConfig) int {
	switch {
	case cfg.AckPolicy == jsapi.AckFlowControl:
		return 4
	case (cfg.PauseUntil != nil && !cfg.PauseUntil.IsZero()) || cfg.PriorityPolicy != jsapi.PriorityNone || len(cfg.PriorityGroups) > 0 ||
		cfg.PriorityTimeout != 0:
		return 1
	}
	return 0
}
