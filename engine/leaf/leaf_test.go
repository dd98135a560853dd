package leaf

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
)

func TestSplitAck(t *testing.T) {
	const ack = "$JS.ACK.a.b.c.d.e.f.g"
	for in, want := range map[string][2]string{
		"":                            {"", ""},
		"inbox@x":                     {"inbox@x", ""},
		ack:                           {ack, ""},
		ack + "@orders.1":             {ack, "orders.1"},
		ack + "@a@b":                  {ack, "a@b"},
		ack + "@":                     {ack + "@", ""},
		"$JS.ACK.s@1.c.d.e.f.g":       {"$JS.ACK.s@1.c.d.e.f.g", ""},
		"$JS.ACK.s@1.c.d.e.f.g.h.i@x": {"$JS.ACK.s@1.c.d.e.f.g.h.i", "x"},
	} {
		reply, shown := splitAck([]byte(in))
		if string(reply) != want[0] || string(shown) != want[1] {
			t.Errorf("%q: %q %q", in, reply, shown)
		}
	}
}

func TestPlainSubject(t *testing.T) {
	for in, want := range map[string]string{
		"a.b": "a.b", "_GR_.c.s.a.b": "a.b", "$GR.x.a.b": "a.b", "_GR_.c": "_GR_.c", "_GR_": "_GR_",
	} {
		if got, mapped := plainSubject([]byte(in)); string(got) != want || mapped != (in[0] != 'a' && in != "_GR_") {
			t.Errorf("%q: %q %v", in, got, mapped)
		}
	}
}

func TestVersions(t *testing.T) {
	for v, want := range map[string]bool{
		"2.8.0": true, "v2.8.0": true, "2.9.0-beta": true, "2.8.1-RC.1": true, "3.0.0": true,
		"2.7.9": false, "1.99.99": false, "": false, "2.8": false, "x.y.z": false, "2.8.99999999999": false,
	} {
		if got := versionAtLeast(v, "2.8.0"); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

// TestSkips: whose interest is announced to whom.
func TestSkips(t *testing.T) {
	all := []string{"", "LA", "LB", "HA", "HB", "CA", "CB", "R", "FA", "FB", "I", "J"}
	for _, c := range []struct {
		q    peer
		want []string
	}{
		{peer{cluster: "A"}, []string{"", "LB", "HB", "CB", "R", "FB", "I", "J"}},
		{peer{cluster: "A", isolated: true}, []string{"", "CB", "R"}},
		{peer{cluster: "A", spoke: true}, []string{"", "LB", "CB", "I"}},
		{peer{}, all},
	} {
		c.q.origin = originOf(&c.q, 7)
		skip := skips(&c.q)
		var got []string
		for _, o := range all {
			if !skip(o) {
				got = append(got, o)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.q, got, c.want)
		}
		if !skip(c.q.origin) {
			t.Errorf("%+v: its own interest comes back", c.q)
		}
	}
}

// TestJetStreamDenies: what of JetStream stays on its side (reference/interserver.md, section 3.7).
func TestJetStreamDenies(t *testing.T) {
	opts := func(domain string) *config.Options {
		o := &config.Options{JetStream: &config.JetStreamOptions{Enabled: true, Domain: domain}}
		config.Baseline(o)
		return o
	}
	for _, c := range []struct {
		own, remote, account string
		both, out            []string
	}{
		{"", "", "$G", apiSubjects, nil},
		{"A", "A", "$G", apiSubjects, nil},
		{"A", "B", "$G", apiSubjects, []string{"$JS.A.API.>"}},
		{"A", "B", "$SYS", jsSubjects, []string{"$JS.A.API.>"}},
		{"A", "A", "$SYS", nil, nil},
	} {
		o := opts(c.own)
		reg, err := account.NewRegistry(o)
		if err != nil {
			t.Fatal(err)
		}
		both, out := jetStreamDenies(o, reg.Lookup(c.account), c.remote)
		if !slices.Equal(both, c.both) || !slices.Equal(out, c.out) {
			t.Errorf("%+v: %q %q", c, both, out)
		}
	}
	o := opts("A")
	o.DefaultJSDomain = map[string]string{"$G": ""}
	reg, err := account.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	if both, out := jetStreamDenies(o, reg.Global(), "B"); both != nil || out != nil {
		t.Errorf("an account with the empty default domain: %q %q", both, out)
	}
}

// TestAnnounces: interest is announced where messages may come from, wider wildcards too, protocol subjects always.
func TestAnnounces(t *testing.T) {
	recv, err := auth.CompilePerms(&config.Permissions{Subscribe: &config.SubjectPerm{Allow: []string{"a.b", "c.>"}, Deny: []string{"c.x"}}})
	if err != nil {
		t.Fatal(err)
	}
	n := &perms{recv: recv, allow: []string{"a.b", "c.>"}}
	for subj, want := range map[string]bool{
		"a.b": true, "a.*": true, ">": true, "c.d": true, "c.x": false, "d": false, "d.>": false, "$LDS.x": true, "_GR_.>": true,
	} {
		if got := n.announces(subj); got != want {
			t.Errorf("%q: %v", subj, got)
		}
	}
	if !(&perms{}).announces("x") {
		t.Error("without permissions everything is")
	}
}

func TestSameRemote(t *testing.T) {
	mk := func(account string, urls ...string) *config.RemoteLeaf {
		r := &config.RemoteLeaf{Account: account}
		for _, s := range urls {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			r.URLs = append(r.URLs, u)
		}
		return r
	}
	a := mk("A", "nats://h:1", "nats://h:2")
	if !sameRemote(a, mk("A", "nats://h:2", "nats://h:1")) || sameRemote(a, mk("B", "nats://h:1", "nats://h:2")) || sameRemote(a, mk("A", "nats://h:1")) {
		t.Error("remotes are the same when account and URLs are")
	}
}

// FuzzVersion: whatever a leafnode says of its version is no version, or three numbers that read the same again.
func FuzzVersion(f *testing.F) {
	for _, s := range []string{"", "2.15.2", "v2.11.0-dev", "2.9", "2.9.999999999", "2.9.99999999999999999999", "2..1", "a.b.c", "2.1.0-.-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseVersion(s)
		if !ok {
			return
		}
		if again, ok := parseVersion(fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2])); !ok || again != n || min(n[0], n[1], n[2]) < 0 {
			t.Fatalf("%q: %v, then %v", s, n, again)
		}
	})
}
