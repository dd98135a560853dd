package auth

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"ramjet/engine/config"
	"ramjet/proto/wire"
)

func TestIsBcrypt(t *testing.T) {
	for s, want := range map[string]bool{
		"$2a$10$x": true, "$2b$05$": true, "$2x$31$..": true, "$2y$99$": true, "$2c$10$x": false, "$2a$1$x": false,
		"2a$10$x": false, "": false, "$2a$10": false, "$2a$1x$": false, "$1a$10$": false,
	} {
		if isBcrypt(s) != want {
			t.Errorf("isBcrypt(%q) = %v", s, !want)
		}
	}
}

func TestVerifiedPasswordsAreRemembered(t *testing.T) {
	o := &config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "b", Pass: hash(t, "secret")}}}}
	a, _ := build(t, o)
	login := func(a *Authenticator, pass, want string, pool bool) {
		t.Helper()
		r, pooled := ask(t, a, &Request{Connect: wire.Connect{User: "b", Pass: pass}})
		if outcome(r) != want || pooled != pool {
			t.Errorf("%q: %s, on the pool %v", pass, outcome(r), pooled)
		}
	}
	fail := denied + ` - User "b"`
	login(a, "wrong", fail, true)
	login(a, "wrong", fail, true) // failures are not remembered
	login(a, "secret", "$G/b", true)
	login(a, "secret", "$G/b", false)
	login(a, "secret2", fail, true)
	next, _ := build(t, o)
	next.Inherit(a)
	login(next, "secret", "$G/b", false)
	o.Auth.Users[0].Pass = hash(t, "other")
	changed, _ := build(t, o)
	changed.Inherit(next)
	login(changed, "secret", fail, true)
	login(changed, "other", "$G/b", true)
	changed.Inherit(nil)
}

func TestVerifiedIsBounded(t *testing.T) {
	v := newVerified()
	for i := range 3 * maxVerified {
		v.put("hash", strconv.Itoa(i))
		if !v.has("hash", "0") && i < maxVerified/2 {
			t.Fatal("forgot too early", i)
		}
		if n := len(v.young) + len(v.old); n > maxVerified {
			t.Fatal(n)
		}
	}
	if !v.has("hash", "0") { // used all the time
		t.Error("the most used entry was forgotten")
	}
	if v.has("hash", "1") || v.has("has", "h0") {
		t.Error("remembers what it should not")
	}
}

func TestQueueFull(t *testing.T) {
	o := &config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "b", Pass: hash(t, "secret")}}}}
	a, _ := build(t, o)
	a.hashes = &queue{width: 2}
	pool := &testPool{}
	granted, refused, other := 0, 0, 0
	gone := true
	const extra = 5
	for i := range maxJobs + extra {
		req := &Request{Connect: wire.Connect{User: "b", Pass: "secret"}}
		if i > 1 {
			req.Gone = func() bool { return gone }
		}
		a.begin(req, pool, func(r Result) {
			switch {
			case r.User != nil:
				granted++
			case strings.HasSuffix(r.Log, ": too many attempts are waiting"):
				refused++
			default:
				other++
			}
		})
	}
	if refused != extra || granted+other != 0 {
		t.Fatalf("granted %d, refused %d, other %d", granted, refused, other)
	}
	if pool.submits != 2 {
		t.Errorf("%d workers for one queue", pool.submits)
	}
	pool.drain() // those that are gone cost no bcrypt
	if granted != 2 || refused != extra || other != maxJobs-2 {
		t.Errorf("granted %d, refused %d, other %d", granted, refused, other)
	}
}

// A pool that is full does not lose attempts, and the caller never waits for it.
func TestPoolFull(t *testing.T) {
	o := &config.Options{Auth: config.AuthBlock{Users: []*config.User{{Name: "b", Pass: hash(t, "secret")}}}}
	a, _ := build(t, o)
	var wg sync.WaitGroup
	pool := &testPool{refuse: true}
	for range 50 {
		wg.Add(1)
		a.begin(&Request{Connect: wire.Connect{User: "b", Pass: "secret"}}, pool, func(r Result) {
			if r.User == nil {
				t.Error(outcome(r))
			}
			wg.Done()
		})
	}
	wg.Wait()
}

func TestQueueOrder(t *testing.T) {
	q, pool := &queue{width: 1}, &testPool{}
	var got []int
	for i := range 5000 {
		q.submit(pool, func() {
			got = append(got, i)
			if i%3 == 0 && len(got) < 6000 {
				q.submit(pool, func() { got = append(got, -i) }, maxJobs)
			}
		}, maxJobs)
	}
	pool.drain()
	last := -1
	for _, v := range got {
		if v > 0 || last < 0 {
			if v < last {
				t.Fatalf("%d after %d", v, last)
			}
			last = v
		}
	}
	if len(got) < 6000 || q.workers != 0 || q.jobs != nil {
		t.Errorf("%d done, %d workers, %d left", len(got), q.workers, len(q.jobs))
	}
}
