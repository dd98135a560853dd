package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
	"ramjet/proto/sysapi"
)

// gate is a callout service: it answers with what decide makes of a request.
type gate struct {
	t      *testing.T
	issuer nkey          // signs answers and users
	curve  nkeys.KeyPair // nil: nothing is encrypted
	decide func(*jwt.AuthorizationRequestClaims) (*jwt.UserClaims, error)
	change func(*jwt.AuthorizationResponseClaims)
}

// serve answers requests that arrive at nc.
func (g *gate) serve(nc *nats.Conn) {
	g.t.Helper()
	_, err := nc.Subscribe("$SYS.REQ.USER.AUTH", func(m *nats.Msg) {
		token, from := m.Data, m.Header.Get("Nats-Server-Xkey")
		var err error
		if g.curve != nil {
			if token, err = g.curve.Open(m.Data, from); err != nil {
				g.t.Errorf("request from %q: %v", from, err)
				return
			}
		}
		req, err := jwt.DecodeAuthorizationRequestClaims(string(token))
		if err != nil {
			g.t.Errorf("request: %v", err)
			return
		}
		user, err := g.decide(req)
		if user == nil && err == nil {
			return
		}
		res := jwt.NewAuthorizationResponseClaims(req.UserNkey)
		res.Audience = req.Server.ID
		if err != nil {
			res.Error = err.Error()
		} else {
			if user.Subject == "" {
				user.Subject = req.UserNkey
			}
			res.Jwt = signed(g.t, user, g.issuer)
		}
		if g.change != nil {
			g.change(res)
		}
		answer := []byte(signed(g.t, res, g.issuer))
		if g.curve != nil {
			if answer, err = g.curve.Seal(answer, from); err != nil {
				g.t.Error(err)
			}
		}
		_ = m.Respond(answer)
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// calloutConf has the service in account AUTH, and two accounts for its users.
func calloutConf(issuer, more string) string {
	return fmt.Sprintf(`
host: 127.0.0.1, port: -1, server_name: door
accounts {
  AUTH { users: [ {user: auth, password: p} ] }
  APP { users: [ {user: known, password: p} ] }
  OTHER { users: [ {user: other, password: p} ] }
  $SYS { users: [ {user: s, password: p} ] }
}
authorization { timeout: 2, auth_callout { issuer: %s, account: AUTH, auth_users: [auth, s] %s } }`, issuer, more)
}

func who(t *testing.T, nc *nats.Conn) (u sysapi.UserInfo) {
	t.Helper()
	v := struct{ Data *sysapi.UserInfo }{&u}
	if err := json.Unmarshal([]byte(ask(t, nc, "$SYS.REQ.USER.INFO", "")), &v); err != nil {
		t.Fatal(err)
	}
	return u
}

// deniedAt connects, must not be let in, and returns after the log said why.
func deniedAt(t *testing.T, s *Server, log *memLog, user, why string) {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "x"))
	if err == nil {
		nc.Close()
		t.Fatalf("%s was let in", user)
	}
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("%s: %v", user, err)
	}
	if !strings.Contains(log.String(), why) {
		t.Errorf("%s: the log does not say %q:\n%s", user, why, log)
	}
}

func confOptions(t *testing.T, text string) *config.Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "r.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, _, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCallout(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "encrypted"}[encrypted], func(t *testing.T) {
			g := &gate{t: t, issuer: newNkey(t, nkeys.CreateAccount)}
			more := ""
			if encrypted {
				curve := newNkey(t, nkeys.CreateCurveKeys)
				g.curve, more = curve.KeyPair, ", xkey: "+curve.public
			}
			s, log := testServer(t, confOptions(t, calloutConf(g.issuer.public, more)))
			end := time.Now().Add(time.Hour).Unix()
			g.decide = func(r *jwt.AuthorizationRequestClaims) (*jwt.UserClaims, error) {
				c, o := &r.ClientInformation, &r.ConnectOptions
				if r.Issuer != s.ID() || r.Server.ID != s.ID() || r.Server.Name != "door" || r.Audience != "nats-authorization-request" ||
					c.Kind != "Client" || c.Type != "nats" || c.Host != "127.0.0.1" || c.ID == 0 || c.User != cmp.Or(o.Username, "[REDACTED]") || (r.Server.XKey != "") != encrypted {
					t.Errorf("asked %+v", r)
				}
				u := &jwt.UserClaims{ClaimsData: jwt.ClaimsData{Audience: "APP"}}
				u.Name = "Mr. " + o.Username
				switch o.Username {
				case "bad":
					return nil, errors.New("not on the list")
				case "elsewhere":
					u.Audience = "NOWHERE"
				case "impostor":
					u.Subject = newNkey(t, nkeys.CreateUser).public
				case "auth2":
					u.Audience = "AUTH"
				case "nameless":
					u.Name = ""
				case "limited":
					u.Permissions.Pub.Allow.Add("only.*", "$SYS.REQ.USER.INFO")
					u.Expires = end
				}
				return u, nil
			}
			auth, sys := dial(t, s, "auth"), dial(t, s, "s")
			g.serve(auth)
			told := subscribe(t, auth, "$SYS.ACCOUNT.CLIENT.AUTH.ERR")
			if u := who(t, dial(t, s, "joe")); u.User != "Mr. joe" || u.Account != "APP" || u.Permissions != nil {
				t.Errorf("%+v", u)
			}
			if u := who(t, dial(t, s, "known")); u.User != "Mr. known" { // configured, and decided about all the same
				t.Errorf("%+v", u)
			}
			u := who(t, dial(t, s, "limited"))
			if u.Permissions == nil || len(u.Permissions.Publish.Allow) != 2 || u.Expires <= 0 {
				t.Errorf("%+v", u)
			}
			if u := who(t, dial(t, s, "nameless")); u.User != "nameless" {
				t.Errorf("%+v", u)
			}
			byToken, err := nats.Connect(s.ClientURL(), nats.Token("t"))
			if err != nil {
				t.Fatal(err)
			}
			if who(t, byToken).Account != "APP" {
				t.Error("let in by a token, elsewhere")
			}
			byToken.Close()
			// Nobody but the server asks the service, not even who is in its account.
			for _, name := range []string{"auth", "auth2"} {
				u := who(t, dial(t, s, name))
				if u.Account != "AUTH" || u.Permissions == nil || u.Permissions.Publish == nil || u.Permissions.Publish.Deny[0] != "$SYS.REQ.USER.AUTH" {
					t.Errorf("%s: %+v", name, u)
				}
			}
			if u := who(t, sys); u.Permissions != nil {
				t.Errorf("%+v", u)
			}
			deniedAt(t, s, log, "bad", "Auth callout service returned an error: not on the list")
			var e sysapi.DisconnectEvent
			if err := json.Unmarshal([]byte(next(t, told, "$SYS.ACCOUNT.CLIENT.AUTH.ERR")), &e); err != nil || e.Reason != "Auth callout service returned an error: not on the list" {
				t.Errorf("%+v %v", e, err)
			}
			deniedAt(t, s, log, "elsewhere", `No valid account "NOWHERE" for auth callout response on account "AUTH"`)
			deniedAt(t, s, log, "impostor", "Expected authorized user of ")
			g.change = func(r *jwt.AuthorizationResponseClaims) { r.Audience = newNkey(t, nkeys.CreateServer).public }
			deniedAt(t, s, log, "joe", "Auth callout violation: auth callout response is not for server")
			g.change = func(r *jwt.AuthorizationResponseClaims) { r.Subject = newNkey(t, nkeys.CreateUser).public }
			deniedAt(t, s, log, "joe", "Auth callout violation: auth callout response is not for expected user")
			g.change = nil
			g.issuer = newNkey(t, nkeys.CreateAccount)
			if encrypted { // who could encrypt is the service, but users still need the issuer
				deniedAt(t, s, log, "joe", `Wrong issuer for auth callout response on account "AUTH"`)
			} else {
				deniedAt(t, s, log, "joe", "Auth callout signing key is unknown")
			}
		})
	}
}

// TestCalloutAllowedAccounts decides about the users of one account only.
func TestCalloutAllowedAccounts(t *testing.T) {
	g := &gate{t: t, issuer: newNkey(t, nkeys.CreateAccount)}
	s, log := testServer(t, confOptions(t, calloutConf(g.issuer.public, ", allowed_accounts: [APP]")))
	g.decide = func(r *jwt.AuthorizationRequestClaims) (*jwt.UserClaims, error) {
		return nil, errors.New("no " + r.ConnectOptions.Username)
	}
	g.serve(dial(t, s, "auth"))
	if u := who(t, dial(t, s, "other")); u.Account != "OTHER" {
		t.Errorf("%+v", u)
	}
	for _, name := range []string{"known", "stranger"} {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(name, "p"))
		if err == nil {
			nc.Close()
			t.Errorf("%s was let in", name)
		}
		if !strings.Contains(log.String(), "returned an error: no "+name) {
			t.Errorf("%s: not asked", name)
		}
	}
}

// TestCalloutTimeout has a service that never answers.
func TestCalloutTimeout(t *testing.T) {
	g := &gate{t: t, issuer: newNkey(t, nkeys.CreateAccount)}
	s, _ := testServer(t, confOptions(t, strings.Replace(calloutConf(g.issuer.public, ""), "timeout: 2", "timeout: 0.1", 1)))
	asked := make(chan string, 1)
	g.decide = func(r *jwt.AuthorizationRequestClaims) (*jwt.UserClaims, error) {
		asked <- r.ConnectOptions.Username
		return nil, nil
	}
	g.serve(dial(t, s, "auth"))
	if nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("joe", "p")); err == nil {
		nc.Close()
		t.Error("let in")
	}
	if name := <-asked; name != "joe" {
		t.Errorf("asked about %q", name)
	}
}

// TestCalloutOperator has a callout in the JWT of an account, and users who are placed in another.
func TestCalloutOperator(t *testing.T) {
	service, app := newNkey(t, nkeys.CreateUser), newNkey(t, nkeys.CreateAccount)
	curve := newNkey(t, nkeys.CreateCurveKeys)
	w := newJWTWorld(t, func(_ *jwtWorld, a *jwt.AccountClaims) {
		a.Authorization.AuthUsers.Add(service.public)
		a.Authorization.AllowedAccounts.Add(app.public)
		a.Authorization.XKey = curve.public
	})
	w.opts.ResolverPreload[app.public] = signed(t, jwt.NewAccountClaims(app.public), w.operator)
	if err := w.srv.Reload(w.opts); err != nil {
		t.Fatal(err)
	}
	creds := func(user nkey) nats.Option {
		token := signed(t, jwt.NewUserClaims(user.public), w.account)
		return nats.UserJWT(func() (string, error) { return token, nil }, user.Sign)
	}
	connect := func(user nkey) (*nats.Conn, error) {
		nc, err := nats.Connect(w.srv.ClientURL(), creds(user), nats.Name("op"))
		if err == nil {
			t.Cleanup(nc.Close)
		}
		return nc, err
	}
	g := &gate{t: t, issuer: w.account, curve: curve.KeyPair}
	target := app
	g.decide = func(r *jwt.AuthorizationRequestClaims) (*jwt.UserClaims, error) {
		if r.ConnectOptions.JWT == "" || r.ClientInformation.User != w.user.public || r.Subject != w.account.public || r.ClientInformation.Nonce == "" {
			t.Errorf("asked %+v", r)
		}
		u := &jwt.UserClaims{}
		u.Name = "guest"
		g.issuer = target
		return u, nil
	}
	nc, err := connect(service)
	if err != nil {
		t.Fatal(err)
	}
	g.serve(nc)
	guest, err := connect(w.user)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	if u := who(t, guest); u.Account != app.public || u.User != "guest" {
		t.Errorf("%+v", u)
	}
	target = newNkey(t, nkeys.CreateAccount)
	if _, err := connect(w.user); err == nil || !strings.Contains(w.log.String(), "not permitted as valid account option for auth callout") {
		t.Errorf("%v\n%s", err, w.log)
	}
}
