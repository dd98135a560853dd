package config

import (
	"slices"
	"strings"
	"time"

	"ramjet/proto/conf"
	"ramjet/proto/subject"

	"github.com/nats-io/nkeys"
)

// authorization decodes the block for clients.
func authorization(d *decoder, o *Options, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	o.note("authorization", e.Pos)
	a := &o.Auth
	authBlock.decode(d, a, m)
	d.exclusive(e.Pos, a, hasKey(m, "users"))
	pos := e.Pos
	d.later = append(d.later, func() {
		if len(accountUsers(o)) == 0 {
			return
		}
		if a.User != "" {
			d.errorf(pos, "Can not have a single user/pass and accounts")
		}
		if a.Token != "" {
			d.errorf(pos, "Can not have a token and accounts")
		}
	})
}

func accountUsers(o *Options) []*User {
	var all []*User
	for _, a := range o.Accounts {
		all = append(all, a.Users...)
	}
	return all
}

func hasKey(m *conf.Object, name string) bool {
	return slices.ContainsFunc(m.Entries, func(e *conf.Entry) bool { return strings.EqualFold(e.Key, name) })
}

// exclusive checks that only one way to authenticate is used.
func (d *decoder) exclusive(pos conf.Pos, a *AuthBlock, users bool) {
	if a.User != "" && a.Token != "" {
		d.errorf(pos, "Cannot have a user/pass and token")
	}
	if a.User != "" && users {
		d.errorf(pos, "Can not have a single user/pass and a users array")
	}
	if a.Token != "" && users {
		d.errorf(pos, "Can not have a token and a users array")
	}
}

var authBlock = newBlock(unknownField, slices.Concat(basicAuthKeys, []key[AuthBlock]{
	{"token", str(func(a *AuthBlock) *string { return &a.Token })},
	{"users", func(d *decoder, a *AuthBlock, e *conf.Entry) { a.Users = d.users(e) }},
	{"default_permissions default_permission permissions", func(d *decoder, a *AuthBlock, e *conf.Entry) {
		a.DefaultPerms = d.permissions(e)
	}},
	{"auth_callout auth_hook", authCallout},
	{"proxy_required", boolean(func(a *AuthBlock) *bool { return &a.ProxyRequired })},
})...)

// listenerAuthBlock is authorization of websocket and mqtt.
var listenerAuthBlock = newBlock(unknownField, append(slices.Clone(basicAuthKeys),
	key[AuthBlock]{"token", str(func(a *AuthBlock) *string { return &a.Token })})...)

// basicAuthKeys are what all authorization blocks have.
var basicAuthKeys = []key[AuthBlock]{
	{"user username", str(func(a *AuthBlock) *string { return &a.User })},
	{"pass password", str(func(a *AuthBlock) *string { return &a.Pass })},
	{"timeout", authTimeout},
}

func authTimeout(d *decoder, a *AuthBlock, e *conf.Entry) {
	v, ok := d.timeout(e, "authorization")
	if !ok {
		return
	}
	a.Timeout = v
	if v > time.Minute {
		d.warnf(e, "timeout of %v (%f seconds) is high, consider keeping it under 60 seconds. possibly caused by unquoted duration; use '1m' instead of 1m, for example", v, v.Seconds())
	}
}

// routeAuthBlock is authorization of cluster and gateway; owner is the name of the block in messages.
func routeAuthBlock(owner string) *block[AuthBlock] {
	keys := append(slices.Clone(basicAuthKeys),
		key[AuthBlock]{"token", func(d *decoder, _ *AuthBlock, e *conf.Entry) {
			d.errorf(e.Pos, "%s authorization does not support tokens", owner)
		}},
		key[AuthBlock]{"users", func(d *decoder, _ *AuthBlock, e *conf.Entry) {
			d.errorf(e.Pos, "%s authorization does not allow multiple users", owner)
		}},
		key[AuthBlock]{"auth_callout auth_hook", func(d *decoder, _ *AuthBlock, e *conf.Entry) {
			d.errorf(e.Pos, "%s authorization does not support callouts", owner)
		}})
	if owner == "Cluster" {
		keys = append(keys, key[AuthBlock]{"permissions default_permissions default_permission", func(d *decoder, a *AuthBlock, e *conf.Entry) {
			a.DefaultPerms = d.permissions(e)
			d.warnf(&conf.Entry{Key: "authorization", Pos: e.Pos}, "setting \"permissions\" within cluster authorization block is deprecated")
		}})
	}
	return newBlock(unknownField, keys...)
}

// users decodes an array of users.
func (d *decoder) users(e *conf.Entry) []*User {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Expected users field to be an array, got %s", describe(e.Value))
		return nil
	}
	var list []*User
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Expected user entry to be a map/struct, got %s", describe(item))
			continue
		}
		u := &User{Pos: where(item.Pos)}
		userBlock.decode(d, u, item.Map)
		switch {
		case u.Nkey != "" && (u.Name != "" || u.Pass != ""):
			d.errorf(item.Pos, "Nkey users do not take usernames or passwords")
		case u.Nkey == "" && u.Name == "" && !hasKey(item.Map, "nkey"):
			d.errorf(item.Pos, "User entry requires a user")
		}
		list = append(list, u)
		pos := item.Pos
		d.later = append(d.later, func() { d.duplicateUser(pos, u) })
	}
	return list
}

// duplicateUser reports the second user of a name, in whichever account.
func (d *decoder) duplicateUser(pos conf.Pos, u *User) {
	if d.env.names == nil {
		d.env.names = make(map[string]bool)
	}
	what, name := "user", u.Name
	if u.Nkey != "" {
		what, name = "nkey", u.Nkey
	}
	if name == "" {
		return
	}
	if id := what + " " + name; d.env.names[id] {
		d.errorf(pos, "Duplicate %s %q detected", what, name)
	} else {
		d.env.names[id] = true
	}
}

var userBlock = newBlock(unknownField,
	key[User]{"user username", str(func(u *User) *string { return &u.Name })},
	key[User]{"pass password", str(func(u *User) *string { return &u.Pass })},
	key[User]{"nkey", func(d *decoder, u *User, e *conf.Entry) {
		s, ok := d.str(e)
		switch {
		case !ok:
		case !nkeys.IsValidPublicUserKey(s):
			d.errorf(e.Pos, "Not a valid public nkey for a user")
		default:
			u.Nkey = s
		}
	}},
	key[User]{"permissions permission authorization", func(d *decoder, u *User, e *conf.Entry) { u.Perms = d.permissions(e) }},
	key[User]{"allowed_connection_types connection_types clients", connectionTypes},
	key[User]{"proxy_required", boolean(func(u *User) *bool { return &u.ProxyRequired })},
)

// connTypes are the names of the connection types.
var connTypes = []string{"STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS"}

func connectionTypes(d *decoder, u *User, e *conf.Entry) {
	var items []*conf.Value
	switch e.Value.Kind {
	case conf.String:
		items = []*conf.Value{e.Value}
	case conf.Array:
		items = e.Value.Items
	default:
		d.errorf(e.Pos, "error parsing allowed connection types: unsupported type %s", kind(e.Value))
		return
	}
	var bad []string
	u.ConnTypes = nil
	for _, item := range items {
		if item.Kind != conf.String {
			d.errorf(item.Pos, "error parsing allowed connection types: unsupported type in array %s", kind(item))
			continue
		}
		t := strings.ToUpper(item.Str)
		if !slices.Contains(connTypes, t) {
			bad = append(bad, t)
		}
		u.ConnTypes = append(u.ConnTypes, t)
	}
	if len(bad) > 0 {
		d.errorf(e.Pos, "invalid connection types %s (expected some of %s)", quoteAll(bad), strings.Join(connTypes, ", "))
	}
}

// permissions decodes permissions of a user or the default ones. nil = none given.
func (d *decoder) permissions(e *conf.Entry) *Permissions {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected permissions to be a map/struct, got %s", describe(e.Value))
		return nil
	}
	p := &Permissions{}
	permissionsBlock.decode(d, p, e.Value.Map)
	return p
}

var permissionsBlock = newBlock("Unknown field \"%s\" parsing permissions",
	key[Permissions]{"publish pub import", func(d *decoder, p *Permissions, e *conf.Entry) { p.Publish = d.subjectPerm(e, false) }},
	key[Permissions]{"subscribe sub export", func(d *decoder, p *Permissions, e *conf.Entry) { p.Subscribe = d.subjectPerm(e, true) }},
	key[Permissions]{"allow_responses publish_allow_responses", func(d *decoder, p *Permissions, e *conf.Entry) { p.Responses = d.responsePerm(e) }},
)

// subjectPerm decodes the subjects of one direction; with queues, an entry may be "subject queue".
func (d *decoder) subjectPerm(e *conf.Entry, queues bool) *SubjectPerm {
	p := &SubjectPerm{}
	if e.Value.Kind != conf.Map {
		p.Allow = d.permSubjects(e, queues)
		return p
	}
	newBlock("Unknown field name \"%s\" parsing subject permissions, only 'allow' or 'deny' are permitted",
		key[SubjectPerm]{"allow", func(d *decoder, p *SubjectPerm, e *conf.Entry) { p.Allow = d.permSubjects(e, queues) }},
		key[SubjectPerm]{"deny", func(d *decoder, p *SubjectPerm, e *conf.Entry) { p.Deny = d.permSubjects(e, queues) }},
	).decode(d, p, e.Value.Map)
	return p
}

func (d *decoder) permSubjects(e *conf.Entry, queues bool) []string {
	var items []*conf.Value
	switch e.Value.Kind {
	case conf.String:
		items = []*conf.Value{e.Value}
	case conf.Array:
		items = e.Value.Items
	default:
		d.errorf(e.Pos, "Expected subject permissions to be a subject, or array of subjects, got %s", kind(e.Value))
		return nil
	}
	var list []string
	for _, item := range items {
		switch {
		case item.Kind != conf.String:
			d.errorf(item.Pos, "Subject in permissions array cannot be cast to string: got %s", describe(item))
		case !validPermSubject(item.Str, queues):
			d.errorf(e.Pos, "subject %q is not a valid subject", item.Str)
		default:
			list = append(list, item.Str)
		}
	}
	return list
}

func validPermSubject(s string, queues bool) bool {
	fields := strings.Fields(s)
	switch {
	case len(fields) == 1 && fields[0] == s:
		return subject.Valid(s)
	case len(fields) == 2 && queues:
		return subject.Valid(fields[0]) && subject.Valid(fields[1])
	}
	return false
}

// Defaults of allow_responses.
const (
	defaultResponses       = 1
	defaultResponseExpires = 2 * time.Minute
)

func (d *decoder) responsePerm(e *conf.Entry) *ResponsePerm {
	p := &ResponsePerm{MaxMsgs: defaultResponses, Expires: defaultResponseExpires}
	switch e.Value.Kind {
	case conf.Bool:
		if !e.Value.Bool {
			return nil
		}
	case conf.Map:
		responseBlock.decode(d, p, e.Value.Map)
		if p.MaxMsgs == 0 {
			p.MaxMsgs = defaultResponses
		}
		if p.Expires == 0 {
			p.Expires = defaultResponseExpires
		}
	default:
		d.errorf(e.Pos, "error parsing response permissions, expected a boolean or a map, got %s", describe(e.Value))
		return nil
	}
	return p
}

var responseBlock = newBlock("Unknown field \"%s\" parsing permissions",
	key[ResponsePerm]{"max max_msgs max_messages max_responses", integer(func(p *ResponsePerm) *int { return &p.MaxMsgs })},
	key[ResponsePerm]{"expires expiration ttl", strict(func(p *ResponsePerm) *time.Duration { return &p.Expires })},
)

func authCallout(d *decoder, a *AuthBlock, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	d.opts.note("auth_callout", e.Pos)
	c := &AuthCallout{}
	calloutBlock.decode(d, c, m)
	if c.Issuer == "" {
		d.errorf(e.Pos, "Authorization callouts require an issuer to be specified")
	}
	if len(c.AuthUsers) == 0 {
		d.errorf(e.Pos, "Authorization callouts require authorized users to be specified")
	}
	a.Callout = c
	pos := e.Pos
	d.later = append(d.later, func() {
		for _, name := range c.AllowedAccounts {
			if name != globalAccount && name != DefaultSystemAccount && !slices.ContainsFunc(d.opts.Accounts, func(a *Account) bool { return a.Name == name }) {
				d.errorf(pos, "auth_callout allowed account %q not found in configured accounts", name)
			}
		}
	})
}

var calloutBlock = newBlock(unknownField,
	key[AuthCallout]{"issuer", func(d *decoder, c *AuthCallout, e *conf.Entry) {
		s, ok := d.str(e)
		if ok && !nkeys.IsValidPublicAccountKey(s) {
			d.errorf(e.Pos, "Expected callout user to be a valid public account nkey, got %q", s)
		}
		c.Issuer = s
	}},
	key[AuthCallout]{"account acc", str(func(c *AuthCallout) *string { return &c.Account })},
	key[AuthCallout]{"auth_users users", stringList(func(c *AuthCallout) *[]string { return &c.AuthUsers })},
	key[AuthCallout]{"xkey key", func(d *decoder, c *AuthCallout, e *conf.Entry) {
		s, ok := d.str(e)
		if ok && !nkeys.IsValidPublicCurveKey(s) {
			d.errorf(e.Pos, "Expected callout xkey to be a valid public xkey, got %q", s)
		}
		c.XKey = s
	}},
	key[AuthCallout]{"allowed_accounts", stringList(func(c *AuthCallout) *[]string { return &c.AllowedAccounts })},
)
