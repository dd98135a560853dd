package account

import (
	"ramjet/engine/config"
	"ramjet/proto/subject"
)

// Snapshot is the immutable part that a reload replaces.
type Snapshot struct {
	// Limits: -1 none.
	Limits       config.AccountLimits
	DefaultPerms *config.Permissions
	// Map returns the mapped subject of a message published by a client or leafnode (auth.md section
	// 4): ok false drops it; out aliases in when nothing maps. rnd chooses among weighted
	// destinations. nil Map = no mappings.
	Map func(in, scratch []byte, rnd uint64) (out []byte, mapped, ok bool)
	// Mappings is what Map applies; its sources count as interest towards leafnodes. nil = none.
	Mappings *subject.Table
	System   bool
	// TraceDest is where messages that ask for a trace with a traceparent are traced, "" for nowhere; TraceSampling the percentage of
	// them that is.
	TraceDest     string
	TraceSampling int
	// JetStream is what the account may use of it, nil when it is not enabled for it.
	JetStream *JetStream
	// Claims is the JWT of the account in operator mode, else nil.
	Claims *Claims
	// Exchange is what the account exports and imports, nil for nothing. Incomplete counts imports of the
	// JWT that are not in force.
	Exchange   *Exchange
	Incomplete int
}

var unlimited = config.AccountLimits{MaxConn: -1, MaxSubs: -1, MaxPayload: -1, MaxLeafs: -1}

// limitsOf returns the limits of a configured account. A block that a program never filled (all zero)
// means none; in a file an absent limit is -1, and zero is a limit.
func limitsOf(c *config.Account) config.AccountLimits {
	if c == nil || c.Pos == "" && c.Limits == (config.AccountLimits{}) {
		return unlimited
	}
	return c.Limits
}
