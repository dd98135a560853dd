package consumer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// Bounds of configurations.
const (
	MaxNameLen        = 255
	maxDescriptionLen = 4096
	maxMetadataLen    = 128 << 10
	maxGroupLen       = 16

	defaultAckWait       = 30 * time.Second
	defaultMaxAckPending = 1000
	defaultMaxWaiting    = 512
	ackFlowHeartbeat     = time.Second
	minHeartbeat         = 100 * time.Millisecond
	minExpires           = time.Millisecond
)

// Limits are what bounds a configuration from outside; a limit that is not positive does not exist.
type Limits struct {
	Stream              *jsapi.StreamConfig
	Standalone          bool // no cluster: one replica only
	MaxAckPending       int  // of the server
	AccountAckPending   int
	MaxRequestBatch     int // of the server
	AccountMaxConsumers int
	DefaultMaxConsumers int // only if neither stream nor account has a limit
}

func pedantic(text string) error { return jsapi.Pedantic.Wrap(errors.New(text)) }

// SetDefaults fills what cfg leaves open; a pedantic request gets error 10157 where it would be changed silently.
func SetDefaults(cfg *jsapi.ConsumerConfig, l *Limits, strict bool) error {
	pull := cfg.Pull()
	if err := clampNegatives(cfg, strict); err != nil {
		return err
	}
	acks := cfg.AckPolicy == jsapi.AckExplicit || cfg.AckPolicy == jsapi.AckAll
	if pull && cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = defaultMaxWaiting
	}
	if acks && cfg.AckWait == 0 {
		cfg.AckWait = defaultAckWait
	}
	if len(cfg.BackOff) > 0 {
		if strict && cfg.AckWait != cfg.BackOff[0] {
			return pedantic("first backoff value has to equal batch AckWait")
		}
		cfg.AckWait = cfg.BackOff[0]
	}
	inherited := l.Stream.ConsumerLimits
	if cfg.MaxAckPending == 0 {
		if strict && inherited.MaxAckPending > 0 {
			return pedantic("max_ack_pending must be set if it's configured in stream limits")
		}
		cfg.MaxAckPending = inherited.MaxAckPending
	}
	if cfg.InactiveThreshold == 0 {
		if strict && inherited.InactiveThreshold > 0 {
			return pedantic("inactive_threshold must be set if it's configured in stream limits")
		}
		cfg.InactiveThreshold = inherited.InactiveThreshold
	}
	if cfg.MaxAckPending == 0 && cfg.AckPolicy != jsapi.AckNone {
		cfg.MaxAckPending = defaultMaxAckPending
		for _, limit := range []int{l.MaxAckPending, l.AccountAckPending} {
			if limit > 0 {
				cfg.MaxAckPending = min(cfg.MaxAckPending, limit)
			}
		}
	}
	if pull && cfg.MaxRequestBatch == 0 && l.MaxRequestBatch > 0 {
		if strict {
			return pedantic("max_request_batch must be set if it's JetStream limits are set")
		}
		cfg.MaxRequestBatch = l.MaxRequestBatch
	}
	if cfg.PriorityPolicy == jsapi.PriorityPinned && cfg.PriorityTimeout == 0 {
		cfg.PriorityTimeout = defaultPinTimeout
	}
	if cfg.AckPolicy == jsapi.AckFlowControl && !strict {
		cfg.FlowControl = true
		cfg.Heartbeat = ackFlowHeartbeat
	}
	return nil
}

// clampNegatives replaces values without a meaning by the nearest one that has.
func clampNegatives(cfg *jsapi.ConsumerConfig, strict bool) error {
	if cfg.MaxDeliver < -1 && strict {
		return pedantic("max_deliver must be set to -1")
	}
	if cfg.MaxDeliver == 0 || cfg.MaxDeliver < -1 {
		cfg.MaxDeliver = -1
	}
	if cfg.MaxWaiting < 0 {
		if strict {
			return pedantic("max_waiting must not be negative")
		}
		cfg.MaxWaiting = 0
	}
	if cfg.MaxAckPending < -1 {
		if strict {
			return pedantic("max_ack_pending must be set to -1")
		}
		cfg.MaxAckPending = -1
	}
	for _, f := range []struct {
		name string
		n    *int
		d    *time.Duration
	}{
		{name: "max_batch", n: &cfg.MaxRequestBatch},
		{name: "max_expires", d: &cfg.MaxRequestExpires},
		{name: "max_bytes", n: &cfg.MaxRequestMaxBytes},
		{name: "idle_heartbeat", d: &cfg.Heartbeat},
		{name: "inactive_threshold", d: &cfg.InactiveThreshold},
		{name: "priority_timeout", d: &cfg.PriorityTimeout},
	} {
		negative := (f.n != nil && *f.n < 0) || (f.d != nil && *f.d < 0)
		switch {
		case !negative:
		case strict:
			return pedantic(f.name + " must not be negative")
		case f.n != nil:
			*f.n = 0
		default:
			*f.d = 0
		}
	}
	return nil
}

// Validate checks a configuration that has its defaults; the error is what the API answers. The first violated rule in
// the order of nats-server decides.
func Validate(cfg *jsapi.ConsumerConfig, l *Limits) error {
	for _, check := range []func(*jsapi.ConsumerConfig, *Limits) error{
		checkNames, checkReplicas, checkWaits, checkAckFlow, checkDescription, checkDelivery, checkLimits, checkDirect,
		checkFilters, checkStart, checkRest, checkGroups,
	} {
		if err := check(cfg, l); err != nil {
			return err
		}
	}
	return nil
}

// ValidName reports whether a stream or consumer may have this name, apart from its length.
func ValidName(s string) bool { return s != "" && !strings.ContainsAny(s, " \t\r\n\f.*>\\/") }

func invalid(text string) error { return jsapi.StreamInvalidConfig.Wrap(errors.New(text)) }

func checkNames(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if cfg.Name != "" && !ValidName(cfg.Name) {
		return invalid(`consumer name can not contain '.', '*', '>', '\', '/'`)
	}
	if cfg.Durable != "" && !ValidName(cfg.Durable) {
		return invalid(`consumer durable name can not contain '.', '*', '>', '\', '/'`)
	}
	if len(cfg.Name) > MaxNameLen || len(cfg.Durable) > MaxNameLen {
		return jsapi.ConsumerNameTooLong.With("max", MaxNameLen)
	}
	return nil
}

func checkReplicas(cfg *jsapi.ConsumerConfig, l *Limits) error {
	switch {
	case cfg.Replicas > 1 && l.Standalone:
		return jsapi.StreamReplicasNotSupported.Err()
	case cfg.Replicas > l.Stream.Replicas:
		return jsapi.ConsumerReplicasExceedsStream.Err()
	case cfg.Replicas < 0:
		return jsapi.ReplicasCountCannotBeNegative.Err()
	case l.Stream.Retention != jsapi.LimitsRetention && cfg.Replicas != 0 && cfg.Replicas != l.Stream.Replicas:
		return jsapi.ConsumerReplicasShouldMatchStream.Err()
	}
	return nil
}

func checkWaits(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if cfg.AckPolicy > jsapi.AckFlowControl {
		return jsapi.ConsumerAckPolicyInvalid.Err()
	}
	if cfg.ReplayPolicy > jsapi.ReplayOriginal {
		return jsapi.ConsumerReplayPolicyInvalid.Err()
	}
	for _, d := range cfg.BackOff {
		if d < 0 {
			return jsapi.ConsumerBackOffNegative.Err()
		}
	}
	if cfg.AckWait < 0 {
		return jsapi.ConsumerAckWaitNegative.Err()
	}
	return nil
}

func checkAckFlow(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if cfg.AckPolicy != jsapi.AckFlowControl {
		return nil
	}
	switch {
	case cfg.Pull():
		return jsapi.ConsumerAckFCRequiresPush.Err()
	case !cfg.FlowControl:
		return jsapi.ConsumerAckFCRequiresFC.Err()
	case cfg.Heartbeat != ackFlowHeartbeat:
		return invalid("flow control ack policy heartbeat needs to be 1s")
	case cfg.MaxAckPending <= 0:
		return jsapi.ConsumerAckFCRequiresMaxAckPending.Err()
	case cfg.AckWait != 0 || len(cfg.BackOff) > 0:
		return jsapi.ConsumerAckFCRequiresNoAckWait.Err()
	case cfg.MaxDeliver > 0:
		return jsapi.ConsumerAckFCRequiresNoMaxDeliver.Err()
	}
	return nil
}

func checkDescription(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if n := len(cfg.BackOff); n > 0 && cfg.MaxDeliver != -1 && n > cfg.MaxDeliver {
		return jsapi.ConsumerMaxDeliverBackoff.Err()
	}
	if len(cfg.Description) > maxDescriptionLen {
		return jsapi.ConsumerDescriptionTooLong.With("max", maxDescriptionLen)
	}
	return nil
}

func checkDelivery(cfg *jsapi.ConsumerConfig, l *Limits) error {
	if cfg.Pull() {
		return checkPull(cfg, l)
	}
	switch {
	case subject.HasWildcard(cfg.DeliverSubject):
		return jsapi.ConsumerDeliverToWildcards.Err()
	case !subject.Valid(cfg.DeliverSubject):
		return jsapi.ConsumerInvalidDeliverSubject.Err()
	case formsCycle(cfg.DeliverSubject, l.Stream.Subjects):
		return jsapi.ConsumerDeliverCycle.Err()
	case cfg.MaxWaiting != 0:
		return jsapi.ConsumerPushMaxWaiting.Err()
	case cfg.MaxAckPending > 0 && cfg.AckPolicy == jsapi.AckNone:
		return jsapi.ConsumerMaxPendingAckPolicyRequired.Err()
	case cfg.Heartbeat > 0 && cfg.Heartbeat < minHeartbeat:
		return jsapi.ConsumerSmallHeartbeat.Err()
	}
	return nil
}

func formsCycle(deliver string, subjects []string) bool {
	for _, s := range subjects {
		if subject.IsSubset(deliver, s) {
			return true
		}
	}
	return false
}

func checkPull(cfg *jsapi.ConsumerConfig, l *Limits) error {
	switch {
	case cfg.AckPolicy == jsapi.AckNone && l.Stream.Retention == jsapi.WorkQueueRetention:
		return jsapi.ConsumerPullRequiresAck.Err()
	case cfg.RateLimit > 0:
		return jsapi.ConsumerPullWithRateLimit.Err()
	case cfg.MaxWaiting < 0:
		return jsapi.ConsumerMaxWaitingNegative.Err()
	case cfg.Heartbeat > 0:
		return jsapi.ConsumerHBRequiresPush.Err()
	case cfg.FlowControl:
		return jsapi.ConsumerFCRequiresPush.Err()
	case cfg.MaxRequestBatch < 0:
		return jsapi.ConsumerMaxRequestBatchNegative.Err()
	case cfg.MaxRequestExpires != 0 && cfg.MaxRequestExpires < minExpires:
		return jsapi.ConsumerMaxRequestExpiresTooSmall.Err()
	case l.MaxRequestBatch > 0 && cfg.MaxRequestBatch > l.MaxRequestBatch:
		return jsapi.ConsumerMaxRequestBatchExceeded.With("limit", l.MaxRequestBatch)
	}
	return nil
}

func checkLimits(cfg *jsapi.ConsumerConfig, l *Limits) error {
	of := l.Stream.ConsumerLimits
	for _, limit := range []int{l.MaxAckPending, l.AccountAckPending, of.MaxAckPending} {
		if limit > 0 && cfg.MaxAckPending > limit {
			return jsapi.ConsumerMaxPendingAckExcess.With("limit", limit)
		}
	}
	if of.InactiveThreshold > 0 && cfg.InactiveThreshold > of.InactiveThreshold {
		return jsapi.ConsumerInactiveThresholdExcess.With("limit", of.InactiveThreshold)
	}
	return nil
}

func checkDirect(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	switch {
	case cfg.Direct && cfg.Pull():
		return jsapi.ConsumerDirectRequiresPush.Err()
	case cfg.Direct && cfg.Durable != "":
		return jsapi.ConsumerDirectRequiresEphemeral.Err()
	}
	return nil
}

func checkFilters(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	const bad = "invalid subject"
	if cfg.FilterSubject != "" && len(cfg.FilterSubjects) > 0 {
		return jsapi.ConsumerDuplicateFilterSubjects.Err()
	}
	if cfg.FilterSubject != "" && !subject.Valid(cfg.FilterSubject) {
		return invalid(bad)
	}
	for _, f := range cfg.FilterSubjects {
		if f == "" {
			return jsapi.ConsumerEmptyFilter.Err()
		}
	}
	for i, f := range cfg.FilterSubjects {
		if !subject.Valid(f) {
			return invalid(bad)
		}
		for k, g := range cfg.FilterSubjects {
			if k != i && subject.Valid(g) && subject.IsSubset(f, g) {
				return jsapi.ConsumerOverlappingSubjectFilters.Err()
			}
		}
	}
	return nil
}

// checkStart refuses start options that do not belong to the deliver policy.
func checkStart(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	seq, at := cfg.OptStartSeq > 0, cfg.OptStartTime != nil
	set := func(policy, what string) error {
		return jsapi.ConsumerInvalidPolicy.Wrap(fmt.Errorf("consumer delivery policy is deliver %s, but optional start %s is also set", policy, what))
	}
	unset := func(policy, what string) error {
		return jsapi.ConsumerInvalidPolicy.Wrap(fmt.Errorf("consumer delivery policy is deliver %s, but optional %s is not set", policy, what))
	}
	switch cfg.DeliverPolicy {
	case jsapi.DeliverByStartSequence:
		if !seq {
			return unset("by start sequence", "start sequence")
		}
		if at {
			return set("by start sequence", "time")
		}
		return nil
	case jsapi.DeliverByStartTime:
		if !at {
			return unset("by start time", "start time")
		}
		if seq {
			return set("by start time", "start sequence")
		}
		return nil
	}
	policy := strings.ReplaceAll(cfg.DeliverPolicy.String(), "_", " ")
	switch {
	case seq:
		return set(policy, "sequence")
	case at:
		return set(policy, "time")
	case cfg.DeliverPolicy == jsapi.DeliverLastPerSubject && cfg.FilterSubject == "" && len(cfg.FilterSubjects) == 0:
		return unset(policy, "filter subject")
	}
	return nil
}

func checkRest(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if cfg.SampleFrequency != "" {
		if err := checkSampling(cfg.SampleFrequency); err != nil {
			return err
		}
	}
	switch {
	case cfg.FlowControl && cfg.Heartbeat == 0:
		return jsapi.ConsumerWithFlowControlNeedsHeartbeats.Err()
	case cfg.Durable != "" && cfg.Name != "" && cfg.Name != cfg.Durable:
		return jsapi.ConsumerCreateDurableAndNameMismatch.Err()
	}
	size := 0
	for k, v := range cfg.Metadata {
		size += len(k) + len(v)
	}
	if size > maxMetadataLen {
		return jsapi.ConsumerMetadataLength.With("limit", fmt.Sprintf("%dKB", maxMetadataLen>>10))
	}
	return nil
}

func checkGroups(cfg *jsapi.ConsumerConfig, _ *Limits) error {
	if cfg.PriorityPolicy == jsapi.PriorityNone {
		switch {
		case len(cfg.PriorityGroups) > 0:
			return jsapi.ConsumerPriorityGroupWithPolicyNone.Err()
		case cfg.PriorityTimeout > 0:
			return jsapi.ConsumerPinnedTTLWithoutPriorityPolicyNone.Err()
		}
		return nil
	}
	switch {
	case !cfg.Pull():
		return jsapi.ConsumerPushWithPriorityGroup.Err()
	case len(cfg.PriorityGroups) == 0:
		return jsapi.ConsumerPriorityPolicyWithoutGroup.Err()
	}
	for _, g := range cfg.PriorityGroups {
		if g == "" {
			return jsapi.ConsumerEmptyGroupName.Err()
		}
		if !ValidGroup(g) {
			return jsapi.ConsumerInvalidGroupName.Err()
		}
	}
	return nil
}

// ValidGroup reports whether a priority group may have this name.
func ValidGroup(g string) bool {
	if g == "" || len(g) > maxGroupLen {
		return false
	}
	for i := range len(g) {
		switch c := g[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '/' || c == '_' || c == '=' || c == '-':
		default:
			return false
		}
	}
	return true
}
