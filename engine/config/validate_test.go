package config

import (
	"strings"
	"testing"
)

// TestValidate: the rules between options, with the texts of reference/config.md, section 11. "" = allowed.
func TestValidate(t *testing.T) {
	const users = "authorization { users [ {user: a, password: b} ] }\n"
	for _, c := range []struct{ text, want string }{
		{"lame_duck_duration: \"40s\"\nlame_duck_grace_period: \"40s\"", "lame duck grace period (40s) should be strictly lower than lame duck duration (40s)"},
		{"lame_duck_duration: \"40s\"\nlame_duck_grace_period: \"39s\"", ""},
		{"max_payload: 5000\nmax_pending: 4000", "max_payload (5000) cannot be higher than max_pending (4000)"},
		{users + "no_auth_user: a", ""},
		{"no_auth_user: a", "no_auth_user: \"a\" present, but users/nkeys are not defined"},
		{users + "no_auth_user: x", "no_auth_user: \"x\" not present as user or nkey in authorization block or account configuration"},
		{"accounts { A { users [ {user: a, password: b} ] } }\nno_auth_user: a", ""},
		{users + "websocket { port: -1, no_tls: true, no_auth_user: x }", "no_auth_user: \"x\" not present"},
		{"trusted_keys: OAXWHJ4UJFFEDBUBLWHVV2DYAKTYCVQPW3VQ6CRBZNKMFPL4EGFLZMXA", "trust key"},
		{"cluster { name: a, port: 1 }\ngateway { name: b, port: 2 }", "cluster name conflicts between cluster and gateway definitions"},
		{"cluster { port: 1, pool_size: -1, accounts: [A] }", "pool_size cannot be negative if pinned accounts are specified"},
		{"cluster { port: 1, accounts: [A, A] }", "found duplicate account name \"A\" in pinned accounts list"},
		{"cluster { routes: [\"nats://a:1\"] }", "solicited routes require cluster capabilities, e.g. --cluster"},
		{"cluster { port: 1, compression: zip }", "unsupported compression mode \"zip\""},
		{"cluster { port: 1, compression { mode: s2_auto, rtt_thresholds: [] } }", ""},
		{"cluster { port: 1, compression { mode: s2_auto, rtt_thresholds: [0ms, \"0s\"] } }", "compression mode \"s2_auto\" requires at least one RTT threshold"},
		{"cluster { port: 1, compression { mode: s2_auto, rtt_thresholds: [1ms, 2ms, 3ms, 4ms, 5ms] } }", "should have no more than 4 RTT thresholds"},
		{"cluster { port: 1, compression { mode: s2_auto, rtt_thresholds: [2ms, 1ms] } }", "RTT threshold values [2ms 1ms] should be in ascending order"},
		{"gateway { port: 1 }", "gateway has no name"},
		{"gateway { name: g }", "gateway \"g\" has no port specified (select -1 for random port)"},
		{"gateway { name: g, port: 1, gateways: [ { urls: [\"nats://x\"] } ] }", "gateway in the list 0 has no name"},
		{"gateway { name: g, port: 1, gateways: [ { name: x } ] }", "gateway \"x\" has no URL"},
		{"leafnodes { port: 1 }\ngateway { name: g, port: 2 }\nno_system_account: true", "leaf nodes and gateways (both being defined) require a system account to also be configured"},
		{"leafnodes { remotes [ { url: \"nats://a\", account: X } ] }", "cannot find local account \"X\" specified in leafnode remote"},
		{"leafnodes { port: 1, authorization { account: X, user: a } }", "cannot find local account \"X\" specified in leafnode authorization"},
		{"leafnodes { port: 1, authorization { users [ {user: a, account: X} ] } }", "cannot find local account \"X\" specified in leafnode authorization"},
		{"leafnodes { remotes [ { urls: [\"nats://a\", \"ws://b\"] } ] }", "remote leaf node configuration cannot have a mix of websocket and non-websocket urls: nats://a, ws://b"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { timeout: \"1s\" } } ] }", "proxy URL must be specified when other proxy options are set"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { url: \"ftp://x\" } } ] }", "proxy URL scheme must be http or https, got: ftp"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { url: \"http://\" } } ] }", "proxy URL must specify a host"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { url: \"http://x\", tls { timeout: 1 } } } ] }", "proxy TLS configuration requires an https proxy URL, got: http"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { url: \"http://x\", timeout: \"-1s\" } } ] }", "proxy timeout must be >= 0"},
		{"leafnodes { remotes [ { url: \"ws://a\", proxy { url: \"http://x\", username: u } } ] }", "proxy username and password must both be specified or both be empty"},
		{"websocket { port: 1 }", "websocket requires TLS configuration"},
		{"websocket { port: 1, no_tls: true }", ""},
		{users + "websocket { port: 1, no_tls: true, authorization { user: x, password: y } }", "websocket authentication username not compatible with presence of users/nkeys"},
		{users + "websocket { port: 1, no_tls: true, authorization { token: x } }", "websocket authentication token not compatible with presence of users/nkeys"},
		{"websocket { port: 1, no_tls: true, jwt_cookie: c }", "trusted operators or trusted keys configuration is required for JWT authentication via cookie \"c\""},
		{"websocket { port: 1, no_tls: true, headers { upgrade: x } }", "websocket: invalid header \"upgrade\" not allowed"},
		{"websocket { port: 1, no_tls: true, allowed_origins: [\"a\"] }", "allowed origin"},
		{"websocket { port: 1, no_tls: true, allowed_origins: [\"ftp://a\"] }", "must be an absolute http or https URL with a host"},
		{"mqtt { port: 1 }", "mqtt requires JetStream to be enabled if running in standalone mode"},
		{"mqtt { port: 1 }\ncluster { port: 2, name: c }", "mqtt requires server name to be explicitly set"},
		{users + "jetstream: true\nmqtt { port: 1, authorization { user: x, password: y } }", "mqtt authentication username not compatible"},
		{"jetstream: true\nmqtt { port: 1, ack_wait: \"-1s\" }", "ack_wait must be a positive value"},
		{"jetstream: true\nmqtt { port: 1, stream_replicas: 1, consumer_replicas: 3 }", "mqtt: consumer_replicas (3) cannot be higher than stream_replicas (1)"},
		{"jetstream: true\ncluster { port: 1, name: c }", "jetstream cluster requires `server_name` to be set"},
		{"jetstream: true\nserver_name: a\ncluster { port: 1 }", "jetstream cluster requires `cluster.name` to be set"},
		{"jetstream { domain: \"a.b\" }", "invalid domain name: may not contain ., * or >"},
		{"default_js_domain { X: d }", "references non existing account \"X\""},
		{"default_js_domain { \"$SYS\": d }", "default_js_domain contains the system account name"},
	} {
		_, _, err := loadText(c.text)
		switch {
		case err == nil && c.want != "":
			t.Errorf("%s\naccepted, want %s", c.text, c.want)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestValidateStructs: what only an embedding program can get wrong.
func TestValidateStructs(t *testing.T) {
	for want, o := range map[string]*Options{
		"server name cannot contain spaces": {ServerName: "a b"},
		"invalid permissions for user \"u\": publish allow: subject \"a..b\" is not a valid subject":   {Auth: AuthBlock{Users: []*User{{Name: "u", Perms: &Permissions{Publish: &SubjectPerm{Allow: []string{"a..b"}}}}}}},
		"invalid permissions for user \"u\": publish deny: subject \"a q\" is not a valid subject":     {Auth: AuthBlock{Users: []*User{{Name: "u", Perms: &Permissions{Publish: &SubjectPerm{Deny: []string{"a q"}}}}}}},
		"invalid permissions for nkey \"N\": subscribe deny: subject \"a b c\" is not a valid subject": {Auth: AuthBlock{Users: []*User{{Nkey: "N", Perms: &Permissions{Subscribe: &SubjectPerm{Deny: []string{"a b c"}}}}}}},
		"unknown connection type \"X\"":      {Auth: AuthBlock{Users: []*User{{Name: "u", ConnTypes: []string{"standard", "X"}}}}},
		"proxy trusted key \"k\" is invalid": {TrustedProxies: []string{"k"}},
		"error parsing 'pinned_certs' key K does not look like lower case hex-encoded sha256": {TLS: &TLSOptions{PinnedCerts: map[string]struct{}{"K": {}}}},
		"pinned account key \"k\" is not a valid public account nkey":                         {ResolverPinnedAccounts: []string{"k"}},
		"operators require an account resolver to be configured":                              {Operators: []string{"x"}},
		"operators do not allow Accounts to be configured directly":                           {Operators: []string{"x"}, Resolver: &ResolverOptions{}, Accounts: []*Account{{Name: "A"}}},
		"operators do not allow users to be configured directly":                              {Operators: []string{"x"}, Resolver: &ResolverOptions{}, Auth: AuthBlock{Users: []*User{{Name: "u"}}}},
		"operators do not allow authorization callouts to be configured directly":             {Operators: []string{"x"}, Resolver: &ResolverOptions{}, Auth: AuthBlock{Callout: &AuthCallout{}}},
		"conflicting options for 'TrustedKeys' and 'TrustedOperators'":                        {Operators: []string{"x"}, TrustedKeys: []string{"y"}},
		"no_auth_user not compatible with Trusted Operator":                                   {Operators: []string{"x"}, Resolver: &ResolverOptions{}, NoAuthUser: "a"},
		"operator mode does not allow specifying users in leafnode config":                    {Operators: []string{"x"}, Resolver: &ResolverOptions{}, Leafnodes: &LeafOptions{Port: 1, Auth: AuthBlock{Users: []*User{{Name: "u"}}}}},
		"unknown reactor \"x\"": {Reactor: "x"},
		"unknown log_format":    {Log: LogOptions{Format: "x"}},
	} {
		Baseline(o)
		if err := Validate(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
