package server

import (
	"fmt"
	"os"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/leaf"
)

// TestLeafReloadPermissions: permissions that a hub's reload changes hold for leafnodes that are connected: for interest in both
// directions, and for messages.
func TestLeafReloadPermissions(t *testing.T) {
	const conf = `
server_name: HUB, listen: "127.0.0.1:-1"
leafnodes { listen: "127.0.0.1:-1" }
accounts { A { users [ { user: a, password: p %s }, { user: all, password: p } ] } }`
	text := func(perms string) string { return fmt.Sprintf(conf, perms) }
	h, file := confServer(t, text(`, permissions { publish: "ok.>", subscribe: ["one", "two"] }`))
	s := spoke(t, "S", "nats://a:p@"+h.addrs.Load().leaf.String(), "account: L", `accounts { L { users [ {user: l, password: p} ] } }`)
	there, here := dial(t, h, "all"), dial(t, s, "l")
	subscribe(t, there, "no.1")
	subscribe(t, there, "ok.1")
	one, two := subscribe(t, here, "one"), subscribe(t, here, "two")
	subscribe(t, here, "three")
	wanted(t, h, "A", "two", true)
	wanted(t, s, "L", "ok.1", true)
	for i, c := range []struct {
		perms           string
		one, two, three bool // interest the hub has
		ok, no          bool // interest the leafnode has
	}{
		{`, permissions { publish: "no.>", subscribe: ["two", "three"] }`, false, true, true, false, true},
		{``, true, true, true, true, true},
		{`, permissions { publish: "ok.>", subscribe: "one" }`, true, false, false, true, false},
	} {
		if err := os.WriteFile(file, []byte(text(c.perms)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.ReloadFile(); err != nil {
			t.Fatal(err)
		}
		wanted(t, s, "L", "ok.1", c.ok)
		wanted(t, s, "L", "no.1", c.no)
		has := func(subj string, want bool) {
			t.Helper()
			until(t, fmt.Sprintf("%d: the hub sends %s to the leafnode: %v", i, subj, want), func() bool {
				m := &engine.Msg{Subject: []byte(subj), Origin: engine.Client}
				sent := false
				h.leafs.Range(func(p *leaf.Leaf) bool {
					sent = p.Accepts(m, nil) && h.accounts.Lookup("A").Index().HasInterest(m.Subject)
					return true
				})
				return sent == want
			})
		}
		has("one", c.one)
		has("two", c.two)
		has("three", c.three)
	}
	for _, subj := range []string{"two", "one"} {
		if err := there.Publish(subj, []byte(subj)); err != nil {
			t.Fatal(err)
		}
	}
	if m := nextMsg(t, one); string(m.Data) != "one" {
		t.Errorf("%q", m.Data)
	}
	if n, _, _ := two.Pending(); n != 0 {
		t.Error("a message that is not allowed any more")
	}
}

// TestLeafLameDuck: lame duck mode sends leafnodes away one after the other, also when there are no clients.
func TestLeafLameDuck(t *testing.T) {
	o := &config.Options{ServerName: "HUB", LameDuckGrace: time.Millisecond, LameDuckDuration: time.Hour,
		Leafnodes: &config.LeafOptions{Host: "127.0.0.1", Port: -1}}
	s, _ := testServer(t, o)
	var all []*rawLeaf
	for i := range 3 {
		r := dialLeaf(t, s.addrs.Load().leaf.String())
		r.expect("INFO ")
		r.send(fmt.Sprintf(`CONNECT {"name":"R%d"}`, i))
		r.expect("INFO ")
		all = append(all, r)
	}
	until(t, "leafnodes are connected", func() bool { return s.registry.Count(engine.Leaf) == 3 })
	s.LameDuck()
	until(t, "one is sent away", func() bool { return s.registry.Count(engine.Leaf) < 3 })
	if st := state(s.state.Load()); st != stateLameDuck {
		t.Errorf("state %d with the first leafnode gone", st)
	}
	for _, r := range all {
		r.expect("")
	}
	until(t, "the server has stopped", func() bool { return state(s.state.Load()) == stateStopped })
}
