package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// blocks are the types that the table of classes looks into; everything else is one field.
var blocks = []reflect.Type{
	reflect.TypeFor[LogOptions](), reflect.TypeFor[*ClusterOptions](), reflect.TypeFor[*GatewayOptions](), reflect.TypeFor[*LeafOptions](),
	reflect.TypeFor[*WebsocketOptions](), reflect.TypeFor[*MQTTOptions](), reflect.TypeFor[*JetStreamOptions](),
}

func fieldPaths(t reflect.Type, prefix string) []string {
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		path := prefix + f.Name
		switch {
		case slices.Contains(blocks, f.Type) || path == "Auth":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			list = append(list, fieldPaths(inner, path+".")...)
		default:
			list = append(list, path)
		}
	}
	return list
}

// TestEveryFieldHasAClass: an option nobody thought about at reload is a bug waiting.
func TestEveryFieldHasAClass(t *testing.T) {
	rows := make(map[string]int)
	for _, r := range classes {
		rows[r.path]++
		if r.class != internal && r.key == "" {
			t.Errorf("%s has no configuration key", r.path)
		}
		if r.allow != nil && r.class != Restart || r.refuse != nil && r.class == Restart {
			t.Errorf("%s: the exception does not fit its class", r.path)
		}
		if (r.allow != nil || r.refuse != nil) && r.note == "" {
			t.Errorf("%s: the exception is not explained", r.path)
		}
	}
	paths := fieldPaths(reflect.TypeFor[Options](), "")
	for _, p := range paths {
		if rows[p] != 1 {
			t.Errorf("%s has %d rows in the table of classes", p, rows[p])
		}
		delete(rows, p)
	}
	for p := range rows {
		t.Errorf("row %s names no field", p)
	}
}

// TestKeysExist: keys in the table of classes are keys of the file.
func TestKeysExist(t *testing.T) {
	tables := map[string][]string{
		"": topBlock.names, "authorization": authBlock.names, "cluster": clusterBlock.names, "gateway": gatewayBlock.names,
		"leafnodes": leafBlock.names, "websocket": websocketBlock.names, "mqtt": mqttBlock.names, "jetstream": jetstreamBlock.names,
	}
	for _, r := range classes {
		if r.class == internal {
			continue
		}
		block, key, nested := strings.Cut(r.key, ".")
		if !nested {
			block, key = "", r.key
		}
		if !slices.Contains(tables[block], key) {
			t.Errorf("%s: no key %s", r.path, r.key)
		}
	}
}

const reloadDoc = "../../docs/reload.md"

// TestReloadDoc: docs/reload.md says what the table says. Run with -update to write it anew.
func TestReloadDoc(t *testing.T) {
	want := reloadPage()
	if *update {
		if err := os.WriteFile(reloadDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reloadDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what class.go says; run: go test ./engine/config -run TestReloadDoc -update", reloadDoc)
	}
}

func reloadPage() string {
	var b strings.Builder
	b.WriteString(`# What a reload changes

Generated from ` + "`engine/config/class.go`" + `; do not edit.

A reload (` + "SIGHUP, `ramjet --signal reload`" + `) reads the configuration file again, with the flags of the command line over it. It is
applied as a whole or, if anything in it is wrong or needs a restart, not at all; the log says which.

| Change | Meaning |
| --- | --- |
| at once | takes effect where it is used, for everybody |
| at once, for connections too | also, existing connections are checked again: who they are, what they may do, limits |
| new connections | for connections made from now on |
| restart | the reload is refused |

Users, accounts and certificates are always looked at again, whether the file changed or not.

| Key | Change | Note |
| --- | --- | --- |
`)
	type line struct{ key, class, note string }
	var lines []line
	for _, r := range classes {
		l := line{r.key, r.class.String(), r.note}
		if r.class == internal || slices.Contains(lines, l) {
			continue
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.key, b.key) })
	for _, l := range lines {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.key, l.class, l.note)
	}
	return b.String()
}

func mustLoad(t *testing.T, text string) *Options {
	t.Helper()
	o, _, err := loadText(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestDiff(t *testing.T) {
	js := "jetstream { store_dir: \"/a\", max_mem: 10M }"
	for _, c := range []struct {
		old, new string
		refused  string // first refusal, or
		lines    string // what is logged
	}{
		{"", "", "", ""},
		{"", "\n\nport: 4222", "", ""},
		{"", "port: 5", "config reload not supported for Port: old=4222, new=5", ""},
		{"", "max_subs: 5", "config reload not supported for MaxSubs: old=0, new=5", ""},
		{"", "write_timeout: retry", "config reload not supported for WriteTimeout: old=, new=retry", ""},
		{"", "feature_flags { a: true }", "config reload not supported for FeatureFlags: old=map[], new=map[a:true]", ""},
		{"", "lame_duck_duration: \"60s\"", "config reload not supported for LameDuckDuration: old=2m0s, new=1m0s", ""},
		{"", "debug: true\ntrace: true", "", "Reloaded: debug = true|Reloaded: trace = true"},
		{"", "max_connections: 5\nping_interval: \"5s\"", "", "Reloaded: ping_interval = 5s|Reloaded: max_connections = 5"},
		{"", "client_advertise: \"a:1\"", "", "Reload: client_advertise = a:1"},
		{"", "server_tags: [a]\nserver_metadata { a: b }", "", "Reloaded: tags|Reloaded: metadata"},
		{"", "no_fast_producer_stall: true", "", "Reloaded: fast producers will not be stalled"},
		{"", "authorization { user: a, pass: geheim, timeout: 5 }", "", "Reloaded: authorization username|Reloaded: authorization password|Reloaded: authorization timeout = 5"},
		{"authorization { token: geheim }", "authorization { token: geheim2 }", "", "Reloaded: authorization token"},
		{"", "authorization { proxy_required: true }", "config reload not supported for ProxyRequired: old=false, new=true", ""},
		{"", "authorization { users [{user: a, pass: b}] }\nno_auth_user: a", "config reload not supported for NoAuthUser: old=, new=a", ""},
		{"authorization { users [{user: a}] }\nno_auth_user: a", "authorization { users [{user: b}] }", "", "Reloaded: no_auth_user = |Reloaded: authorization users"},
		{"authorization { users [{user: a}] }\nno_auth_user: a", "authorization { users [{user: a}] }", "config reload not supported for NoAuthUser: old=a, new=", ""},
		{"authorization { users [{user: a}] }", "\n\nauthorization { users [\n{user: a}] }", "", ""},
		{"accounts { A { users [{user: a}] } }", "accounts { A { users [{user: b}] } }", "", "Reloaded: accounts"},
		{"", "resolver: MEM", "config reload does not support moving to or from an account resolver", ""},
		{"tls { timeout: 1 }", "tls { timeout: 1, connection_rate_limit: 5 }", "config reload not supported for TLSRateLimit: old=0, new=5", ""},
		{"tls { timeout: 2 }", "tls { timeout: 2, verify: true }", "", "Reloaded: tls = enabled"},
		{"tls { timeout: 3 }", "", "", "Reloaded: tls = disabled|Reloaded: authorization timeout = 2"},
		{"cluster { name: A, port: 6222 }", "cluster { name: B, port: 6222, pool_size: 5 }", "", "Reloaded: cluster|Reloaded: cluster"},
		{"cluster { port: 6222 }", "cluster { port: 6223 }", "config reload not supported for cluster port: old=6222, new=6223", ""},
		{"cluster { port: 1, authorization { user: a, password: geheim } }", "cluster { port: 1, authorization { user: a, password: geheim2 } }", "", "Reloaded: cluster"},
		{"gateway { name: A, port: 1 }", "gateway { name: A, port: 2 }", "config reload not supported for Gateway: field \"Port\": old=1, new=2", ""},
		{"leafnodes { port: 1 }", "leafnodes { port: 2 }", "config reload not supported for LeafNode: field \"Port\": old=1, new=2", ""},
		{"leafnodes { remotes [{url: \"nats://a:x@h\"}] }", "leafnodes { remotes [{url: \"nats://a:x@h\", hub: true}] }",
			"config reload not supported for LeafNode: remote nats://a:xxxxx@h: field \"Hub\": old=false, new=true", ""},
		{"leafnodes { remotes [{url: \"nats://h\"}] }", "leafnodes { remotes [{url: \"nats://h\", disabled: true}, {url: \"nats://i\"}] }", "", "Reloaded: leafnode remotes"},
		{"websocket { port: -1, no_tls: true }", "websocket { port: -1, no_tls: true, compression: true }", "config reload not supported for Websocket: field \"Compression\": old=false, new=true", ""},
		{"", js, "", "Reloaded: JetStream"},
		{js, "", "", "Reloaded: JetStream"},
		{js, "jetstream { store_dir: \"/b\", max_mem: 10M }", "config reload not supported for jetstream storage directory", ""},
		{js, "jetstream { store_dir: \"/a\", max_mem: 5M }", "config reload not supported for decreasing jetstream max memory and store", ""},
		{js, "jetstream { store_dir: \"/a\", max_mem: 15M }", "", "Reloaded: jetstream.max_memory_store = 15000000"},
		{js, "jetstream { store_dir: \"/a\", max_mem: 10M, sync: \"5s\" }", "config reload not supported for SyncInterval: old=2m0s, new=5s", ""},
		{js, "jetstream { store_dir: \"/a\", max_mem: 10M, key: geheim }", "config reload not supported for JetStreamKey: old=, new=[REDACTED]", ""},
		{"", "store_dir: \"/x\"", "", ""},
	} {
		p := Diff(mustLoad(t, c.old), mustLoad(t, c.new))
		var refused string
		if len(p.Refused) > 0 {
			refused = p.Refused[0].Refusal()
		}
		var lines []string
		for _, x := range p.Changes() {
			lines = append(lines, x.Line)
		}
		if refused != c.refused || refused == "" && strings.Join(lines, "|") != c.lines {
			t.Errorf("%q -> %q:\nrefused %q\nwant    %q\nlines %q\nwant  %q", c.old, c.new, refused, c.refused, strings.Join(lines, "|"), c.lines)
		}
		if all := fmt.Sprintf("%+v", p); strings.Contains(all, "geheim") {
			t.Errorf("%q -> %q: a secret is shown: %s", c.old, c.new, all)
		}
	}
}
