package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// changed lists what differs from a server without configuration, as JSON by the path of the field.
func changed(o *Options) string {
	base := &Options{Log: LogOptions{Time: true}}
	Baseline(base)
	var b strings.Builder
	for _, r := range classes {
		x, y := fieldAt(o, r.path), fieldAt(base, r.path)
		if r.path == "Places" || same(x, y) && !(x.Kind() == reflect.Pointer && !x.IsNil()) {
			continue
		}
		data, err := json.Marshal(x.Interface())
		if err != nil {
			data = []byte("\"" + err.Error() + "\"")
		}
		b.WriteString(r.path + " = " + string(data) + "\n")
	}
	return b.String()
}

// TestGood compares what is decoded from good configurations. Run with -update to write it anew, and check
// with nats-server -t that it takes the same files (but for ramjet's own keys).
func TestGood(t *testing.T) {
	const file = "testdata/good.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, c := range strings.Split(string(data), "=== \n")[1:] {
		text, want, _ := strings.Cut(c, "--- \n")
		o, warnings, err := loadText(text)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("case %d: %v %q", i, err, warnings)
		}
		got := changed(o)
		if got != want && !*update {
			t.Errorf("case %d\n%s\ngot:\n%s\nwant:\n%s", i, text, got, want)
		}
		out.WriteString("=== \n" + text + "--- \n" + got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBaselineIsIdempotent(t *testing.T) {
	data, err := os.ReadFile("testdata/good.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range strings.Split(string(data), "=== \n")[1:] {
		text, _, _ := strings.Cut(c, "--- \n")
		o, _, err := loadText(text)
		if err != nil {
			t.Fatal(err)
		}
		again := *o
		Baseline(&again)
		if p := Diff(o, &again); len(p.Changes())+len(p.Refused) > 0 {
			t.Errorf("changed by the second Baseline: %+v", p)
		}
	}
}

func TestBaselineDefaults(t *testing.T) {
	o := &Options{TLS: &TLSOptions{}}
	Baseline(o)
	if o.Port != 4222 || o.MaxPayload != 1<<20 || o.PingInterval != 2*time.Minute || o.SystemAccount != "$SYS" {
		t.Errorf("%+v", o)
	}
	if o.TLS.Timeout != 2*time.Second || o.Auth.Timeout != 3*time.Second {
		t.Errorf("timeouts %v %v", o.TLS.Timeout, o.Auth.Timeout)
	}
}

// TestUnsupported: nothing that needs a missing subsystem is ignored, and nothing else is refused.
func TestUnsupported(t *testing.T) {
	for text, want := range map[string][]string{
		"port: 1": nil,
		"cluster { port: -1, routes: [\"nats://127.0.0.1:1\"] }":                                                          nil,
		"server_name: s\ncluster { name: c, port: -1 }\njetstream: true":                                                  nil,
		"server_name: s\ncluster { name: c, port: -1, routes: [\"nats://127.0.0.1:1\"] }\njetstream: true":                {"cluster with routes, together with jetstream: not"},
		"jetstream: disabled\nsystem_account: \"$SYS\"\naccounts { A { jetstream: false, users [{user:a,password:b}] } }": nil,
		"cluster { }\nleafnodes { }\nmqtt { }\ngateway { }":                                                               nil,
		"jetstream: true\naccounts { A { jetstream: enabled } }":                                                          nil,
		"\n\njetstream { tpm { keys_file: a, encryption_password: b } }":                                                  nil, // the server says so when it starts
		"accounts { A { exports [ {stream: a} ] }, B { imports [ {stream: {account: A, subject: a}} ] } }":                nil,
		"cluster { port: -1, name: a }\nleafnodes { port: -1 }\nresolver: URL(http://a)":                                  nil,
	} {
		o, _, err := loadText(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		err = Unsupported(o)
		if (err != nil) != (want != nil) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", text, err, w)
			}
		}
		if err != nil && len(err.(*ErrorList).Problems) != len(want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if !slices.Contains(UnsupportedNames(), "cluster") {
		t.Error("cluster is not listed")
	}
}

// TestSyncDefault: without a word about it, what is acknowledged is on disk.
func TestSyncDefault(t *testing.T) {
	for in, want := range map[string]string{
		"jetstream: true":                         "true 2m0s",
		"jetstream { sync_interval: always }":     "true 2m0s",
		"jetstream { sync_interval: \"10s\" }":    "false 10s",
		"jetstream { sync_interval: \"2m\" }":     "false 2m0s",
		"jetstream { max_mem: 0 }":                "true 2m0s true 0 false 0",
		"jetstream { max_mem: -1, max_file: 1K }": "true 2m0s false 0 true 1000",
	} {
		o, _, err := loadText(in)
		if err != nil {
			t.Fatal(in, err)
		}
		j := o.JetStream
		got := fmt.Sprint(j.SyncAlways, " ", j.SyncInterval)
		if strings.Contains(in, "max") {
			got += fmt.Sprint(" ", j.MaxMemorySet, " ", j.MaxMemory, " ", j.MaxStoreSet, " ", j.MaxStore)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
