package auth

import (
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// FuzzCalloutAnswer: whatever comes back from the account of an authorization service, the user of an answer is one that the service signed, for
// this request and this server.
func FuzzCalloutAnswer(f *testing.F) {
	r := newRealm(f, nil)
	service, other := makeKey(f, nkeys.CreateAccount), makeKey(f, nkeys.CreateAccount)
	server, stranger := makeKey(f, nkeys.CreateServer).public, makeKey(f, nkeys.CreateServer).public
	curve, err := nkeys.CreateCurveKeys()
	if err != nil {
		f.Fatal(err)
	}
	xkey, err := curve.PublicKey()
	if err != nil {
		f.Fatal(err)
	}
	answer := func(about, server string, pair nkeys.KeyPair) []byte {
		u := jwt.NewUserClaims(r.user.public)
		u.Audience = r.account.public
		c := jwt.NewAuthorizationResponseClaims(about)
		c.Audience, c.Jwt = server, encode(f, u, pair)
		return []byte(encode(f, c, pair))
	}
	good := answer(r.user.public, server, service.KeyPair)
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:len(good)/2], false)
	f.Add(answer(makeKey(f, nkeys.CreateUser).public, server, service.KeyPair), false)
	f.Add(answer(r.user.public, stranger, service.KeyPair), false)
	f.Add(answer(r.user.public, server, other.KeyPair), false)
	f.Add([]byte(nil), false)
	f.Add([]byte("xkv1"), true)
	r.auth.UseCallouts(&Callouts{Server: func() jwt.ServerID { return jwt.ServerID{ID: server} }, Curve: curve})
	q := question{a: r.auth, c: &callout{account: r.reg.Lookup(r.account.public), issuer: service.public}, user: r.user.public}
	if u, err := q.open(good); err != nil || u.Subject != r.user.public {
		f.Fatalf("%+v, %v", u, err)
	}
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		c := *q.c
		q := question{a: q.a, c: &c, user: q.user}
		if sealed {
			q.c.xkey = xkey
		}
		u, err := q.open(b)
		if err != nil {
			return
		}
		signed, err := jwt.DecodeAuthorizationResponseClaims(string(b))
		if err != nil || signed.Issuer != service.public || signed.Subject != q.user || signed.Audience != server || u == nil {
			t.Fatalf("%q is taken: %v", b, err)
		}
	})
}
