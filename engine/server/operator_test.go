package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
	"ramjet/proto/sysapi"
)

type nkey struct {
	nkeys.KeyPair
	public string
}

func newNkey(t testing.TB, create func() (nkeys.KeyPair, error)) nkey {
	t.Helper()
	kp, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return nkey{kp, public}
}

func signed(t testing.TB, c interface {
	Encode(nkeys.KeyPair) (string, error)
}, by nkey) string {
	t.Helper()
	s, err := c.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// jwtWorld is a server in operator mode with a system account and one other.
type jwtWorld struct {
	t                                       *testing.T
	operator, system, account, signer, user nkey
	opts                                    *config.Options
	srv                                     *Server
	log                                     *memLog
}

func newJWTWorld(t *testing.T, change func(*jwtWorld, *jwt.AccountClaims)) *jwtWorld {
	w := &jwtWorld{
		t: t, operator: newNkey(t, nkeys.CreateOperator), system: newNkey(t, nkeys.CreateAccount),
		account: newNkey(t, nkeys.CreateAccount), signer: newNkey(t, nkeys.CreateAccount), user: newNkey(t, nkeys.CreateUser),
	}
	oc := jwt.NewOperatorClaims(w.operator.public)
	oc.SystemAccount = w.system.public
	w.opts = &config.Options{Operators: []string{signed(t, oc, w.operator)}, Resolver: &config.ResolverOptions{Type: "mem"}}
	w.setAccount(change)
	w.srv, w.log = testServer(t, w.opts)
	return w
}

func (w *jwtWorld) setAccount(change func(*jwtWorld, *jwt.AccountClaims)) {
	ac := jwt.NewAccountClaims(w.account.public)
	ac.Name = "acme"
	ac.SigningKeys.Add(w.signer.public)
	if change != nil {
		change(w, ac)
	}
	o := *w.opts
	o.ResolverPreload = map[string]string{
		w.account.public: signed(w.t, ac, w.operator),
		w.system.public:  signed(w.t, jwt.NewAccountClaims(w.system.public), w.operator),
	}
	w.opts = &o
}

func (w *jwtWorld) reload(change func(*jwtWorld, *jwt.AccountClaims)) {
	w.t.Helper()
	w.setAccount(change)
	if err := w.srv.Reload(w.opts); err != nil {
		w.t.Fatal(err)
	}
}

func (w *jwtWorld) jwt(by nkey, change func(*jwt.UserClaims)) string {
	uc := jwt.NewUserClaims(w.user.public)
	uc.IssuerAccount = w.account.public
	if change != nil {
		change(uc)
	}
	return signed(w.t, uc, by)
}

// peer is a connection that reads lines.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (p *peer) line() string {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(clock.System().Now().Add(10 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	s, err := p.in.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimRight(s, "\r\n")
}

// connect logs in with a user JWT and returns the connection and the answer to the first PING.
func (w *jwtWorld) connect(user string) (*peer, string) {
	w.t.Helper()
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.srv.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	p := &peer{w.t, c, bufio.NewReader(c)}
	var info struct {
		Nonce        string
		AuthRequired bool `json:"auth_required"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.line(), "INFO ")), &info); err != nil || len(info.Nonce) != 15 || !info.AuthRequired {
		w.t.Fatal(info, err)
	}
	sig, err := w.user.Sign([]byte(info.Nonce))
	if err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"jwt\":%q,\"sig\":%q}\r\nPING\r\n", user, base64.RawURLEncoding.EncodeToString(sig))
	return p, p.line()
}

// TestOperatorReload: an account's new JWT takes effect on the connections there are.
func TestOperatorReload(t *testing.T) {
	past := func(w *jwtWorld) time.Time { return clock.System().Now().Add(time.Minute) }
	for _, tt := range []struct {
		name   string
		change func(*jwtWorld, *jwt.AccountClaims)
		bearer bool
		want   string
		reason string
	}{
		{name: "nothing", want: "PONG"},
		{name: "revoked", change: func(w *jwtWorld, a *jwt.AccountClaims) { a.RevokeAt(w.user.public, past(w)) },
			want: "-ERR 'User Authentication Revoked'", reason: "Credentials Revoked"},
		{name: "signing key removed", change: func(w *jwtWorld, a *jwt.AccountClaims) { a.SigningKeys.Remove(w.signer.public) },
			want: "-ERR 'Authorization Violation'", reason: "Authentication Failure"},
		{name: "bearer", bearer: true, change: func(_ *jwtWorld, a *jwt.AccountClaims) { a.Limits.DisallowBearer = true },
			want: "-ERR 'Authorization Violation'", reason: "Authentication Failure"},
		{name: "connections", change: func(_ *jwtWorld, a *jwt.AccountClaims) { a.Limits.Conn = 0 },
			want: "-ERR 'maximum account active connections exceeded'", reason: "Maximum Account Connections Exceeded"},
		{name: "expired", change: func(_ *jwtWorld, a *jwt.AccountClaims) { a.Expires = 1 },
			want: "-ERR 'Account Authentication Expired'", reason: "Authentication Expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newJWTWorld(t, nil)
			p, got := w.connect(w.jwt(w.signer, func(u *jwt.UserClaims) { u.BearerToken = tt.bearer }))
			if got != "PONG" {
				t.Fatal(got)
			}
			w.reload(tt.change)
			if tt.reason == "" {
				fmt.Fprintf(p.conn, "PING\r\n")
			}
			if got := p.line(); got != tt.want {
				t.Fatalf("%s, want %s", got, tt.want)
			}
			if tt.reason == "" {
				return
			}
			if got := p.line(); !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
				t.Errorf("%s, want the end", got)
			}
			closed := func() (*sysapi.Connz, error) {
				return w.srv.pages.Connz(&sysapi.ConnzOptions{State: sysapi.ConnClosed, Username: true})
			}
			// The client may see the end before the connection is on the list.
			page, err := closed()
			for late := clock.System().Now().Add(10 * time.Second); err == nil && len(page.Conns) == 0 && clock.System().Now().Before(late); {
				runtime.Gosched()
				page, err = closed()
			}
			if err != nil || len(page.Conns) != 1 {
				t.Fatal(page, err)
			}
			if c := page.Conns[0]; c.Reason != tt.reason || c.IssuerKey != w.signer.public || (c.JWT == "") != tt.bearer || c.NameTag != "acme" || c.AuthorizedUser != w.user.public {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestOperatorSession: sessions end with user and account; both texts.
func TestOperatorSession(t *testing.T) {
	soon := func() int64 { return clock.System().Now().Add(1100 * time.Millisecond).Unix() }
	w := newJWTWorld(t, nil)
	p, got := w.connect(w.jwt(w.account, func(u *jwt.UserClaims) { u.Expires = soon() + 1 }))
	if got != "PONG" {
		t.Fatal(got)
	}
	if got := p.line(); got != "-ERR 'User Authentication Expired'" {
		t.Error(got)
	}
	w.reload(func(_ *jwtWorld, a *jwt.AccountClaims) { a.Expires = soon() + 1 })
	if p, got = w.connect(w.jwt(w.account, nil)); got != "PONG" {
		t.Fatal(got)
	}
	if got := p.line(); got != "-ERR 'Account Authentication Expired'" {
		t.Error(got)
	}
	if _, got := w.connect(w.jwt(w.account, nil)); got != "-ERR 'Authorization Violation'" {
		t.Error(got)
	}
}

// TestOperatorAccounts: what is wrong with resolver_preload fails the reload, or is a warning.
func TestOperatorAccounts(t *testing.T) {
	w := newJWTWorld(t, func(w *jwtWorld, a *jwt.AccountClaims) {
		a.Imports.Add(&jwt.Import{Account: newNkey(t, nkeys.CreateAccount).public, Subject: "a", Type: jwt.Service})
	})
	if !strings.Contains(w.log.String(), "[WRN] Can't locate account [A") {
		t.Error("no warning about the import")
	}
	if sys := w.srv.accounts.System(); sys == nil || sys.Name() != w.system.public {
		t.Error("not the operator's system account")
	}
	info, err := w.srv.pages.AccountInfo(w.account.public)
	if err != nil || info.IssuerKey != w.operator.public || info.JWT != w.opts.ResolverPreload[w.account.public] || info.NameTag != "acme" ||
		info.Complete || info.Expired || !strings.Contains(string(info.Claim), `"name":"acme"`) {
		t.Errorf("%+v %v", info, err)
	}
	p, got := w.connect(w.jwt(w.account, nil))
	if got != "PONG" {
		t.Fatal(got)
	}
	good := w.opts
	bad := *good
	bad.ResolverPreload = map[string]string{"foo": "bar", w.system.public: good.ResolverPreload[w.system.public]}
	if err := w.srv.Reload(&bad); err == nil || !strings.Contains(err.Error(), `preload account error for "foo": expected 3 chunks`) {
		t.Error(err)
	}
	bad.ResolverPreload = map[string]string{w.account.public: good.ResolverPreload[w.account.public]}
	if err := w.srv.Reload(&bad); err == nil || !strings.Contains(err.Error(), "error resolving system account") {
		t.Error(err)
	}
	gone := *good
	gone.ResolverPreload = map[string]string{w.system.public: good.ResolverPreload[w.system.public]}
	if err := w.srv.Reload(&gone); err != nil {
		t.Fatal(err)
	}
	if got := p.line(); got != "-ERR 'Authorization Violation'" {
		t.Error(got)
	}
	if _, got := w.connect(w.jwt(w.account, nil)); got != "-ERR 'Authorization Violation'" {
		t.Error(got)
	}
	if err := w.srv.Reload(good); err != nil {
		t.Fatal(err)
	}
	if _, got := w.connect(w.jwt(w.account, nil)); got != "PONG" {
		t.Error(got)
	}
}
