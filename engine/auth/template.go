package auth

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/account"
)

// maxExpansion bounds the subjects that one entry of a template may become.
const maxExpansion = 4096

var templateRE = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// template replaces the functions in the permissions of a scoped signing key (reference/auth.md,
// section 6).
type template struct {
	user   *jwt.UserClaims
	claims *account.Claims
}

// fillTemplate returns t with the functions in its subjects replaced by what they mean for user.
func fillTemplate(t *jwt.UserPermissionLimits, user *jwt.UserClaims, claims *account.Claims) (*jwt.UserPermissionLimits, error) {
	e := template{user, claims}
	out := *t
	for _, side := range []struct {
		perm   *jwt.Permission
		queues bool
	}{{&out.Pub, false}, {&out.Sub, true}} {
		p := side.perm
		asked := len(p.Allow) > 0
		var err error
		if p.Allow, err = e.expandAll(p.Allow, side.queues, false); err != nil {
			return nil, err
		}
		if p.Deny, err = e.expandAll(p.Deny, side.queues, true); err != nil {
			return nil, err
		}
		if asked && len(p.Allow) == 0 {
			// Nothing is left of what was allowed, which must not become everything.
			p.Deny = append(p.Deny, ">")
		}
	}
	return &out, nil
}

// expandAll expands a list. An entry that means nothing for this user is left out of an allow list; of
// a deny list (strict) it is an error, because less would be denied than was meant.
func (e *template) expandAll(list jwt.StringList, queues, strict bool) (jwt.StringList, error) {
	var out jwt.StringList
	for _, entry := range list {
		if !strings.Contains(entry, "{{") {
			out = append(out, entry)
			continue
		}
		subjects, err := e.expand(entry, strict)
		if err != nil {
			return nil, err
		}
		if len(out)+len(subjects) > maxExpansion {
			return nil, fmt.Errorf("template generates more than %d subjects", maxExpansion)
		}
		for _, s := range subjects {
			if err := validEntries([]string{s}, queues); err == nil {
				out = append(out, s)
			} else if strict {
				return nil, fmt.Errorf("template generates an invalid subject: %w", err)
			}
		}
	}
	return out, nil
}

// expand returns every subject that entry stands for: tags with several values multiply.
func (e *template) expand(entry string, strict bool) ([]string, error) {
	out := []string{""}
	done := 0
	for _, at := range templateRE.FindAllStringSubmatchIndex(entry, -1) {
		op := strings.TrimSpace(entry[at[2]:at[3]])
		values, ok := e.values(op)
		if !ok {
			return nil, fmt.Errorf("template operation in %q: %q is not defined", entry, op)
		}
		if len(values) == 0 && strict {
			return nil, fmt.Errorf("template operation in %q: %q has no value", entry, op)
		}
		if len(out)*len(values) > maxExpansion {
			return nil, fmt.Errorf("template generates more than %d subjects", maxExpansion)
		}
		next := make([]string, 0, len(out)*len(values))
		for _, head := range out {
			for _, v := range values {
				next = append(next, head+entry[done:at[0]]+v)
			}
		}
		out, done = next, at[1]
	}
	for i := range out {
		out[i] += entry[done:]
	}
	return out, nil
}

// values evaluates one function; ok is false when there is none like it.
func (e *template) values(op string) (values []string, ok bool) {
	name, arg, found := strings.Cut(op, "(")
	arg, closed := strings.CutSuffix(arg, ")")
	if !found || !closed {
		return nil, false
	}
	name = strings.ToLower(name)
	switch {
	case name == "tag":
		return tagged(e.user.Tags, arg), true
	case name == "account-tag":
		return tagged(e.claims.Tags, arg), true
	case arg != "":
		return nil, false
	case name == "name":
		return []string{e.user.Name}, true
	case name == "subject":
		return []string{e.user.Subject}, true
	case name == "account-name":
		return []string{e.claims.Name}, true
	case name == "account-subject":
		return []string{e.claims.Subject}, true
	}
	return nil, false
}

// tagged returns the values of the tags `key:value`.
func tagged(tags []string, key string) (values []string) {
	prefix := strings.ToLower(key) + ":"
	for _, t := range tags {
		if v, ok := strings.CutPrefix(t, prefix); ok {
			values = append(values, v)
		}
	}
	return values
}
