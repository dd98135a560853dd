package auth

import (
	"fmt"
	"strings"
	"time"

	"ramjet/engine/config"
	"ramjet/proto/subject"
)

// Perms are the compiled permissions of a user (reference/auth.md, section 2): immutable, any
// goroutine, no cache inside. The checks do not allocate.
type Perms struct {
	pubAllow, pubDeny *permSet // nil allow: everything
	subAllow, subDeny *permSet
	// pubNone: nothing but replies may be published, because allow_responses came without a publish
	// allow list.
	pubNone   bool
	responses *config.ResponsePerm
	source    *config.Permissions
}

// The defaults of allow_responses.
const (
	defaultResponses       = 1
	defaultResponseExpires = 2 * time.Minute
)

// CompilePerms compiles p; nil in, nil out. An empty list is the same as an absent one. The error is
// that of ValidatePerms.
func CompilePerms(p *config.Permissions) (*Perms, error) {
	if p == nil {
		return nil, nil
	}
	if err := ValidatePerms(p); err != nil {
		return nil, err
	}
	c := &Perms{source: p}
	if s := p.Publish; s != nil {
		c.pubAllow, c.pubDeny = newPermSet(s.Allow), newPermSet(s.Deny)
	}
	if s := p.Subscribe; s != nil {
		c.subAllow, c.subDeny = newPermSet(s.Allow), newPermSet(s.Deny)
	}
	if r := p.Responses; r != nil {
		n := *r
		if n.MaxMsgs == 0 {
			n.MaxMsgs = defaultResponses
		}
		if n.Expires == 0 {
			n.Expires = defaultResponseExpires
		}
		c.responses = &n
		c.pubNone = c.pubAllow == nil
	}
	return c, nil
}

// ValidatePerms checks the entries of p; the texts follow `invalid permissions for user "u": `
// (reference/config.md, section 11).
func ValidatePerms(p *config.Permissions) error {
	if p == nil {
		return nil
	}
	lists := func(what string, s *config.SubjectPerm, queues bool) error {
		if s == nil {
			return nil
		}
		if err := validEntries(s.Allow, queues); err != nil {
			return fmt.Errorf("%s allow: %w", what, err)
		}
		if err := validEntries(s.Deny, queues); err != nil {
			return fmt.Errorf("%s deny: %w", what, err)
		}
		return nil
	}
	if err := lists("publish", p.Publish, false); err != nil {
		return err
	}
	return lists("subscribe", p.Subscribe, true)
}

func validEntries(entries []string, queues bool) error {
	for _, e := range entries {
		if subject.Valid(e) && !strings.ContainsFunc(e, isSpace) {
			continue
		}
		f := strings.Fields(e)
		switch {
		case !queues || len(f) != 2:
			return fmt.Errorf("subject %q is not a valid subject", e)
		case !subject.Valid(f[0]):
			return fmt.Errorf("subject %q is not a valid subject", f[0])
		case !subject.Valid(f[1]):
			return fmt.Errorf("queue %q is not a valid queue", f[1])
		}
	}
	return nil
}

// isSpace finds what strings.Fields splits at and a subject may otherwise contain (vertical tab,
// Unicode spaces): as an entry it would be read as a subject here and as two fields there.
func isSpace(r rune) bool { return strings.TrimSpace(string(r)) == "" }

// CanPub reports whether subject may be published; replies granted by allow_responses are not known
// here. nil permissions allow everything.
func (p *Perms) CanPub(subject []byte) bool {
	switch {
	case p == nil:
		return true
	case p.pubNone, p.pubAllow != nil && !p.pubAllow.matchPlain(subject):
		return false
	}
	return p.pubDeny == nil || !p.pubDeny.matchPlain(subject)
}

// CanSub reports whether a subscription to subject, which may have wildcards, is allowed; queue empty
// = none. Allow entries must cover the whole subscription. Deny entries refuse it when they match
// its text: a wildcard subscription that only overlaps them is allowed, and filtered.
func (p *Perms) CanSub(subject, queue []byte) bool {
	if p == nil {
		return true
	}
	q := viewOf(queue)
	if p.subAllow != nil {
		v := p.subAllow.match(subject, q, asSubset)
		ok := v.plain
		if q != "" && v.queued {
			ok = v.inQueue // entries for queues decide, also when a plain one matches
		}
		if !ok {
			return false
		}
	}
	if p.subDeny != nil {
		v := p.subDeny.match(subject, q, asLiteral)
		return !v.plain && !v.inQueue
	}
	return true
}

// FiltersDelivery reports whether a subscription to subject may receive subjects that subscribe deny
// excludes, so that each delivery must be tested with Deliverable.
func (p *Perms) FiltersDelivery(subj []byte) bool {
	if p == nil || p.subDeny == nil {
		return false
	}
	s := subject.View(subj)
	return subject.HasWildcard(s) && p.subDeny.overlaps(s)
}

// Deliverable reports whether a message on the literal subject may be delivered to a subscription
// without queue.
func (p *Perms) Deliverable(subject []byte) bool {
	return p == nil || p.subDeny == nil || !p.subDeny.matchPlain(subject)
}

// DeliverableTo is Deliverable for a subscription with queue ("" = none), which deny entries with a
// queue exclude too.
func (p *Perms) DeliverableTo(subject []byte, queue string) bool {
	if p == nil || p.subDeny == nil {
		return true
	}
	v := p.subDeny.match(subject, queue, asLiteral)
	return !v.plain && !v.inQueue
}

// Responses returns allow_responses with its defaults filled in, nil if not set.
func (p *Perms) Responses() *config.ResponsePerm {
	if p == nil {
		return nil
	}
	return p.responses
}

// Source returns the configured form for monitoring and user info.
func (p *Perms) Source() *config.Permissions {
	if p == nil {
		return nil
	}
	return p.source
}

// viewOf is the string over borrowed, "" for none.
func viewOf(borrowed []byte) string {
	if len(borrowed) == 0 {
		return ""
	}
	return subject.View(borrowed)
}
