package account

import (
	"slices"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/config"
)

// JetStream is what an account may use of JetStream: either Flat or Tiers is set. Immutable.
type JetStream struct {
	Flat *config.AccountJetStream
	// Tiers are limits by tier ("R1", "R3", ...); a replica count without a tier is not allowed.
	Tiers map[string]config.AccountJetStream
}

var unlimitedJS = config.AccountJetStream{Enabled: true, MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1,
	MemMaxStreamBytes: -1, DiskMaxStreamBytes: -1, MaxAckPending: -1}

// jetStreamOf returns what the account called name may use by configuration, nil for nothing. Accounts that are configured must
// ask for it; without any, the global account has it.
func jetStreamOf(opts *config.Options, name string, c *config.Account, system bool) *JetStream {
	switch {
	case system:
		return nil
	case c != nil:
		if c.JetStream == nil || !c.JetStream.Enabled {
			return nil
		}
		return &JetStream{Flat: limitsJS(*c.JetStream)}
	case name == Global && globalOnly(opts):
		return &JetStream{Flat: limitsJS(unlimitedJS)}
	}
	return nil
}

// globalOnly reports that there are no accounts but the global one and that of the system.
func globalOnly(o *config.Options) bool {
	others := slices.ContainsFunc(o.Accounts, func(a *config.Account) bool { return a.Name != systemName(o) })
	return !others && len(o.Operators) == 0 && len(o.TrustedKeys) == 0
}

// limitsJS fills in what is not limited. A block that a program never filled means no limits; of counts and sizes of single streams
// 0 is none.
func limitsJS(j config.AccountJetStream) *config.AccountJetStream {
	if j == (config.AccountJetStream{Enabled: true}) {
		j = unlimitedJS
	}
	for _, n := range []*int64{&j.MaxMemory, &j.MaxStore} {
		*n = max(*n, -1)
	}
	for _, n := range []*int64{&j.MemMaxStreamBytes, &j.DiskMaxStreamBytes} {
		if *n <= 0 {
			*n = -1
		}
	}
	for _, n := range []*int{&j.MaxStreams, &j.MaxConsumers, &j.MaxAckPending} {
		if *n <= 0 {
			*n = -1
		}
	}
	return &j
}

// claimsJS converts the limits of an account JWT, nil when JetStream is not enabled by it.
func claimsJS(l *jwt.OperatorLimits) *JetStream {
	if !l.IsJSEnabled() {
		return nil
	}
	one := func(l jwt.JetStreamLimits) *config.AccountJetStream {
		return limitsJS(config.AccountJetStream{
			Enabled: true, MaxMemory: l.MemoryStorage, MaxStore: l.DiskStorage, MaxStreams: limit(l.Streams), MaxConsumers: limit(l.Consumer),
			MaxBytesRequired: l.MaxBytesRequired, MemMaxStreamBytes: l.MemoryMaxStreamBytes, DiskMaxStreamBytes: l.DiskMaxStreamBytes,
			MaxAckPending: limit(l.MaxAckPending),
		})
	}
	if len(l.JetStreamTieredLimits) == 0 {
		return &JetStream{Flat: one(l.JetStreamLimits)}
	}
	j := &JetStream{Tiers: map[string]config.AccountJetStream{}}
	for tier, t := range l.JetStreamTieredLimits {
		j.Tiers[tier] = *one(t)
	}
	return j
}
