package auth

import (
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
)

func (s *userTokens) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byText)
}

// TestTokensAreShared: connections with one JWT have one user, until the account's JWT or the time
// makes a difference, and nothing stays when the last is gone.
func TestTokensAreShared(t *testing.T) {
	r := newRealm(t, nil)
	token := r.userJWT(r.scoped, nil)
	get := func() *User {
		t.Helper()
		res, _ := ask(t, r.auth, r.request(strings.Clone(token)))
		if res.User == nil {
			t.Fatal(res.Log)
		}
		return res.User
	}
	first := get()
	held := r.auth.tokens
	if second := get(); second != first || second.Perms != first.Perms {
		t.Error("two users of one JWT")
	}
	q := r.request(token)
	if res, _ := ask(t, r.auth, q); res.User != first {
		t.Error("another user")
	}
	r.reload(func(_ *realm, a *jwt.AccountClaims) { a.Limits.Subs = 2 })
	var res Result
	r.auth.recheck(q, &testPool{}, func(got Result) { res = got })
	if res.User == nil || res.User == first || get() != res.User {
		t.Error("a user of the account's former JWT")
	}
	if _, err := held.get("x"); err == nil || held.size() != 1 {
		t.Error("what is no JWT is kept", held.size())
	}
	runtime.KeepAlive(q)
	q, res = nil, Result{}
	for i := 0; held.size() > 0; i++ {
		if i == 10000 {
			t.Fatal("JWTs without connection are kept")
		}
		runtime.GC()
		runtime.Gosched()
	}
}

// BenchmarkUserJWT is one login.
func BenchmarkUserJWT(b *testing.B) {
	r := newRealm(b, nil)
	token := r.userJWT(r.account, nil)
	q := r.request(token)
	login := func(b *testing.B, tokens func() *userTokens) {
		b.ReportAllocs()
		for b.Loop() {
			r.auth.tokens = tokens()
			at := r.auth.resolve(q)
			if res := r.auth.finish(&at); res.User == nil {
				b.Fatal(res.Log)
			}
		}
	}
	b.Run("first", func(b *testing.B) { login(b, newUserTokens) })
	b.Run("shared", func(b *testing.B) {
		tokens := newUserTokens()
		login(b, func() *userTokens { return tokens })
	})
	b.Run("recheck", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.auth.recheck(q, &testPool{}, func(res Result) {
				if res.User == nil {
					b.Fatal(res.Log)
				}
			})
		}
	})
}
