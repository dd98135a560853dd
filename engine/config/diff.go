package config

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Plan is what a reload does, from [Diff].
type Plan struct {
	Hot, Conn, Listener []Change // applied in this order
	Refused             []Change // non-empty: the reload fails as a whole
}

// Changes lists what a reload that is not refused changes.
func (p *Plan) Changes() []Change { return slices.Concat(p.Hot, p.Conn, p.Listener) }

// Change is one changed field.
type Change struct {
	Field    string // Go-style name used in messages, as nats-server prints it
	Key      string // configuration key, with its block: "authorization.token"
	Old, New string // secrets redacted
	Line     string // what to log after the reload
	refusal  string
}

// Refusal is the message when a reload fails because of this change.
func (c *Change) Refusal() string {
	if c.refusal != "" {
		return c.refusal
	}
	return fmt.Sprintf("config reload not supported for %s: old=%s, new=%s", c.Field, c.Old, c.New)
}

const redacted = "[REDACTED]"

// Diff compares two configurations, both with defaults, by the table of classes. Any goroutine.
func Diff(old, new *Options) *Plan {
	p := &Plan{}
	for i := range classes {
		r := &classes[i]
		if r.class == internal {
			continue
		}
		a, b := fieldAt(old, r.path), fieldAt(new, r.path)
		if same(a, b) || idle(r.path, old, new) {
			continue
		}
		c := Change{Field: r.name(), Key: r.key, Old: show(r, a), New: show(r, b), refusal: r.message}
		c.Line = r.logLine(&c)
		if r.path == "TLS" && r.refuse(old, new) {
			c.Field, c.Old, c.New = "TLSRateLimit", fmt.Sprint(old.TLS.rate()), fmt.Sprint(new.TLS.rate())
		}
		if r.path == "Leafnodes.Remotes" {
			p.Refused = append(p.Refused, diffRemotes(a, b)...)
		}
		switch {
		case r.class == Restart && (r.allow == nil || !r.allow(old, new)), r.refuse != nil && r.refuse(old, new):
			p.Refused = append(p.Refused, c)
		case r.class == Conn:
			p.Conn = append(p.Conn, c)
		case r.class == Listener:
			p.Listener = append(p.Listener, c)
		default:
			p.Hot = append(p.Hot, c)
		}
	}
	return p
}

// idle says that the option at path has no meaning in one of the configurations: of JetStream only its
// being on or off matters then.
func idle(path string, old, new *Options) bool {
	js := path == "StoreDir" || strings.HasPrefix(path, "JetStream.") && path != "JetStream.Enabled"
	return js && (!jsOn(old) || !jsOn(new))
}

func (r *row) logLine(c *Change) string {
	value := c.New
	switch {
	case r.path == "NoFastProducerStall" && value == "true":
		return "Reloaded: fast producers will not be stalled"
	case r.path == "NoFastProducerStall":
		return "Reloaded: fast producers will be stalled"
	case strings.Contains(r.line, "%s"):
		return fmt.Sprintf(r.line, value)
	case r.line != "":
		return r.line
	}
	return "Reloaded: " + r.key + " = " + value
}

// fieldAt returns the field of o at path; the zero value if a block on the way is missing.
func fieldAt(o *Options, path string) reflect.Value {
	v := reflect.ValueOf(o).Elem()
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v = reflect.Zero(v.Type().Elem())
			} else {
				v = v.Elem()
			}
		}
		v = v.FieldByName(name)
	}
	return v
}

// same compares configured values: where they stand in the file does not count, and a TLS block counts as
// changed when a certificate has changed behind the same file name.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		if u, ok := a.Interface().(*url.URL); ok {
			return u.String() == b.Interface().(*url.URL).String()
		}
		if c, ok := a.Interface().(*tls.Config); ok {
			return sameCertificates(c, b.Interface().(*tls.Config))
		}
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).Name == "Pos" {
				continue
			}
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		return a.Len() == b.Len() && (a.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface()))
	}
	return a.Interface() == b.Interface()
}

func sameCertificates(a, b *tls.Config) bool {
	if len(a.Certificates) != len(b.Certificates) {
		return false
	}
	for i := range a.Certificates {
		x, y := a.Certificates[i].Certificate, b.Certificates[i].Certificate
		if !slices.EqualFunc(x, y, bytes.Equal) {
			return false
		}
	}
	if a.ClientCAs == nil || b.ClientCAs == nil {
		return a.ClientCAs == b.ClientCAs
	}
	return a.ClientCAs.Equal(b.ClientCAs)
}

// show formats a value for messages; nothing secret is shown.
func show(r *row, v reflect.Value) string {
	if r.secret {
		if v.IsZero() {
			return ""
		}
		return redacted
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		if r.path == "Auth.Timeout" { // in seconds, as the peer logs it
			return fmt.Sprint(x.Seconds())
		}
	case *TLSOptions:
		if x == nil {
			return "disabled"
		}
		return "enabled"
	case []*url.URL:
		return "[" + redactAll(x) + "]"
	case []*User:
		return fmt.Sprintf("%d users", len(x))
	case []*Account:
		names := make([]string, len(x))
		for i, a := range x {
			names[i] = a.Name
		}
		return fmt.Sprint(names)
	case []*RemoteLeaf:
		return fmt.Sprintf("%d remotes", len(x))
	case []*RemoteGateway:
		return fmt.Sprintf("%d gateways", len(x))
	case []*Mapping:
		return fmt.Sprintf("%d mappings", len(x))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "<nil>"
		}
		return fmt.Sprintf("%+v", v.Elem().Interface())
	case reflect.Float64:
		return fmt.Sprint(v.Float())
	}
	return fmt.Sprint(v.Interface())
}

// remoteFixed are the fields of a remote leafnode that a reload cannot change.
var remoteFixed = []string{"Hub", "DenyImports", "DenyExports", "NoRandomize", "WSCompression", "WSNoMasking", "JSMigrate", "JSMigrateDelay",
	"IsolateInterest", "RequestIsolation", "FirstInfoTimeout", "DialTimeout", "IgnoreDiscovered", "ProxyURL", "ProxyUser", "ProxyPass", "ProxyTimeout"}

// diffRemotes finds changes of remotes that exist before and after.
func diffRemotes(a, b reflect.Value) []Change {
	before := make(map[string]*RemoteLeaf)
	for _, r := range a.Interface().([]*RemoteLeaf) {
		before[remoteName(r)] = r
	}
	var list []Change
	for _, n := range b.Interface().([]*RemoteLeaf) {
		o := before[remoteName(n)]
		if o == nil {
			continue
		}
		for _, f := range remoteFixed {
			x, y := reflect.ValueOf(o).Elem().FieldByName(f), reflect.ValueOf(n).Elem().FieldByName(f)
			if same(x, y) {
				continue
			}
			r := &row{secret: strings.HasPrefix(f, "Proxy")}
			list = append(list, Change{
				Field: fmt.Sprintf("LeafNode: remote %s: field %q", redactAll(n.URLs), f), Key: "leafnodes.remotes", Old: show(r, x), New: show(r, y)})
		}
	}
	return list
}

// String is the configured word; the default is empty.
func (w WritePolicy) String() string {
	switch w {
	case WriteClose:
		return "close"
	case WriteRetry:
		return "retry"
	}
	return ""
}
