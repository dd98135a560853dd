package config

import (
	"fmt"
	"slices"
)

// unbuilt are the subsystems that this build does not have. A later issue deletes its row. The keys are
// those of Options.Places; used says that the options ask for it.
var unbuilt = []struct {
	name string
	used func(o *Options) bool
}{
	{"cluster", func(o *Options) bool { // JetStream on one server only
		return o.Cluster != nil && len(o.Cluster.Routes) > 0 && o.JetStream != nil && o.JetStream.Enabled
	}},
	{"gateway", func(o *Options) bool { // the same
		return o.Gateway != nil && o.Gateway.Name != "" && o.JetStream != nil && o.JetStream.Enabled
	}},
}

// Unsupported reports everything in o that needs a subsystem which does not exist yet in this build:
// a server must not start and silently do less than asked. The error is an *ErrorList or nil.
func Unsupported(o *Options) error {
	l := &ErrorList{}
	add := func(name string) {
		what := ""
		switch name {
		case "cluster":
			what = " with routes, together with jetstream"
		case "gateway":
			what = " together with jetstream"
		}
		at := ""
		if p := parsePlace(o.Places[name]); p.Line > 0 {
			at = fmt.Sprintf(" (%s:%d)", p.File, p.Line)
		}
		l.Problems = append(l.Problems, &Problem{Msg: name + what + ": not supported yet by this build of ramjet" + at})
	}
	for _, u := range unbuilt {
		if u.used(o) {
			add(u.name)
		}
	}
	if len(l.Problems) == 0 {
		return nil
	}
	return l
}

// UnsupportedNames lists the subsystems that this build refuses.
func UnsupportedNames() []string {
	var names []string
	for _, u := range unbuilt {
		names = append(names, u.name)
	}
	return names
}

// allTLS lists the TLS blocks of o.
func allTLS(o *Options) []*TLSOptions {
	list := []*TLSOptions{o.TLS, o.ResolverTLS}
	if o.Websocket != nil {
		list = append(list, o.Websocket.TLS)
	}
	if o.MQTT != nil {
		list = append(list, o.MQTT.TLS)
	}
	if o.Cluster != nil {
		list = append(list, o.Cluster.TLS)
	}
	if o.Gateway != nil {
		list = append(list, o.Gateway.TLS)
		for _, r := range o.Gateway.Gateways {
			list = append(list, r.TLS)
		}
	}
	if o.Leafnodes != nil {
		list = append(list, o.Leafnodes.TLS)
		for _, r := range o.Leafnodes.Remotes {
			list = append(list, r.TLS, r.ProxyTLS)
		}
	}
	return slices.DeleteFunc(list, func(t *TLSOptions) bool { return t == nil })
}
