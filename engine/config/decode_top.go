package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"ramjet/proto/conf"

	"github.com/nats-io/nkeys"
)

// topBlock is the table of the keys outside all blocks.
var topBlock *block[Options]

func init() { // not a variable initializer: blocks refer to each other
	topBlock = newBlock(unknownField, append(listenKeys(func(o *Options) *string { return &o.Host }, func(o *Options) *int { return &o.Port }),
		topKeys()...)...)
}

func topKeys() []key[Options] {
	return []key[Options]{
		{"client_advertise", str(func(o *Options) *string { return &o.ClientAdvertise })},
		{"server_name", func(d *decoder, o *Options, e *conf.Entry) {
			s, ok := d.str(e)
			if ok && strings.Contains(s, " ") {
				d.errorf(e.Pos, "server name cannot contain spaces")
			}
			o.ServerName = s
		}},
		{"server_tags", serverTags},
		{"server_metadata", func(d *decoder, o *Options, e *conf.Entry) {
			if m, ok := d.stringMap(e); ok {
				o.Metadata = m
			}
		}},
		{"feature_flags", featureFlags},

		{"debug", boolean(func(o *Options) *bool { return &o.Log.Debug })},
		{"trace", boolean(func(o *Options) *bool { return &o.Log.Trace })},
		{"trace_verbose", alsoTrace(func(o *Options) *bool { return &o.Log.TraceVerbose })},
		{"trace_headers", alsoTrace(func(o *Options) *bool { return &o.Log.TraceHeaders })},
		{"logtime", boolean(func(o *Options) *bool { return &o.Log.Time })},
		{"logtime_utc", boolean(func(o *Options) *bool { return &o.Log.TimeUTC })},
		{"logfile log_file", str(func(o *Options) *string { return &o.Log.File })},
		{"logfile_size_limit log_size_limit", size(func(o *Options) *int64 { return &o.Log.SizeLimit })},
		{"logfile_max_num log_max_num", integer(func(o *Options) *int { return &o.Log.MaxNum })},
		{"syslog", boolean(func(o *Options) *bool { return &o.Log.Syslog })},
		{"remote_syslog", str(func(o *Options) *string { return &o.Log.RemoteSyslog })},
		{"log_format", oneOf(func(o *Options) *string { return &o.Log.Format }, "text", "json")},
		{"max_traced_msg_len", integer(func(o *Options) *int { return &o.MaxTracedMsgLen })},

		{"pidfile pid_file", str(func(o *Options) *string { return &o.PidFile })},
		{"ports_file_dir", str(func(o *Options) *string { return &o.PortsFileDir })},
		{"http", httpKey(func(o *Options) *int { return &o.HTTPPort })},
		{"https", httpKey(func(o *Options) *int { return &o.HTTPSPort })},
		{"http_port monitor_port", portKey(func(o *Options) *int { return &o.HTTPPort })},
		{"https_port", portKey(func(o *Options) *int { return &o.HTTPSPort })},
		{"http_base_path", str(func(o *Options) *string { return &o.HTTPBasePath })},
		{"prof_port", portKey(func(o *Options) *int { return &o.ProfPort })},
		{"prof_block_rate", integer(func(o *Options) *int { return &o.ProfBlockRate })},

		{"max_connections max_conn", maxConnections},
		{"max_subscriptions max_subs", integer(func(o *Options) *int { return &o.MaxSubs })},
		{"max_sub_tokens max_subscription_tokens", maxSubTokens},
		{"max_control_line", size32(func(o *Options) *int { return &o.MaxControlLine })},
		{"max_payload", maxPayload},
		{"max_pending", size(func(o *Options) *int64 { return &o.MaxPending })},
		{"max_closed_clients", integer(func(o *Options) *int { return &o.MaxClosedClients })},
		{"ping_interval", duration(func(o *Options) *time.Duration { return &o.PingInterval })},
		{"ping_max", integer(func(o *Options) *int { return &o.PingMax })},
		{"write_deadline", duration(func(o *Options) *time.Duration { return &o.WriteDeadline })},
		{"write_timeout", writeTimeout(func(o *Options) *WritePolicy { return &o.WriteTimeout })},
		{"no_fast_producer_stall", boolean(func(o *Options) *bool { return &o.NoFastProducerStall })},
		{"lame_duck_duration", lameDuckDuration},
		{"lame_duck_grace_period", lameDuckGrace},
		{"connect_error_reports", integer(func(o *Options) *int { return &o.ConnectErrorReports })},
		{"reconnect_error_reports", integer(func(o *Options) *int { return &o.ReconnectErrorReports })},
		{"disable_sublist_cache no_sublist_cache", boolean(func(o *Options) *bool { return &o.DisableSublistCache })},
		{"proxy_protocol", boolean(func(o *Options) *bool { return &o.ProxyProtocol })},
		{"no_header_support", boolean(func(o *Options) *bool { return &o.NoHeaderSupport })},

		{"allow_non_tls", boolean(func(o *Options) *bool { return &o.AllowNonTLS })},
		{"tls", tlsKey(clientTLS, func(o *Options) **TLSOptions { return &o.TLS })},
		{"ocsp", ocsp},
		{"ocsp_cache", ocspCache},

		{"authorization", authorization},
		{"accounts", accounts},
		{"mappings maps", func(d *decoder, o *Options, e *conf.Entry) { o.Mappings = d.mappings(e) }},
		{"no_auth_user", str(func(o *Options) *string { return &o.NoAuthUser })},
		{"system_account system", str(func(o *Options) *string { return &o.SystemAccount })},
		{"no_system_account no_system no_sys_acc", boolean(func(o *Options) *bool { return &o.NoSystemAccount })},
		{"proxies", func(d *decoder, o *Options, e *conf.Entry) {
			if e.Value.Kind != conf.Map {
				d.errorf(e.Pos, "expected proxies to be a map/struct, got %s", kind(e.Value))
				return
			}
			proxiesBlock.decode(d, o, e.Value.Map)
		}},

		{"operator operators root roots root_operator root_operators", noted("operator", operators)},
		{"trusted trusted_keys", noted("trusted_keys", trustedKeys)},
		{"default_sentinel", noted("default_sentinel", str(func(o *Options) *string { return &o.DefaultSentinel }))},
		{"resolver account_resolver accounts_resolver", noted("resolver", resolver)},
		{"resolver_preload", noted("resolver_preload", resolverPreload)},
		{"resolver_pinned_accounts", noted("resolver_pinned_accounts", stringList(func(o *Options) *[]string { return &o.ResolverPinnedAccounts }))},
		{"resolver_tls", tlsKey(remoteTLS, func(o *Options) **TLSOptions { return &o.ResolverTLS })},

		{"cluster", noted("cluster", cluster)},
		{"gateway", noted("gateway", gateway)},
		{"leafnodes leaf", noted("leafnodes", leafnodes)},
		{"websocket ws", noted("websocket", websocket)},
		{"mqtt", noted("mqtt", mqtt)},
		{"jetstream", noted("jetstream", jetstream)},
		{"store_dir storedir", storeDir},
		{"default_js_domain", noted("default_js_domain", func(d *decoder, o *Options, e *conf.Entry) {
			if m, ok := d.stringMap(e); ok {
				o.DefaultJSDomain = m
			}
		})},

		{"reactor", oneOf(func(o *Options) *string { return &o.Reactor }, "gnet", "epoll")},
		{"loops", func(d *decoder, o *Options, e *conf.Entry) {
			if n, ok := d.integer(e, 0, 1024); ok {
				o.Loops = int(n)
			}
		}},
		{"connect_rate", func(d *decoder, o *Options, e *conf.Entry) {
			if n, ok := d.integer(e, 0, 1_000_000); ok {
				o.ConnectRate = int(n)
			}
		}},
	}
}

// noted remembers where a block stands, for messages that come later.
func noted(name string, set func(*decoder, *Options, *conf.Entry)) func(*decoder, *Options, *conf.Entry) {
	return func(d *decoder, o *Options, e *conf.Entry) {
		o.note(name, e.Pos)
		set(d, o, e)
	}
}

func (o *Options) note(name string, pos conf.Pos) {
	if o.Places == nil {
		o.Places = make(map[string]string)
	}
	o.Places[name] = where(pos)
}

// oneOf takes one of a few words.
func oneOf[T any](f func(*T) *string, words ...string) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		s, ok := d.str(e)
		if !ok {
			return
		}
		for _, w := range words {
			if strings.EqualFold(s, w) {
				*f(t) = w
				return
			}
		}
		d.errorf(e.Pos, "%s: unknown value %q%s", e.Key, s, hint(s, words))
	}
}

func size32[T any](f func(*T) *int) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if e.Value.Kind == conf.Int && (e.Value.Int > 1<<31-1 || e.Value.Int < -1<<31) {
			d.errorf(e.Pos, "%s value is too big", strings.ToLower(e.Key))
			return
		}
		if n, ok := d.integer(e, -1<<31, 1<<31-1); ok {
			*f(t) = int(n)
		}
	}
}

// warnPayload is the max_payload above which a warning is printed.
const warnPayload = 8 << 20

func maxPayload(d *decoder, o *Options, e *conf.Entry) {
	size32(func(o *Options) *int { return &o.MaxPayload })(d, o, e)
	if o.MaxPayload > warnPayload {
		d.warnf(e, "maximum payloads over %d MiB are not recommended and will likely cause performance issues", warnPayload>>20)
	}
}

func maxConnections(d *decoder, o *Options, e *conf.Entry) {
	integer(func(o *Options) *int { return &o.MaxConn })(d, o, e)
	if e.Value.Kind == conf.Int && e.Value.Int == 0 {
		o.MaxConn = -1
	}
}

func maxSubTokens(d *decoder, o *Options, e *conf.Entry) {
	n, ok := d.integer(e, -1<<31, 1<<31-1)
	switch {
	case !ok:
	case n > 255:
		d.errorf(e.Pos, "subject tokens max value must be lower than 256, got %d", n)
	case n <= 0:
		d.errorf(e.Pos, "%s value can not be less than or equal to 0", e.Key)
	default:
		o.MaxSubTokens = int(n)
	}
}

func alsoTrace(f func(*Options) *bool) func(*decoder, *Options, *conf.Entry) {
	return func(d *decoder, o *Options, e *conf.Entry) {
		if b, ok := d.boolean(e); ok {
			*f(o) = b
			o.Log.Trace = o.Log.Trace || b
		}
	}
}

func serverTags(d *decoder, o *Options, e *conf.Entry) {
	tags, ok := d.stringList(e)
	if !ok {
		return
	}
	o.ServerTags = nil
	for _, t := range tags {
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" {
			o.ServerTags = append(o.ServerTags, t)
		}
	}
}

func featureFlags(d *decoder, o *Options, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	o.FeatureFlags = make(map[string]bool, len(m.Entries))
	for _, x := range m.Entries {
		if b, ok := d.boolean(x); ok {
			o.FeatureFlags[x.Key] = b
		}
	}
}

func writeTimeout[T any](f func(*T) *WritePolicy) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		var word string
		oneOf(func(w *string) *string { return w }, "default", "close", "retry")(d, &word, e)
		*f(t) = map[string]WritePolicy{"close": WriteClose, "retry": WriteRetry}[word]
	}
}

// minLameDuck is the shortest lame duck mode.
const minLameDuck = 30 * time.Second

func lameDuckDuration(d *decoder, o *Options, e *conf.Entry) {
	v, ok := d.strictDuration(e)
	switch {
	case !ok:
	case v < minLameDuck:
		d.errorf(e.Pos, "invalid lame_duck_duration of %v, minimum is %d seconds", v, minLameDuck/time.Second)
	default:
		o.LameDuckDuration = v
	}
}

func lameDuckGrace(d *decoder, o *Options, e *conf.Entry) {
	v, ok := d.strictDuration(e)
	switch {
	case !ok:
	case v < 0:
		d.errorf(e.Pos, "invalid lame_duck_grace_period, needs to be positive")
	default:
		o.LameDuckGrace = v
	}
}

var proxiesBlock = newBlock(unknownField, key[Options]{"trusted", func(d *decoder, o *Options, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "expected proxies' trusted field to be an array, got %s", kind(e.Value))
		return
	}
	o.TrustedProxies = nil
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "expected proxies' trusted entry to be a map/struct, got %s", kind(item))
			continue
		}
		proxyBlock.decode(d, o, item.Map)
	}
}})

var proxyBlock = newBlock(unknownField, key[Options]{"key public_key", func(d *decoder, o *Options, e *conf.Entry) {
	s, ok := d.str(e)
	switch {
	case !ok:
	case !nkeys.IsValidPublicKey(s):
		d.errorf(e.Pos, "invalid proxy key %q: expected a public nkey", s)
	default:
		o.TrustedProxies = append(o.TrustedProxies, s)
	}
}})

func ocsp(d *decoder, o *Options, e *conf.Entry) {
	o.note("ocsp", e.Pos)
	switch e.Value.Kind {
	case conf.Bool:
		o.OCSP = &OCSPOptions{Mode: "never"}
		if e.Value.Bool {
			o.OCSP.Mode = "auto"
		}
	case conf.Map:
		o.OCSP = &OCSPOptions{Mode: "auto"}
		ocspBlock.decode(d, o.OCSP, e.Value.Map)
	default:
		d.errorf(e.Pos, "error parsing ocsp config: unsupported type %s, expected a boolean or a map", kind(e.Value))
	}
}

var ocspBlock = newBlock("error parsing ocsp config, "+unknownField,
	key[OCSPOptions]{"mode", oneOf(func(o *OCSPOptions) *string { return &o.Mode }, "auto", "always", "must", "never")},
	key[OCSPOptions]{"url urls", stringList(func(o *OCSPOptions) *[]string { return &o.URLs })},
)

func ocspCache(d *decoder, o *Options, e *conf.Entry) {
	o.note("ocsp_cache", e.Pos)
	c := &OCSPCacheOptions{Type: "local", LocalStore: "_rc_", SaveInterval: 5 * time.Minute}
	switch e.Value.Kind {
	case conf.Bool:
		if !e.Value.Bool {
			c.Type = "none"
		}
	case conf.Map:
		ocspCacheBlock.decode(d, c, e.Value.Map)
	default:
		d.typeError(e, "a boolean or a map")
		return
	}
	o.OCSPCache = c
}

var ocspCacheBlock = newBlock("error parsing ocsp cache config, "+unknownField,
	key[OCSPCacheOptions]{"type", oneOf(func(o *OCSPCacheOptions) *string { return &o.Type }, "none", "local")},
	key[OCSPCacheOptions]{"local_store", str(func(o *OCSPCacheOptions) *string { return &o.LocalStore })},
	key[OCSPCacheOptions]{"preserve_revoked", boolean(func(o *OCSPCacheOptions) *bool { return &o.PreserveRevoked })},
	key[OCSPCacheOptions]{"save_interval", func(d *decoder, o *OCSPCacheOptions, e *conf.Entry) {
		if v, ok := d.timeout(e, "ocsp cache"); ok {
			o.SaveInterval = max(v, time.Second)
		}
	}},
)

func trustedKeys(d *decoder, o *Options, e *conf.Entry) {
	keys, ok := d.stringList(e)
	if !ok {
		return
	}
	for _, k := range keys {
		if !nkeys.IsValidPublicOperatorKey(k) {
			d.errorf(e.Pos, "trust key %q required to be a valid public operator nkey", k)
		}
	}
	o.TrustedKeys = keys
}

var resolverURL = regexp.MustCompile(`^(?i:URL)\(\s*"?(.+?)"?\s*\)$`)

func resolver(d *decoder, o *Options, e *conf.Entry) {
	switch e.Value.Kind {
	case conf.String:
		s := strings.TrimSpace(e.Value.Str)
		if strings.EqualFold(s, "MEM") || strings.EqualFold(s, "MEMORY") {
			o.Resolver = &ResolverOptions{Type: "mem"}
			return
		}
		if m := resolverURL.FindStringSubmatch(s); m != nil {
			if u := d.parseURL(e.Pos, m[1], "resolver"); u != nil {
				o.Resolver = &ResolverOptions{Type: "url", URL: m[1]}
			}
			return
		}
	case conf.Map:
		r := &ResolverOptions{}
		resolverBlock.decode(d, r, e.Value.Map)
		if r.Type != "mem" && r.Dir == "" {
			d.errorf(e.Pos, "dir has no value and needs to point to a directory")
		}
		if r.Type == "" {
			d.errorf(e.Pos, "resolver type has no value: expected full, cache or mem")
		}
		o.Resolver = r
		return
	}
	d.errorf(e.Pos, "error parsing account resolver, should be MEM or URL(\"url\") or a map containing dir and type full or cache")
}

var resolverBlock = newBlock(unknownField,
	key[ResolverOptions]{"dir", str(func(r *ResolverOptions) *string { return &r.Dir })},
	key[ResolverOptions]{"type", func(d *decoder, r *ResolverOptions, e *conf.Entry) {
		oneOf(func(r *ResolverOptions) *string { return &r.Type }, "full", "cache", "mem", "memory")(d, r, e)
		if r.Type == "memory" {
			r.Type = "mem"
		}
	}},
	key[ResolverOptions]{"allow_delete", boolean(func(r *ResolverOptions) *bool { return &r.AllowDelete })},
	key[ResolverOptions]{"hard_delete", boolean(func(r *ResolverOptions) *bool { return &r.HardDelete })},
	key[ResolverOptions]{"limit", count(func(r *ResolverOptions) *int64 { return &r.Limit })},
	key[ResolverOptions]{"ttl", strict(func(r *ResolverOptions) *time.Duration { return &r.TTL })},
	key[ResolverOptions]{"interval", strict(func(r *ResolverOptions) *time.Duration { return &r.Interval })},
	key[ResolverOptions]{"timeout", strict(func(r *ResolverOptions) *time.Duration { return &r.Timeout })},
)

func strict[T any](f func(*T) *time.Duration) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if v, ok := d.strictDuration(e); ok {
			*f(t) = v
		}
	}
}

func resolverPreload(d *decoder, o *Options, e *conf.Entry) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "preload should be a map of account_public_key:account_jwt")
		return
	}
	m, ok := d.stringMap(e)
	if ok {
		o.ResolverPreload = m
	}
}

func storeDir(d *decoder, o *Options, e *conf.Entry) {
	s, ok := d.str(e)
	if !ok {
		return
	}
	d.setStoreDir(o, e.Pos, s)
}

// setStoreDir sets the directory of streams, which may be given only once, here or in jetstream.
func (d *decoder) setStoreDir(o *Options, pos conf.Pos, dir string) {
	if o.StoreDir != "" {
		d.errorf(pos, "Duplicate 'store_dir' configuration")
		return
	}
	o.StoreDir = dir
}

func quoteAll(list []string) string { return fmt.Sprintf("%q", list) }
