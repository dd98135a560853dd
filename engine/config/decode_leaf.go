package config

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/proto/conf"

	"github.com/nats-io/nkeys"
)

func leafnodes(d *decoder, o *Options, e *conf.Entry) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected map to define a leafnode, got %s", kind(e.Value))
		return
	}
	l := &LeafOptions{}
	leafBlock.decode(d, l, e.Value.Map)
	o.Leafnodes = l
}

var leafBlock *block[LeafOptions]
var leafAuthBlock *block[AuthBlock]
var remoteLeafBlock *block[RemoteLeaf]

func init() {
	type T = LeafOptions
	leafBlock = newBlock(unknownField, append(listenKeys(func(l *T) *string { return &l.Host }, func(l *T) *int { return &l.Port }), []key[T]{
		{"authorization", leafAuth},
		{"tls", tlsKey(leafTLS, func(l *T) **TLSOptions { return &l.TLS })},
		{"advertise leafnode_advertise", str(func(l *T) *string { return &l.Advertise })},
		{"no_advertise", boolean(func(l *T) *bool { return &l.NoAdvertise })},
		{"min_version minimum_version", func(d *decoder, l *T, e *conf.Entry) {
			s, ok := d.str(e)
			if !ok {
				return
			}
			if err := checkMinVersion(s); err != nil {
				d.errorf(e.Pos, "%v", err)
				return
			}
			l.MinVersion = s
		}},
		{"reconnect reconnect_delay reconnect_interval", duration(func(l *T) *time.Duration { return &l.Reconnect })},
		{"dial_timeout", duration(func(l *T) *time.Duration { return &l.DialTimeout })},
		{"compression", compression(func(l *T) *CompressionOptions { return &l.Compression }, "s2_auto")},
		{"isolate_leafnode_interest isolate", boolean(func(l *T) *bool { return &l.IsolateInterest })},
		{"write_deadline", duration(func(l *T) *time.Duration { return &l.WriteDeadline })},
		{"write_timeout", writeTimeout(func(l *T) *WritePolicy { return &l.WriteTimeout })},
		{"remotes", remoteLeafs},
	}...)...)
	leafAuthBlock = newBlock(unknownField, append(slices.Clone(basicAuthKeys), []key[AuthBlock]{
		{"nkey", func(d *decoder, a *AuthBlock, e *conf.Entry) {
			s, ok := d.str(e)
			if ok && !nkeys.IsValidPublicUserKey(s) {
				d.errorf(e.Pos, "Not a valid public nkey for leafnode authorization")
			}
			a.Nkey = s
		}},
		{"account", str(func(a *AuthBlock) *string { return &a.Account })},
		{"users", leafUsers},
		{"proxy_required", boolean(func(a *AuthBlock) *bool { return &a.ProxyRequired })},
	}...)...)
	remoteLeafBlock = newBlock(unknownField, remoteLeafKeys()...)
}

// checkMinVersion checks the lowest version of servers that may connect.
func checkMinVersion(s string) error {
	parts := strings.SplitN(strings.TrimPrefix(s, "v"), ".", 3)
	var n [3]int
	for i := range n {
		var err error
		if len(parts) < 3 {
			return errors.New("invalid leafnode's minimum version: invalid semver")
		}
		digits, _, _ := strings.Cut(parts[i], "-")
		if n[i], err = strconv.Atoi(digits); err != nil {
			return errors.New("invalid leafnode's minimum version: invalid semver")
		}
	}
	if n[0] < 2 || n[0] == 2 && n[1] < 8 {
		return errors.New("the minimum version should be at least 2.8.0")
	}
	return nil
}

func leafAuth(d *decoder, l *LeafOptions, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	a := &l.Auth
	leafAuthBlock.decode(d, a, m)
	if err := checkLeafAuth(a); err != nil {
		d.errorf(e.Pos, "%v", err)
	}
}

func leafUsers(d *decoder, a *AuthBlock, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Expected users field to be an array, got %s", describe(e.Value))
		return
	}
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Expected user entry to be a map/struct, got %s", describe(item))
			continue
		}
		u := &User{Pos: where(item.Pos)}
		leafUserBlock.decode(d, u, item.Map)
		a.Users = append(a.Users, u)
	}
}

var leafUserBlock = newBlock(unknownField,
	key[User]{"user username", str(func(u *User) *string { return &u.Name })},
	key[User]{"pass password", str(func(u *User) *string { return &u.Pass })},
	key[User]{"nkey", func(d *decoder, u *User, e *conf.Entry) {
		s, ok := d.str(e)
		if ok && !nkeys.IsValidPublicUserKey(s) {
			d.errorf(e.Pos, "Not a valid public nkey for a user")
		}
		u.Nkey = s
	}},
	key[User]{"account", str(func(u *User) *string { return &u.Account })},
	key[User]{"proxy_required", boolean(func(u *User) *bool { return &u.ProxyRequired })},
)

func remoteLeafs(d *decoder, l *LeafOptions, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Expected remotes field to be an array, got %s", kind(e.Value))
		return
	}
	seen := make(map[string]bool)
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Expected remote leafnode entry to be a map/struct, got %s", describe(item))
			continue
		}
		r := &RemoteLeaf{Pos: where(item.Pos)}
		before := len(d.errors)
		remoteLeafBlock.decode(d, r, item.Map)
		if r.Creds != "" && r.Nkey != "" {
			d.errorf(item.Pos, "remote leafnode can not have both creds and nkey")
		}
		if name := remoteName(r); len(d.errors) == before && name != "" {
			if seen[name] {
				d.errorf(item.Pos, "duplicate remote %s", redactAll(r.URLs))
			}
			seen[name] = true
		}
		l.Remotes = append(l.Remotes, r)
	}
}

// remoteName identifies a remote: two with the same are a mistake.
func remoteName(r *RemoteLeaf) string {
	urls := make([]string, len(r.URLs))
	for i, u := range r.URLs {
		urls[i] = u.String()
	}
	slices.Sort(urls)
	if len(urls) == 0 {
		return ""
	}
	return strings.Join(append(urls, r.Account, r.Creds, r.Nkey), " ")
}

func redactAll(urls []*url.URL) string {
	list := make([]string, len(urls))
	for i, u := range urls {
		list[i] = u.Redacted()
	}
	return strings.Join(list, ", ")
}

func remoteLeafKeys() []key[RemoteLeaf] {
	type T = RemoteLeaf
	urls := func(d *decoder, r *T, e *conf.Entry) {
		switch e.Value.Kind {
		case conf.String:
			if u := d.parseURL(e.Pos, e.Value.Str, "leafnode"); u != nil {
				r.URLs = []*url.URL{u}
			}
		case conf.Array:
			r.URLs = d.urls(e, "leafnode")
		default:
			d.errorf(e.Pos, "Expected remote leafnode url to be an array or string, got %s", describe(e.Value))
		}
	}
	deny := func(f func(*T) *[]string) func(*decoder, *T, *conf.Entry) {
		return func(d *decoder, r *T, e *conf.Entry) { *f(r) = d.permSubjects(e, false) }
	}
	return []key[T]{
		{"url urls", urls},
		{"account local", str(func(r *T) *string { return &r.Account })},
		{"creds credentials", func(d *decoder, r *T, e *conf.Entry) {
			if s, ok := d.str(e); ok {
				r.Creds = expandPath(s)
			}
		}},
		{"nkey seed", func(d *decoder, r *T, e *conf.Entry) {
			s, ok := d.str(e)
			if !ok {
				return
			}
			if pair, err := nkeys.FromSeed([]byte(s)); err != nil {
				d.errorf(e.Pos, "Remote leafnode nkey is not a valid seed")
			} else {
				pair.Wipe()
				r.Nkey = s
			}
		}},
		{"tls", tlsKey(remoteTLS, func(r *T) **TLSOptions { return &r.TLS })},
		{"hub", boolean(func(r *T) *bool { return &r.Hub })},
		{"deny_imports deny_import", deny(func(r *T) *[]string { return &r.DenyImports })},
		{"deny_exports deny_export", deny(func(r *T) *[]string { return &r.DenyExports })},
		{"no_randomize dont_randomize", boolean(func(r *T) *bool { return &r.NoRandomize })},
		{"compression", compression(func(r *T) *CompressionOptions { return &r.Compression }, "s2_auto")},
		{"ws_compression ws_compress websocket_compress websocket_compression", boolean(func(r *T) *bool { return &r.WSCompression })},
		{"ws_no_masking websocket_no_masking", boolean(func(r *T) *bool { return &r.WSNoMasking })},
		{"jetstream_cluster_migrate js_cluster_migrate", func(d *decoder, r *T, e *conf.Entry) {
			switch e.Value.Kind {
			case conf.Bool:
				r.JSMigrate = e.Value.Bool
			case conf.Map:
				r.JSMigrate = true
				migrateBlock.decode(d, r, e.Value.Map)
			default:
				d.errorf(e.Pos, "Expected boolean or map for jetstream_cluster_migrate, got %s", kind(e.Value))
			}
		}},
		{"isolate_leafnode_interest isolate", boolean(func(r *T) *bool { return &r.IsolateInterest })},
		{"request_isolation", boolean(func(r *T) *bool { return &r.RequestIsolation })},
		{"first_info_timeout", duration(func(r *T) *time.Duration { return &r.FirstInfoTimeout })},
		{"dial_timeout", duration(func(r *T) *time.Duration { return &r.DialTimeout })},
		{"disabled", boolean(func(r *T) *bool { return &r.Disabled })},
		{"ignore_discovered_servers", boolean(func(r *T) *bool { return &r.IgnoreDiscovered })},
		{"proxy", func(d *decoder, r *T, e *conf.Entry) {
			m, ok := d.object(e)
			if !ok {
				return
			}
			leafProxyBlock.decode(d, r, m)
			pos := e.Pos
			d.later = append(d.later, func() {
				if err := checkProxy(r); err != nil {
					d.errorf(pos, "%v", err)
				}
			})
		}},
	}
}

var migrateBlock = newBlock(unknownField,
	key[RemoteLeaf]{"leader_migrate_delay", duration(func(r *RemoteLeaf) *time.Duration { return &r.JSMigrateDelay })})

var leafProxyBlock = newBlock(unknownField,
	key[RemoteLeaf]{"url", str(func(r *RemoteLeaf) *string { return &r.ProxyURL })},
	key[RemoteLeaf]{"username", str(func(r *RemoteLeaf) *string { return &r.ProxyUser })},
	key[RemoteLeaf]{"password", str(func(r *RemoteLeaf) *string { return &r.ProxyPass })},
	key[RemoteLeaf]{"timeout", duration(func(r *RemoteLeaf) *time.Duration { return &r.ProxyTimeout })},
	key[RemoteLeaf]{"tls", tlsKey(remoteTLS, func(r *RemoteLeaf) **TLSOptions { return &r.ProxyTLS })},
)

// expandPath replaces ~ and environment variables in a path.
func expandPath(p string) string {
	p = os.ExpandEnv(p)
	if p == "~" || strings.HasPrefix(p, "~/") {
		if home, err := os.UserHomeDir(); err == nil {
			return home + p[1:]
		}
	}
	return p
}
