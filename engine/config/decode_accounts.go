package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/conf"
	"ramjet/proto/subject"

	"github.com/nats-io/nkeys"
)

// globalAccount is the account of clients without one; its name is reserved.
const globalAccount = "$G"

// accounts decodes an array of names or a map of accounts.
func accounts(d *decoder, o *Options, e *conf.Entry) {
	o.note("accounts", e.Pos)
	o.Accounts = nil
	switch e.Value.Kind {
	case conf.Array:
		for _, item := range e.Value.Items {
			if item.Kind != conf.String {
				d.errorf(item.Pos, "accounts: expected the name of an account, got %s", describe(item))
				continue
			}
			d.newAccount(item.Pos, item.Str)
		}
	case conf.Map:
		for _, x := range e.Value.Map.Entries {
			if x.Value.Kind != conf.Map {
				// A string or number here may be the definition of a variable.
				if !x.Used {
					d.errorf(x.Pos, "Expected map entries for accounts, got %s", describe(x.Value))
				}
				continue
			}
			if x.Used { // a template for accounts or for parts of them
				continue
			}
			if a := d.newAccount(x.Pos, x.Key); a != nil {
				accountBlock.decode(d, a, x.Value.Map)
				for _, u := range a.Users {
					u.Account = a.Name
				}
			}
		}
		d.later = append(d.later, func() { d.checkImports(o) })
	default:
		d.typeError(e, "an array of names or a map of accounts")
	}
}

func (d *decoder) newAccount(pos conf.Pos, name string) *Account {
	if name == globalAccount {
		d.errorf(pos, "%q is a Reserved Account", name)
		return nil
	}
	if slices.ContainsFunc(d.opts.Accounts, func(a *Account) bool { return a.Name == name }) {
		d.errorf(pos, "Duplicate Account Entry: %s", name)
		return nil
	}
	a := &Account{Name: name, Pos: where(pos), Limits: AccountLimits{-1, -1, -1, -1}}
	d.opts.Accounts = append(d.opts.Accounts, a)
	return a
}

var accountBlock *block[Account]

func init() {
	accountBlock = newBlock(unknownField,
		key[Account]{"nkey", func(d *decoder, a *Account, e *conf.Entry) {
			s, ok := d.str(e)
			if ok && !nkeys.IsValidPublicAccountKey(s) {
				d.errorf(e.Pos, "Not a valid public nkey for an account: %q", s)
			}
			a.Nkey = s
		}},
		key[Account]{"users", func(d *decoder, a *Account, e *conf.Entry) { a.Users = d.users(e) }},
		key[Account]{"imports", func(d *decoder, a *Account, e *conf.Entry) { a.Imports = d.imports(a, e) }},
		key[Account]{"exports", func(d *decoder, a *Account, e *conf.Entry) { a.Exports = d.exports(a, e) }},
		key[Account]{"mappings maps", func(d *decoder, a *Account, e *conf.Entry) { a.Mappings = d.mappings(e) }},
		key[Account]{"limits", func(d *decoder, a *Account, e *conf.Entry) {
			if e.Value.Kind != conf.Map {
				d.errorf(e.Pos, "Expected account limits to be a map/struct, got %s", describe(e.Value))
				return
			}
			limitsBlock.decode(d, &a.Limits, e.Value.Map)
		}},
		key[Account]{"default_permissions", func(d *decoder, a *Account, e *conf.Entry) { a.DefaultPerms = d.permissions(e) }},
		key[Account]{"jetstream", accountJetStream},
		key[Account]{"msg_trace trace_dest", accountTrace},
	)
}

var limitsBlock = newBlock("Unknown field \"%s\" parsing account limits",
	key[AccountLimits]{"max_connections max_conn", integer(func(l *AccountLimits) *int { return &l.MaxConn })},
	key[AccountLimits]{"max_subscriptions max_subs", integer(func(l *AccountLimits) *int { return &l.MaxSubs })},
	key[AccountLimits]{"max_payload max_pay", integer(func(l *AccountLimits) *int { return &l.MaxPayload })},
	key[AccountLimits]{"max_leafnodes max_leafs", integer(func(l *AccountLimits) *int { return &l.MaxLeafs })},
)

func accountTrace(d *decoder, a *Account, e *conf.Entry) {
	a.TraceSampling = 100
	switch e.Value.Kind {
	case conf.String:
		d.traceDest(a, e)
	case conf.Map:
		traceBlock(e.Key).decode(d, a, e.Value.Map)
	default:
		d.errorf(e.Pos, "Expected account message trace %q to be a string or a map/struct, got %s", e.Key, kind(e.Value))
	}
}

func (d *decoder) traceDest(a *Account, e *conf.Entry) {
	if e.Value.Kind != conf.String {
		d.errorf(e.Pos, "Field %q should be a string, got %s", e.Key, kind(e.Value))
		return
	}
	if e.Value.Str != "" && !subject.ValidLiteral(e.Value.Str) {
		d.errorf(e.Pos, "Trace destination %q is not valid", e.Value.Str)
		return
	}
	a.TraceDest = e.Value.Str
}

func traceBlock(name string) *block[Account] {
	return newBlock("Unknown field \"%s\" parsing account message trace map/struct \""+strings.ReplaceAll(name, "%", "%%")+"\"",
		key[Account]{"dest", func(d *decoder, a *Account, e *conf.Entry) { d.traceDest(a, e) }},
		key[Account]{"sampling", func(d *decoder, a *Account, e *conf.Entry) {
			n, ok := d.percent(e, "Trace destination sampling field %q should be an integer or a percentage, got %s", "Invalid trace destination sampling value %q")
			if ok && (n < 1 || n > 100) {
				// The typing mistake is the peer's.
				d.errorf(e.Pos, "Ttrace destination sampling value %d is invalid, needs to be [1..100]", n)
				return
			}
			a.TraceSampling = int(n)
		}})
}

// percent takes an integer or a string such as "10%".
func (d *decoder) percent(e *conf.Entry, badType, badText string) (int64, bool) {
	switch e.Value.Kind {
	case conf.Int:
		return e.Value.Int, true
	case conf.String:
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(e.Value.Str, "%")), 10, 32)
		if err != nil {
			d.errorf(e.Pos, badText, e.Value.Str)
			return 0, false
		}
		return n, true
	}
	d.errorf(e.Pos, badType, e.Key, kind(e.Value))
	return 0, false
}

func accountJetStream(d *decoder, a *Account, e *conf.Entry) {
	j := &AccountJetStream{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MemMaxStreamBytes: -1, DiskMaxStreamBytes: -1, MaxAckPending: -1}
	switch e.Value.Kind {
	case conf.Bool:
		j.Enabled = e.Value.Bool
	case conf.String:
		switch s := strings.ToLower(e.Value.Str); s {
		case "enabled", "enable":
			j.Enabled = true
		case "disabled", "disable":
		default:
			d.errorf(e.Pos, "Expected 'enabled' or 'disabled' for string value, got '%s'", e.Value.Str)
		}
	case conf.Map:
		j.Enabled = true
		accountJetStreamBlock.decode(d, j, e.Value.Map)
	default:
		d.errorf(e.Pos, "Expected map, bool or string to define JetStream, got %s", kind(e.Value))
	}
	a.JetStream = j
}

var accountJetStreamBlock = newBlock(unknownField,
	key[AccountJetStream]{"max_memory max_mem mem memory", size(func(j *AccountJetStream) *int64 { return &j.MaxMemory })},
	key[AccountJetStream]{"max_store max_file max_disk store disk", size(func(j *AccountJetStream) *int64 { return &j.MaxStore })},
	key[AccountJetStream]{"max_streams streams", integer(func(j *AccountJetStream) *int { return &j.MaxStreams })},
	key[AccountJetStream]{"max_consumers consumers", integer(func(j *AccountJetStream) *int { return &j.MaxConsumers })},
	key[AccountJetStream]{"max_bytes_required max_stream_bytes max_bytes", boolean(func(j *AccountJetStream) *bool { return &j.MaxBytesRequired })},
	key[AccountJetStream]{"mem_max_stream_bytes memory_max_stream_bytes", size(func(j *AccountJetStream) *int64 { return &j.MemMaxStreamBytes })},
	key[AccountJetStream]{"disk_max_stream_bytes store_max_stream_bytes", size(func(j *AccountJetStream) *int64 { return &j.DiskMaxStreamBytes })},
	key[AccountJetStream]{"max_ack_pending", integer(func(j *AccountJetStream) *int { return &j.MaxAckPending })},
	key[AccountJetStream]{"cluster_traffic", func(d *decoder, j *AccountJetStream, e *conf.Entry) {
		switch s, ok := d.str(e); {
		case !ok:
		case s == "system" || s == "owner" || s == "":
			j.ClusterTraffic = s
		default:
			d.errorf(e.Pos, "Expected 'system' or 'owner' string value for %q, got %s", e.Key, s)
		}
	}},
)

// mappings decodes subject mappings in the order of definition.
func (d *decoder) mappings(e *conf.Entry) []*Mapping {
	m, ok := d.object(e)
	if !ok {
		return nil
	}
	var list []*Mapping
	for _, x := range m.Entries {
		if !subject.Valid(x.Key) {
			d.errorf(x.Pos, "Subject %q is not a valid subject", x.Key)
			continue
		}
		p := &Mapping{Source: x.Key, Pos: where(x.Pos)}
		before := len(d.errors)
		switch v := x.Value; v.Kind {
		case conf.String:
			p.Dests = []MapDest{{Subject: v.Str, Weight: 100}}
		case conf.Map:
			p.Dests = append(p.Dests, d.mapDest(x.Pos, v.Map))
		case conf.Array:
			for _, item := range v.Items {
				if item.Kind != conf.Map {
					d.errorf(item.Pos, "Expected an entry for the mapping destination, got %s", describe(item))
					continue
				}
				p.Dests = append(p.Dests, d.mapDest(item.Pos, item.Map))
			}
		default:
			d.errorf(x.Pos, "Expected an entry for the mapping destination, got %s", describe(v))
		}
		if len(d.errors) == before {
			d.compileMapping(x.Pos, p)
			list = append(list, p)
		}
	}
	return list
}

func (d *decoder) mapDest(pos conf.Pos, m *conf.Object) MapDest {
	dest := MapDest{Weight: -1}
	before := len(d.errors)
	mapDestBlock.decode(d, &dest, m)
	switch {
	case len(d.errors) > before:
	case dest.Subject == "":
		d.errorf(pos, "Missing destination for mapping")
	case dest.Weight < 0:
		d.errorf(pos, "Missing weight for mapping destination %q", dest.Subject)
	}
	return dest
}

var mapDestBlock = newBlock("Unknown field \"%s\" for mapping destination",
	key[MapDest]{"destination dest", str(func(m *MapDest) *string { return &m.Subject })},
	key[MapDest]{"weight", func(d *decoder, m *MapDest, e *conf.Entry) {
		n, ok := d.percent(e, "Unknown entry type for weight of field %q: %s", "Invalid weight %q for mapping destination")
		switch {
		case !ok:
			m.Weight = 0
		case n < 0 || n > 100:
			d.errorf(e.Pos, "Invalid weight %d for mapping destination", n)
		default:
			m.Weight = int(n)
		}
	}},
	key[MapDest]{"cluster", str(func(m *MapDest) *string { return &m.Cluster })},
)

func (d *decoder) compileMapping(pos conf.Pos, m *Mapping) {
	dests := make([]subject.Dest, len(m.Dests))
	for i, x := range m.Dests {
		dests[i] = subject.Dest(x)
		err := subject.ValidDest(x.Subject)
		if err == nil {
			_, err = subject.NewTransform(m.Source, x.Subject)
		}
		if err != nil {
			d.errorf(pos, "Error adding mapping for %q to %q : %v", m.Source, x.Subject, err)
			return
		}
	}
	if _, err := subject.NewTable([]subject.Mapping{{Source: m.Source, Dests: dests}}, ""); err != nil {
		var s *subject.SourceError
		if errors.As(err, &s) {
			err = s.Err
		}
		d.errorf(pos, "Error adding mapping for %q : %v", m.Source, err)
	}
}

// durationText takes a duration of an export.
func (d *decoder) threshold(e *conf.Entry) (time.Duration, bool) {
	if e.Value.Kind == conf.String {
		if v, err := time.ParseDuration(e.Value.Str); err == nil {
			return v, true
		}
	}
	d.errorf(e.Pos, "Expected response threshold to be a parseable time duration, got %q", e.Value.Text())
	return 0, false
}
