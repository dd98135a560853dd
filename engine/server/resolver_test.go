package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
	"ramjet/proto/sysapi"
)

// tenants are an operator with its system account, whose JWTs a resolver finds.
type tenants struct {
	t                *testing.T
	operator, system nkey
	opts             *config.Options
}

func newTenants(t *testing.T, r *config.ResolverOptions) *tenants {
	w := &tenants{t: t, operator: newNkey(t, nkeys.CreateOperator), system: newNkey(t, nkeys.CreateAccount)}
	oc := jwt.NewOperatorClaims(w.operator.public)
	oc.SystemAccount = w.system.public
	w.opts = &config.Options{Operators: []string{signed(t, oc, w.operator)}, Resolver: r,
		ResolverPreload: map[string]string{w.system.public: signed(t, jwt.NewAccountClaims(w.system.public), w.operator)}}
	return w
}

// account returns a new account and its JWT.
func (w *tenants) account(change func(*jwt.AccountClaims)) (nkey, string) {
	a := newNkey(w.t, nkeys.CreateAccount)
	return a, w.reissue(a, change)
}

func (w *tenants) reissue(a nkey, change func(*jwt.AccountClaims)) string {
	c := jwt.NewAccountClaims(a.public)
	if change != nil {
		change(c)
	}
	return signed(w.t, c, w.operator)
}

// login connects as a new user of a.
func (w *tenants) login(s *Server, a nkey, opts ...nats.Option) (*nats.Conn, error) {
	w.t.Helper()
	u := newNkey(w.t, nkeys.CreateUser)
	token := signed(w.t, jwt.NewUserClaims(u.public), a)
	nc, err := nats.Connect(s.ClientURL(), append(opts, nats.NoReconnect(), nats.UserJWT(
		func() (string, error) { return token, nil }, func(nonce []byte) ([]byte, error) { return u.Sign(nonce) }))...)
	if err == nil {
		w.t.Cleanup(nc.Close)
	}
	return nc, err
}

func (w *tenants) mustLogin(s *Server, a nkey, opts ...nats.Option) *nats.Conn {
	w.t.Helper()
	nc, err := w.login(s, a, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return nc
}

func (w *tenants) mustFail(s *Server, a nkey) {
	w.t.Helper()
	if _, err := w.login(s, a); !errors.Is(err, nats.ErrAuthorization) {
		w.t.Fatalf("let in: %v", err)
	}
}

// claimsAnswer is the answer to a request about JWTs.
type claimsAnswer struct {
	Data  json.RawMessage
	Error *sysapi.Error
}

func claimsAsk(t *testing.T, sys *nats.Conn, subject, body string) (a claimsAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(ask(t, sys, subject, body)), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// said returns what became of an update.
func said(t *testing.T, a claimsAnswer) string {
	t.Helper()
	if a.Error != nil {
		return a.Error.Description
	}
	var s sysapi.ClaimsStatus
	if err := json.Unmarshal(a.Data, &s); err != nil || s.Code != 200 {
		t.Fatalf("%s %v", a.Data, err)
	}
	return s.Message
}

// TestFullResolver: JWTs are pushed, listed, looked up, replaced and deleted, and outlive the server.
func TestFullResolver(t *testing.T) {
	dir := t.TempDir()
	w := newTenants(t, &config.ResolverOptions{Type: "full", Dir: dir, AllowDelete: true})
	first := w.opts.ResolverPreload[w.system.public]
	w.opts.ResolverPreload = nil
	s, _ := testServer(t, w.opts)
	sys := w.mustLogin(s, w.system) // before its own JWT is here
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", first)); got != "jwt updated" {
		t.Fatal(got)
	}
	a, token := w.account(nil)
	w.mustFail(s, a)
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", token)); got != "jwt updated" {
		t.Fatal(got)
	}
	closed := make(chan error, 1)
	nc := w.mustLogin(s, a, nats.ClosedHandler(func(nc *nats.Conn) { closed <- nc.LastError() }))
	if got := ask(t, sys, "$SYS.REQ.ACCOUNT."+a.public+".CLAIMS.LOOKUP", ""); got != token {
		t.Fatalf("%q", got)
	}
	var list []string
	if err := json.Unmarshal(claimsAsk(t, sys, "$SYS.REQ.CLAIMS.LIST", "").Data, &list); err != nil || len(list) != 2 || !slices.Contains(list, a.public) {
		t.Fatal(list, err)
	}
	// What another server that has nothing would take.
	lines, inbox := 0, nats.NewInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.PublishRequest("$SYS.REQ.CLAIMS.PACK", inbox, make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Data) == 0 {
			break
		}
		lines++
	}
	if lines != 2 {
		t.Fatalf("%d lines", lines)
	}
	// A limit that is lowered closes at once.
	lower := w.reissue(a, func(c *jwt.AccountClaims) { c.Limits.Conn = 0 })
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+a.public+".CLAIMS.UPDATE", lower)); got != "jwt updated" {
		t.Fatal(got)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("not closed")
	}
	nc.Close()
	for body, want := range map[string]string{
		"x": "jwt update resulted in error - ",
		signed(t, jwt.NewAccountClaims(a.public), newNkey(t, nkeys.CreateOperator)): "not trusted",
	} {
		if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", body)); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+w.system.public+".CLAIMS.UPDATE", token)); !strings.Contains(got, "subject does not match jwt content") {
		t.Error(got)
	}
	said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", token))
	shutdown(t, s)

	// The directory is all that is needed.
	w.opts.ResolverPreload = nil
	s, _ = testServer(t, w.opts)
	w.mustLogin(s, a)
	sys = w.mustLogin(s, w.system)
	remove := func(by nkey, accounts ...any) string {
		g := jwt.NewGenericClaims(by.public)
		g.Data["accounts"] = accounts
		return said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.DELETE", signed(t, g, by)))
	}
	for _, c := range []struct{ got, want string }{
		{remove(newNkey(t, nkeys.CreateOperator), a.public), "not trusted"},
		{remove(w.operator, "x"), "malformed request"},
		{remove(w.operator, w.system.public), "not allowed to delete system account"},
		{remove(w.operator, a.public), "deleted 1 accounts"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%q does not say %q", c.got, c.want)
		}
	}
	w.mustFail(s, a)
	// What was deleted does not come back, issued again it does.
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", token)); !strings.Contains(got, "deleted") {
		t.Error(got)
	}
	w.mustFail(s, a)
	again := w.reissue(a, func(c *jwt.AccountClaims) { c.Name = "again" })
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", again)); got != "jwt updated" {
		t.Fatal(got)
	}
	w.mustLogin(s, a)
	if _, err := os.Stat(dir + "/" + a.public + ".jwt.deleted"); err != nil {
		t.Error(err)
	}
}

// TestWebResolver: JWTs come from a web service, with those of the accounts they import from; a service that is not there stops the start.
func TestWebResolver(t *testing.T) {
	w := newTenants(t, nil)
	from, fromToken := w.account(func(c *jwt.AccountClaims) {
		c.Exports.Add(&jwt.Export{Subject: "help", Type: jwt.Service})
	})
	to, toToken := w.account(func(c *jwt.AccountClaims) {
		c.Imports.Add(&jwt.Import{Account: from.public, Subject: "help", Type: jwt.Service})
	})
	tokens := map[string]string{w.system.public: w.opts.ResolverPreload[w.system.public], from.public: fromToken, to.public: toToken}
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/jwt/v1/accounts/")
		if name == "" {
			return
		}
		asked.Add(1)
		if tokens[name] == "" {
			http.Error(rw, "no", http.StatusNotFound)
			return
		}
		_, _ = rw.Write([]byte(tokens[name]))
	}))
	w.opts.ResolverPreload = nil
	w.opts.Resolver = &config.ResolverOptions{Type: "url", URL: web.URL + "/jwt/v1/accounts/"}
	s, _ := testServer(t, w.opts)
	user := w.mustLogin(s, to)
	helper := w.mustLogin(s, from)
	if _, err := helper.Subscribe("help", func(m *nats.Msg) { _ = m.Respond([]byte("here")) }); err != nil {
		t.Fatal(err)
	}
	if err := helper.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, user, "help", ""); got != "here" {
		t.Fatal(got)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times for three accounts", n)
	}
	stranger, _ := w.account(nil)
	w.mustFail(s, stranger)
	shutdown(t, s)
	web.Close()
	if _, err := New(w.opts, Env{}); err == nil || !strings.Contains(err.Error(), "could not fetch") {
		t.Fatalf("started: %v", err)
	}
}

// TestAccountLimitsBeyondServer: a JWT does not give an account more than the server has; what it had before stays.
func TestAccountLimitsBeyondServer(t *testing.T) {
	w := newTenants(t, &config.ResolverOptions{Type: "full", Dir: t.TempDir()})
	w.opts.StoreDir = t.TempDir()
	w.opts.JetStream = &config.JetStreamOptions{Enabled: true, MaxMemory: 10 << 20, MaxStore: 10 << 20}
	s, _ := testServer(t, w.opts)
	sys := w.mustLogin(s, w.system)
	a := newNkey(t, nkeys.CreateAccount)
	push := func(store int64) {
		t.Helper()
		token := w.reissue(a, func(c *jwt.AccountClaims) {
			c.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: 1 << 20, DiskStorage: store, Streams: 3, Consumer: 3}
		})
		if got := said(t, claimsAsk(t, sys, "$SYS.REQ.CLAIMS.UPDATE", token)); got != "jwt updated" {
			t.Fatal(got)
		}
	}
	push(20 << 20)
	nc := w.mustLogin(s, a)
	if _, err := nc.Request("$JS.API.INFO", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Fatalf("served: %v", err)
	}
	for _, c := range []struct{ push, want int64 }{{5 << 20, 5 << 20}, {20 << 20, 5 << 20}, {6 << 20, 6 << 20}} {
		push(c.push)
		var info struct {
			Limits struct {
				MaxStore int64 `json:"max_storage"`
			}
		}
		if err := json.Unmarshal([]byte(ask(t, nc, "$JS.API.INFO", "")), &info); err != nil || info.Limits.MaxStore != c.want {
			t.Fatalf("%d: %d %v", c.push, info.Limits.MaxStore, err)
		}
	}
}

// TestPinnedAccounts: only users of the named accounts and of the system account are let in.
func TestPinnedAccounts(t *testing.T) {
	w := newTenants(t, &config.ResolverOptions{Type: "full", Dir: t.TempDir()})
	in, inToken := w.account(nil)
	out, outToken := w.account(nil)
	w.opts.ResolverPreload[in.public], w.opts.ResolverPreload[out.public] = inToken, outToken
	w.opts.ResolverPinnedAccounts = []string{in.public}
	s, _ := testServer(t, w.opts)
	w.mustLogin(s, in)
	w.mustLogin(s, w.system)
	w.mustFail(s, out)
	if v, err := s.pages.Varz(); err != nil || v.PinnedFails != 1 {
		t.Fatal(v.PinnedFails, err)
	}
}

// TestMemoryResolverUpdate: an account in force takes another JWT, which a reload of the older one does not undo; others are skipped.
func TestMemoryResolverUpdate(t *testing.T) {
	w := newTenants(t, &config.ResolverOptions{Type: "mem"})
	a, token := w.account(nil)
	_, other := w.account(nil)
	w.opts.ResolverPreload[a.public] = token
	s, _ := testServer(t, w.opts)
	sys := w.mustLogin(s, w.system)
	c := jwt.NewAccountClaims(a.public)
	c.Limits.Conn = 1
	newer := signed(t, c, w.operator)
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+a.public+".CLAIMS.UPDATE", newer)); got != "jwt updated" {
		t.Fatal(got)
	}
	if got := claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+a.public+".INFO", ""); !strings.Contains(string(got.Data), newer) {
		t.Fatalf("%s", got.Data)
	}
	oc, err := jwt.DecodeAccountClaims(other)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+oc.Subject+".CLAIMS.UPDATE", other)); got != "jwt update skipped" {
		t.Fatal(got)
	}
	if got := said(t, claimsAsk(t, sys, "$SYS.REQ.ACCOUNT."+a.public+".CLAIMS.UPDATE", "")); !strings.Contains(got, "request body is empty") {
		t.Fatal(got)
	}
	w.mustLogin(s, a)
	if _, err := w.login(s, a); !errors.Is(err, nats.ErrMaxAccountConnectionsExceeded) {
		t.Fatalf("second: %v", err)
	}
}
