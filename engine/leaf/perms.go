package leaf

import (
	"slices"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

// perms are what may cross a connection: immutable, nil members allow everything.
type perms struct {
	send *auth.Perms // CanPub: messages to the other side
	recv *auth.Perms // CanSub: interest that we announce to it
	from *auth.Perms // CanPub: messages that it may bring in
	// allow are the entries of recv that allow, for wildcard interest that is wider than they are.
	allow []string
}

// What JetStream must not let through a leafnode connection unasked (reference/interserver.md, section 3.7).
var (
	apiSubjects = []string{"$JS.API.>", "$KV.>", "$OBJ.>"}
	jsSubjects  = append([]string{"$JSC.>", "$NRG.>"}, apiSubjects...)
)

// jetStreamDenies returns what neither goes out nor comes in over a connection of account a to a server of domain
// remote, and what does not go out.
func jetStreamDenies(o *config.Options, a *account.Account, remote string) (both, out []string) {
	domain, enabled, hint := "", false, ""
	if j := o.JetStream; j != nil {
		domain, enabled, hint = j.Domain, j.Enabled, j.ExtensionHint
	}
	system := a.Snap().System
	apart := domain != remote || !enabled && domain == "" && hint != "will_extend"
	if system {
		for _, d := range o.DefaultJSDomain {
			apart = apart || d == ""
		}
	} else if d, ok := o.DefaultJSDomain[a.Name()]; ok && d == "" {
		return nil, nil // as before there were domains
	}
	switch {
	case system && apart:
		both = jsSubjects
	case !system:
		both = apiSubjects
	}
	if apart && enabled && domain != "" {
		out = []string{"$JS." + domain + ".API.>"}
	}
	return both, out
}

// hubPerms are those of an accepted connection of user u: what a user may publish and subscribe to is what the
// other side may bring in and get. deny is what it does not want.
func (p *Leaf) hubPerms(u *auth.User, q *peer, deny []string) *perms {
	var pub, sub config.SubjectPerm
	src := u.Perms.Source()
	if src != nil {
		pub, sub = subjects(src.Subscribe), subjects(src.Publish)
	}
	deny = slices.DeleteFunc(slices.Clone(deny), func(s string) bool { return !subject.Valid(s) })
	n := p.compile(q, pub, sub, deny, nil)
	if src != nil && src.Publish != nil || u.Perms.Responses() != nil {
		n.from = u.Perms
	}
	return n
}

// spokePerms are those of a solicited connection whose hub allows export (what we may send) and imports.
func (p *Leaf) spokePerms(q *peer, imports, export *wire.SubjectPatterns) *perms {
	c := p.remote.config()
	n := p.compile(q, patterns(export), patterns(imports), c.DenyExports, c.DenyImports)
	n.from = nil // judged as interest is, see admits
	return n
}

func subjects(s *config.SubjectPerm) config.SubjectPerm {
	if s == nil {
		return config.SubjectPerm{}
	}
	return config.SubjectPerm{Allow: plainEntries(s.Allow), Deny: plainEntries(s.Deny)}
}

// plainEntries leaves out what holds for queue groups only.
func plainEntries(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !subject.Valid(s) || slices.Contains([]byte(s), ' ') })
}

func patterns(s *wire.SubjectPatterns) config.SubjectPerm {
	if s == nil {
		return config.SubjectPerm{}
	}
	return config.SubjectPerm{Allow: plainEntries(s.Allow), Deny: plainEntries(s.Deny)}
}

// compile adds what the configuration and JetStream deny to the permissions to send and to receive.
func (p *Leaf) compile(q *peer, send, recv config.SubjectPerm, denySend, denyRecv []string) *perms {
	both, out := jetStreamDenies(p.svc.options(), p.acct, q.domain)
	send.Deny = slices.Concat(send.Deny, denySend, both, out)
	recv.Deny = slices.Concat(recv.Deny, denyRecv, both)
	n := &perms{allow: recv.Allow}
	var err error
	if n.send, err = auth.CompilePerms(&config.Permissions{Publish: &send}); err == nil {
		n.recv, err = auth.CompilePerms(&config.Permissions{Subscribe: &recv})
	}
	if err != nil { // excluded: every entry was checked
		p.Logf(engine.Error, "RJ-F008", "Permissions of the leafnode connection: %v", err)
	}
	return n
}

// announcedPerms are the permissions of a user as its server is told: import is what it may receive.
func announcedPerms(u *auth.User) (imports, export *wire.SubjectPatterns) {
	src := (*config.Permissions)(nil)
	if u != nil {
		src = u.Perms.Source()
	}
	if src == nil {
		return nil, nil
	}
	tell := func(s *config.SubjectPerm) *wire.SubjectPatterns {
		if s == nil {
			return nil
		}
		return &wire.SubjectPatterns{Allow: s.Allow, Deny: s.Deny}
	}
	return tell(src.Subscribe), tell(src.Publish)
}

// announces reports whether interest in subj may be announced: a wildcard also if it is wider than what is
// allowed, as each message is judged too.
func (n *perms) announces(subj string) bool {
	if n.recv == nil || unjudged(subj) {
		return true
	}
	if n.recv.CanSub([]byte(subj), nil) {
		return true
	}
	if n.allow == nil || !subject.HasWildcard(subj) {
		return false
	}
	if slices.ContainsFunc(n.allow, func(a string) bool { return subject.IsSubset(a, subj) }) {
		return n.recv.Deliverable([]byte(subj))
	}
	return false
}

// unjudged are subjects whose interest permissions do not concern.
func unjudged(subj string) bool {
	return hasPrefix(subj, loopPrefix) || hasPrefix(subj, gatewayPrefix) || hasPrefix(subj, oldGatewayPrefix)
}

const (
	loopPrefix       = "$LDS."
	gatewayPrefix    = "_GR_."
	oldGatewayPrefix = "$GR."
	replyPrefix      = "_R_."
	ackPrefix        = "$JS.ACK."
)

// hasPrefix reports whether s begins with prefix.
func hasPrefix[T ~string | ~[]byte](s T, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}

// plainSubject strips what a gateway puts before the subject of an answer.
func plainSubject(s []byte) (plain []byte, mapped bool) {
	skip := 0
	switch {
	case hasPrefix(s, gatewayPrefix):
		skip = 3
	case hasPrefix(s, oldGatewayPrefix):
		skip = 2
	default:
		return s, false
	}
	for i, c := range s {
		if c == '.' {
			if skip--; skip == 0 {
				return s[i+1:], true
			}
		}
	}
	return s, true
}

// admits reports whether the other side may bring in a message on subj.
func (p *Leaf) admits(subj []byte) bool {
	n := p.perms.Load()
	if n.from == nil && (n.recv == nil || !p.isSpoke()) {
		return true
	}
	plain, mapped := plainSubject(subj)
	switch {
	case hasPrefix(plain, replyPrefix), hasPrefix(plain, ackPrefix):
		return true
	case p.isSpoke():
		if mapped || n.recv.CanSub(plain, nil) {
			return true
		}
	case n.from.CanPub(plain):
		return true
	}
	r := p.Replies()
	return r != nil && r.Use(subj, p.svc.env.Clock.Now().UnixNano())
}
