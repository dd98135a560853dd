package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"ramjet/proto/conf"
)

func cluster(d *decoder, o *Options, e *conf.Entry) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected map to define cluster, got %s", kind(e.Value))
		return
	}
	c := &ClusterOptions{}
	clusterBlock.decode(d, c, e.Value.Map)
	o.Cluster = c
}

var clusterAuth, gatewayAuth *block[AuthBlock]
var clusterBlock *block[ClusterOptions]
var gatewayBlock *block[GatewayOptions]

// maxRoutePing is the longest ping interval of routes.
const maxRoutePing = 30 * time.Second

func init() {
	clusterAuth, gatewayAuth = routeAuthBlock("Cluster"), routeAuthBlock("Gateway")
	type T = ClusterOptions
	clusterBlock = newBlock(unknownField, append(listenKeys(func(c *T) *string { return &c.Host }, func(c *T) *int { return &c.Port }), []key[T]{
		{"name", func(d *decoder, c *T, e *conf.Entry) {
			s, ok := d.str(e)
			switch {
			case !ok:
			case s == "_":
				d.errorf(e.Pos, "cluster name is reserved")
			case strings.Contains(s, " "):
				d.errorf(e.Pos, "cluster name cannot contain spaces")
			default:
				c.Name = s
			}
		}},
		{"authorization", func(d *decoder, c *T, e *conf.Entry) {
			if m, ok := d.object(e); ok {
				clusterAuth.decode(d, &c.Auth, m)
				if p := c.Auth.DefaultPerms; p != nil && c.Import == nil && c.Export == nil {
					c.Import, c.Export = p.Publish, p.Subscribe
				}
				c.Auth.DefaultPerms = nil
			}
		}},
		{"permissions", func(d *decoder, c *T, e *conf.Entry) {
			p := d.permissions(e)
			if p == nil {
				return
			}
			c.Import, c.Export = p.Publish, p.Subscribe
			// Routes carry interest of all queue groups: an entry cannot name one.
			if err := validRoutePerm("export", p.Subscribe); err != nil {
				d.errorf(e.Pos, "%v", err)
			}
		}},
		{"routes", func(d *decoder, c *T, e *conf.Entry) { c.Routes = d.urls(e, "route") }},
		{"tls", tlsKey(routeTLS, func(c *T) **TLSOptions { return &c.TLS })},
		{"advertise cluster_advertise", str(func(c *T) *string { return &c.Advertise })},
		{"no_advertise", boolean(func(c *T) *bool { return &c.NoAdvertise })},
		{"connect_retries", integer(func(c *T) *int { return &c.ConnectRetries })},
		{"connect_backoff", boolean(func(c *T) *bool { return &c.ConnectBackoff })},
		{"pool_size", integer(func(c *T) *int { return &c.PoolSize })},
		{"accounts", stringList(func(c *T) *[]string { return &c.Accounts })},
		{"compression", compression(func(c *T) *CompressionOptions { return &c.Compression }, "s2_fast")},
		{"ping_interval", func(d *decoder, c *T, e *conf.Entry) {
			v, ok := d.duration(e)
			if ok && v > maxRoutePing {
				d.warnings = append(d.warnings, &Problem{Pos: e.Pos, Msg: "invalid use of field \"ping_interval\": Cluster 'ping_interval' will reset to 30s which is the max for routes"})
			}
			c.PingInterval = min(v, maxRoutePing)
		}},
		{"ping_max", integer(func(c *T) *int { return &c.PingMax })},
		{"write_deadline", duration(func(c *T) *time.Duration { return &c.WriteDeadline })},
		{"write_timeout", writeTimeout(func(c *T) *WritePolicy { return &c.WriteTimeout })},
	}...)...)
	initGateway()
}

func validRoutePerm(side string, p *SubjectPerm) error {
	if p == nil {
		return nil
	}
	for i, list := range [][]string{p.Allow, p.Deny} {
		for _, s := range list {
			if !validPermSubject(s, false) {
				return fmt.Errorf("cluster %s %s: subject %q is not a valid subject", side, [...]string{"allow", "deny"}[i], s)
			}
		}
	}
	return nil
}

// compression takes a mode, a boolean or a map; whenTrue is the mode of true.
func compression[T any](f func(*T) *CompressionOptions, whenTrue string) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		c := f(t)
		*c = CompressionOptions{}
		switch e.Value.Kind {
		case conf.String:
			c.Mode = e.Value.Str
		case conf.Bool:
			c.Mode = "off"
			if e.Value.Bool {
				c.Mode = whenTrue
			}
		case conf.Map:
			compressionBlock.decode(d, c, e.Value.Map)
		default:
			d.errorf(e.Pos, "field %q should be a boolean or a structure, got %s", e.Key, kind(e.Value))
		}
	}
}

var compressionBlock = newBlock(unknownField,
	key[CompressionOptions]{"mode", str(func(c *CompressionOptions) *string { return &c.Mode })},
	key[CompressionOptions]{"rtt_thresholds thresholds rtts rtt", func(d *decoder, c *CompressionOptions, e *conf.Entry) {
		if e.Value.Kind != conf.Array {
			d.typeError(e, "an array of durations")
			return
		}
		for _, item := range e.Value.Items {
			v, err := time.ParseDuration(item.Text())
			if err != nil {
				d.errorf(e.Pos, "%v", err)
				continue
			}
			c.RTTThresholds = append(c.RTTThresholds, v)
		}
	}},
)

func gateway(d *decoder, o *Options, e *conf.Entry) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected gateway to be a map, got %s", kind(e.Value))
		return
	}
	g := &GatewayOptions{}
	gatewayBlock.decode(d, g, e.Value.Map)
	o.Gateway = g
}

func initGateway() {
	type T = GatewayOptions
	gatewayBlock = newBlock(unknownField, append(listenKeys(func(g *T) *string { return &g.Host }, func(g *T) *int { return &g.Port }), []key[T]{
		{"name", func(d *decoder, g *T, e *conf.Entry) {
			s, ok := d.str(e)
			if ok && strings.Contains(s, " ") {
				d.errorf(e.Pos, "gateway name cannot contain spaces")
				return
			}
			g.Name = s
		}},
		{"authorization", func(d *decoder, g *T, e *conf.Entry) {
			if m, ok := d.object(e); ok {
				gatewayAuth.decode(d, &g.Auth, m)
			}
		}},
		{"tls", tlsKey(routeTLS, func(g *T) **TLSOptions { return &g.TLS })},
		{"advertise", str(func(g *T) *string { return &g.Advertise })},
		{"connect_retries", integer(func(g *T) *int { return &g.ConnectRetries })},
		{"connect_backoff", boolean(func(g *T) *bool { return &g.ConnectBackoff })},
		{"gateways", remoteGateways},
		{"reject_unknown reject_unknown_cluster", boolean(func(g *T) *bool { return &g.RejectUnknown })},
		{"write_deadline", duration(func(g *T) *time.Duration { return &g.WriteDeadline })},
		{"write_timeout", writeTimeout(func(g *T) *WritePolicy { return &g.WriteTimeout })},
	}...)...)
}

func remoteGateways(d *decoder, g *GatewayOptions, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Expected gateways field to be an array, got %s", kind(e.Value))
		return
	}
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Expected gateway entry to be a map/struct, got %s", describe(item))
			continue
		}
		r := &RemoteGateway{}
		remoteGatewayBlock.decode(d, r, item.Map)
		g.Gateways = append(g.Gateways, r)
	}
}

var remoteGatewayBlock = newBlock(unknownField,
	key[RemoteGateway]{"name", str(func(r *RemoteGateway) *string { return &r.Name })},
	key[RemoteGateway]{"url", func(d *decoder, r *RemoteGateway, e *conf.Entry) {
		if s, ok := d.str(e); ok {
			if u := d.parseURL(e.Pos, s, "gateway"); u != nil {
				r.URLs = []*url.URL{u}
			}
		}
	}},
	key[RemoteGateway]{"urls", func(d *decoder, r *RemoteGateway, e *conf.Entry) { r.URLs = d.urls(e, "gateway") }},
	key[RemoteGateway]{"tls", tlsKey(routeTLS, func(r *RemoteGateway) **TLSOptions { return &r.TLS })},
)
