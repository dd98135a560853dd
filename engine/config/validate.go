package config

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ramjet/proto/subject"

	"github.com/nats-io/nkeys"
)

// rules are the checks between options, in the order of their messages (config.md, section 11).
var rules = []func(o *Options) error{
	validServer, validUsers, validNoAuthUser, validProxies, validPins, validOperators,
	validClusterName, validCluster, validGateway, validLeafnodes, validWebsocket, validMQTT, validJetStream,
}

// Validate applies the rules between options, to a configuration with defaults filled in. It reports the
// first violation of each area. Any goroutine.
func Validate(o *Options) error {
	l := &ErrorList{}
	for _, rule := range rules {
		if err := rule(o); err != nil {
			l.Problems = append(l.Problems, &Problem{Msg: err.Error()})
		}
	}
	if len(l.Problems) == 0 {
		return nil
	}
	return l
}

func validServer(o *Options) error {
	switch {
	case strings.Contains(o.ServerName, " "):
		return errors.New("server name cannot contain spaces")
	case o.LameDuckGrace >= o.LameDuckDuration && o.LameDuckDuration > 0:
		return fmt.Errorf("lame duck grace period (%v) should be strictly lower than lame duck duration (%v)", o.LameDuckGrace, o.LameDuckDuration)
	case int64(o.MaxPayload) > o.MaxPending && o.MaxPending > 0:
		return fmt.Errorf("max_payload (%v) cannot be higher than max_pending (%v)", o.MaxPayload, o.MaxPending)
	case o.Reactor != "" && o.Reactor != "gnet" && o.Reactor != "epoll":
		return fmt.Errorf("unknown reactor %q (expected gnet or epoll)", o.Reactor)
	case o.Log.Format != "" && o.Log.Format != "text" && o.Log.Format != "json":
		return fmt.Errorf("unknown log_format %q (expected text or json)", o.Log.Format)
	case o.Loops < 0:
		return fmt.Errorf("loops cannot be negative: %d", o.Loops)
	case o.ConnectRate < 0:
		return fmt.Errorf("connect_rate cannot be negative: %d", o.ConnectRate)
	}
	return nil
}

// allUsers lists the users of all accounts.
func allUsers(o *Options) []*User { return slices.Concat(o.Auth.Users, accountUsers(o)) }

func validUsers(o *Options) error {
	for _, u := range allUsers(o) {
		who := fmt.Sprintf("user %q", u.Name)
		if u.Nkey != "" {
			who = fmt.Sprintf("nkey %q", u.Nkey)
		}
		if err := validPerms(u.Perms); err != nil {
			return fmt.Errorf("invalid permissions for %s: %w", who, err)
		}
		for _, t := range u.ConnTypes {
			if !slices.Contains(connTypes, strings.ToUpper(t)) {
				return fmt.Errorf("unknown connection type %q", t)
			}
		}
	}
	return nil
}

func validPerms(p *Permissions) error {
	if p == nil {
		return nil
	}
	for _, side := range []struct {
		name   string
		perm   *SubjectPerm
		queues bool
	}{{"publish", p.Publish, false}, {"subscribe", p.Subscribe, true}} {
		if side.perm == nil {
			continue
		}
		for _, list := range []struct {
			name     string
			subjects []string
		}{{"allow", side.perm.Allow}, {"deny", side.perm.Deny}} {
			for _, s := range list.subjects {
				if !validPermSubject(s, side.queues) {
					return fmt.Errorf("%s %s: subject %q is not a valid subject", side.name, list.name, s)
				}
			}
		}
	}
	return nil
}

func validNoAuthUser(o *Options) error {
	names := []string{o.NoAuthUser}
	if o.Websocket != nil {
		names = append(names, o.Websocket.NoAuthUser)
	}
	if o.MQTT != nil {
		names = append(names, o.MQTT.NoAuthUser)
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		users := allUsers(o)
		switch {
		case operatorMode(o):
			return errors.New("no_auth_user not compatible with Trusted Operator")
		case len(users) == 0:
			return fmt.Errorf("no_auth_user: %q present, but users/nkeys are not defined", name)
		case !slices.ContainsFunc(users, func(u *User) bool { return u.Name == name || u.Nkey == name }):
			return fmt.Errorf("no_auth_user: %q not present as user or nkey in authorization block or account configuration", name)
		}
	}
	return nil
}

func operatorMode(o *Options) bool { return len(o.Operators) > 0 || len(o.TrustedKeys) > 0 }

func validProxies(o *Options) error {
	for _, k := range o.TrustedProxies {
		if !nkeys.IsValidPublicKey(k) {
			return fmt.Errorf("proxy trusted key %q is invalid", k)
		}
	}
	return nil
}

func validPins(o *Options) error {
	for _, t := range allTLS(o) {
		for k := range t.PinnedCerts {
			if !validPin(k) {
				return fmt.Errorf("error parsing 'pinned_certs' key %s does not look like lower case hex-encoded sha256 of DER encoded SubjectPublicKeyInfo", k)
			}
		}
	}
	return nil
}

func validOperators(o *Options) error {
	if !operatorMode(o) {
		for _, k := range o.ResolverPinnedAccounts {
			if !nkeys.IsValidPublicAccountKey(k) {
				return fmt.Errorf("pinned account key %q is not a valid public account nkey", k)
			}
		}
		return nil
	}
	switch {
	case len(o.Operators) > 0 && len(o.TrustedKeys) > 0:
		return errors.New("conflicting options for 'TrustedKeys' and 'TrustedOperators'")
	case o.Resolver == nil && len(o.Operators) > 0:
		return errors.New("operators require an account resolver to be configured")
	case len(o.Accounts) > 0:
		return errors.New("operators do not allow Accounts to be configured directly")
	case len(o.Auth.Users) > 0:
		return errors.New("operators do not allow users to be configured directly")
	case o.Auth.Callout != nil:
		return errors.New("operators do not allow authorization callouts to be configured directly")
	}
	return nil
}

func validClusterName(o *Options) error {
	if o.Cluster == nil {
		return nil
	}
	name := o.Cluster.Name
	switch {
	case name != "" && o.Gateway != nil && o.Gateway.Name != "" && name != o.Gateway.Name:
		return errors.New("cluster name conflicts between cluster and gateway definitions")
	case strings.Contains(name, " "):
		return errors.New("cluster name cannot contain spaces")
	case name == "_":
		return errors.New("cluster name is reserved")
	}
	return nil
}

func validCluster(o *Options) error {
	c := o.Cluster
	if c == nil {
		return nil
	}
	if len(c.Routes) > 0 && c.Port == 0 {
		return errors.New("solicited routes require cluster capabilities, e.g. --cluster")
	}
	if len(c.Accounts) > 0 && c.PoolSize < 0 {
		return errors.New("pool_size cannot be negative if pinned accounts are specified")
	}
	seen := make(map[string]bool)
	for _, a := range c.Accounts {
		if seen[a] {
			return fmt.Errorf("found duplicate account name %q in pinned accounts list %q", a, c.Accounts)
		}
		seen[a] = true
	}
	return validCompression(&c.Compression)
}

var compressionModes = []string{"", "not supported", "off", "accept", "s2_auto", "s2_uncompressed", "s2_fast", "s2_better", "s2_best", "on", "true", "enabled", "auto", "fast", "better", "best", "disabled", "false"}

// maxRTTThresholds is how many thresholds s2_auto has levels for.
const maxRTTThresholds = 4

func validCompression(c *CompressionOptions) error {
	mode := strings.ToLower(c.Mode)
	if !slices.Contains(compressionModes, mode) {
		return fmt.Errorf("unsupported compression mode %q", c.Mode)
	}
	if mode != "s2_auto" || c.RTTThresholds == nil {
		return nil
	}
	t := c.RTTThresholds
	for i, v := range t {
		if v < 0 || i > 0 && v != 0 && v <= t[i-1] {
			return fmt.Errorf("RTT threshold values %v should be in ascending order", t)
		}
	}
	switch {
	case len(t) == 0 || slices.Max(t) == 0:
		return fmt.Errorf("compression mode %q requires at least one RTT threshold", "s2_auto")
	case len(t) > maxRTTThresholds:
		return fmt.Errorf("compression mode %q should have no more than %d RTT thresholds: %v", "s2_auto", maxRTTThresholds, t)
	}
	return nil
}

func validGateway(o *Options) error {
	g := o.Gateway
	if g == nil || g.Name == "" && g.Port == 0 {
		return nil
	}
	switch {
	case g.Name == "":
		return errors.New("gateway has no name")
	case strings.Contains(g.Name, " "):
		return errors.New("gateway name cannot contain spaces")
	case g.Port == 0:
		return fmt.Errorf("gateway %q has no port specified (select -1 for random port)", g.Name)
	}
	for i, r := range g.Gateways {
		switch {
		case r.Name == "":
			return fmt.Errorf("gateway in the list %d has no name", i)
		case len(r.URLs) == 0:
			return fmt.Errorf("gateway %q has no URL", r.Name)
		}
	}
	return nil
}

func validWebsocket(o *Options) error {
	w := o.Websocket
	if w == nil || w.Port == 0 {
		return nil
	}
	if w.TLS == nil && !w.NoTLS {
		return errors.New("websocket requires TLS configuration")
	}
	for _, origin := range w.AllowedOrigins {
		u, err := url.ParseRequestURI(origin)
		switch {
		case err != nil:
			return fmt.Errorf("unable to parse allowed origin: %w", err)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return fmt.Errorf("allowed origin %q must be an absolute http or https URL with a host", origin)
		}
	}
	users := len(allUsers(o)) > 0
	switch {
	case w.Auth.User != "" && users:
		return errors.New("websocket authentication username not compatible with presence of users/nkeys")
	case w.Auth.Token != "" && users:
		return errors.New("websocket authentication token not compatible with presence of users/nkeys")
	case w.JWTCookie != "" && !operatorMode(o):
		return fmt.Errorf("trusted operators or trusted keys configuration is required for JWT authentication via cookie %q", w.JWTCookie)
	}
	for h := range w.Headers {
		if slices.Contains(upgradeHeaders, http.CanonicalHeaderKey(h)) {
			return fmt.Errorf("websocket: invalid header %q not allowed", h)
		}
	}
	return nil
}

// upgradeHeaders are set by the server itself in the answer to an upgrade.
var upgradeHeaders = []string{"Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Nats-No-Masking"}

func validMQTT(o *Options) error {
	q := o.MQTT
	if q == nil || q.Port == 0 {
		return nil
	}
	users := len(allUsers(o)) > 0
	clustered := o.Cluster != nil && o.Cluster.Port != 0 || o.Gateway != nil && o.Gateway.Name != ""
	leaf := o.Leafnodes != nil && len(o.Leafnodes.Remotes) > 0
	switch {
	case o.ServerName == "" && (clustered || leaf):
		return errors.New("mqtt requires server name to be explicitly set when in a cluster")
	case q.Auth.User != "" && users:
		return errors.New("mqtt authentication username not compatible with presence of users/nkeys")
	case q.Auth.Token != "" && users:
		return errors.New("mqtt authentication token not compatible with presence of users/nkeys")
	case q.AckWait < 0:
		return errors.New("mqtt: ack_wait must be a positive value")
	case q.JSAPITimeout < 0:
		return errors.New("mqtt: js_api_timeout must be a positive value")
	case !clustered && !leaf && (o.JetStream == nil || !o.JetStream.Enabled):
		return errors.New("mqtt requires JetStream to be enabled if running in standalone mode")
	case q.ConsumerReplicas > 0 && q.StreamReplicas > 0 && q.ConsumerReplicas > q.StreamReplicas:
		return fmt.Errorf("mqtt: consumer_replicas (%v) cannot be higher than stream_replicas (%v)", q.ConsumerReplicas, q.StreamReplicas)
	}
	return nil
}

func validJetStream(o *Options) error {
	if err := validJSDomains(o); err != nil {
		return err
	}
	j := o.JetStream
	if j == nil || !j.Enabled {
		return nil
	}
	if o.Cluster != nil && o.Cluster.Port != 0 {
		if o.ServerName == "" {
			return errors.New("jetstream cluster requires `server_name` to be set")
		}
		if o.Cluster.Name == "" && (o.Gateway == nil || o.Gateway.Name == "") {
			return errors.New("jetstream cluster requires `cluster.name` to be set")
		}
	}
	if d := j.Domain; d != "" && (strings.ContainsAny(d, ".*>") || !subject.ValidLiteral(d)) {
		return errors.New("invalid domain name: may not contain ., * or >")
	}
	return nil
}

func validJSDomains(o *Options) error {
	for name := range o.DefaultJSDomain {
		if name == o.SystemAccount {
			return fmt.Errorf("default_js_domain contains the system account name %q", name)
		}
		if operatorMode(o) {
			continue
		}
		i := slices.IndexFunc(o.Accounts, func(a *Account) bool { return a.Name == name })
		switch {
		case i < 0 && name != globalAccount:
			return fmt.Errorf("in non operator mode, `default_js_domain` references non existing account %q", name)
		case i >= 0 && o.Accounts[i].JetStream != nil && o.Accounts[i].JetStream.Enabled:
			return fmt.Errorf("default_js_domain: account %q has JetStream enabled", name)
		}
	}
	return nil
}
