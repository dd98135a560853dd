package ocsp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine/config"
	"ramjet/proto/base/clock"
)

// stapleRig is a stapler on a manual clock.
type stapleRig struct {
	*Stapler
	ca    *authority
	cert  tls.Certificate
	clk   *jumpy
	log   *testLog
	files *memFiles
	bad   chan struct{}
}

func newRig(t *testing.T, ca *authority, change func(*StaplerConfig)) *stapleRig {
	r := &stapleRig{ca: ca, clk: &jumpy{Manual: clock.NewManual(epoch)}, log: &testLog{at: make(chan string, 100)}, files: &memFiles{}, bad: make(chan struct{}, 2)}
	r.cert = ca.leaf("server", true)
	ca.with(func(a *authority) { a.now = r.clk.Now })
	c := StaplerConfig{Kind: "Client", CertFile: "s.pem", Cert: r.cert, Issuer: ca.cert, StoreDir: "store",
		Responders: NewResponders(), Files: r.files, Clock: r.clk, Logger: r.log, OnBad: func() { r.bad <- struct{}{} }}
	if change != nil {
		change(&c)
	}
	r.Stapler = NewStapler(c)
	t.Cleanup(r.Stop)
	return r
}

func direct(f func()) { f() }

func (r *stapleRig) staple(t *testing.T) *ocsp.Response {
	t.Helper()
	c, err := r.Certificate(direct)
	if err != nil {
		t.Fatal(err)
	}
	if c.OCSPStaple == nil {
		return nil
	}
	resp, err := ocsp.ParseResponseForCert(c.OCSPStaple, r.cert.Leaf, r.ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestObtain(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ca     func(*authority)
		change func(*StaplerConfig)
		err    string
		status int // when err is ""
	}{
		{name: "good"},
		{name: "GET after POST", ca: func(a *authority) { a.noPost = true }},
		{name: "revoked, auto", ca: func(a *authority) { a.status["101"] = ocsp.Revoked }, status: ocsp.Revoked},
		{name: "revoked, always", ca: func(a *authority) { a.status["101"] = ocsp.Revoked }, change: func(c *StaplerConfig) { c.Enforce = true },
			err: "found existing OCSP status for certificate at 's.pem': revoked"},
		{name: "unknown, always", ca: func(a *authority) { delete(a.status, "101") }, change: func(c *StaplerConfig) { c.Enforce = true },
			err: "found existing OCSP status for certificate at 's.pem': unknown"},
		{name: "unreachable", ca: func(a *authority) { a.fail = true }, err: "bad OCSP status update for certificate at 's.pem': exhausted ocsp servers"},
		{name: "garbage", ca: func(a *authority) { a.garbage = true }, err: "failed to get remote status"},
		{name: "old answer", ca: func(a *authority) { a.now = func() time.Time { return epoch.Add(-2 * time.Hour) } }, err: "is past time"},
		{name: "future answer", ca: func(a *authority) { a.now = func() time.Time { return epoch.Add(time.Hour) } }, err: "is future time"},
		{name: "signed by nobody entitled", ca: func(a *authority) {
			a.mu.Unlock()
			c, key := a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			a.mu.Lock()
			a.signer, a.signKey, a.embed = c, key, true
		}, err: "missing authorization"},
		{name: "signed by a delegate", ca: func(a *authority) {
			a.mu.Unlock()
			c, key := a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}})
			a.mu.Lock()
			a.signer, a.signKey, a.embed = c, key, true
		}},
		{name: "no responder", change: func(c *StaplerConfig) {
			leaf := *c.Cert.Leaf
			leaf.OCSPServer = nil
			c.Cert.Leaf = &leaf
		}, err: "no available ocsp servers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ca := newAuthority(t, nil, "ca")
			r := newRig(t, ca, tc.change)
			if tc.ca != nil {
				ca.with(tc.ca)
			}
			err := r.Obtain(nil)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := r.staple(t); s.Status != tc.status {
				t.Errorf("status %d", s.Status)
			}
			if len(r.files.m) != 1 || !strings.HasPrefix(r.file(), "store/ocsp/") {
				t.Errorf("saved %d files as %s", len(r.files.m), r.file())
			}
		})
	}
}

// TestOverride: the url option replaces the responders that the certificate names, in order.
func TestOverride(t *testing.T) {
	ca, dead := newAuthority(t, nil, "ca"), newAuthority(t, nil, "dead")
	dead.with(func(a *authority) { a.fail = true })
	r := newRig(t, ca, func(c *StaplerConfig) {
		c.URLs = []string{dead.web.URL, ca.web.URL + "/"}
		leaf := *c.Cert.Leaf
		leaf.OCSPServer = []string{"http://127.0.0.1:1"}
		c.Cert.Leaf = &leaf
	})
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	if dead.requests() != 2 || ca.requests() != 1 {
		t.Errorf("asked %d and %d times", dead.requests(), ca.requests())
	}
}

// TestObtainWithoutCA: what is on disk, or what the stapler before had, is used while it is valid.
func TestObtainWithoutCA(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	first := newRig(t, ca, nil)
	if err := first.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	asked := ca.requests()
	again := func(change func(*StaplerConfig)) *stapleRig {
		return newRig(t, ca, func(c *StaplerConfig) {
			c.Cert = first.cert
			if change != nil {
				change(c)
			}
		})
	}
	disk := again(func(c *StaplerConfig) { c.Files = first.files })
	memory := again(nil)
	for name, err := range map[string]error{"disk": disk.Obtain(nil), "memory": memory.Obtain([]*Stapler{first.Stapler})} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ca.requests() != asked {
		t.Error("the CA was asked")
	}
	enforced := again(func(c *StaplerConfig) { c.Enforce = true })
	if err := enforced.Obtain([]*Stapler{first.Stapler}); err != nil {
		t.Error(err)
	}
	other := newRig(t, ca, nil)
	if err := other.Obtain([]*Stapler{first.Stapler}); err != nil || ca.requests() == asked {
		t.Errorf("the staple of another certificate was used: %v", err)
	}
	late := again(func(c *StaplerConfig) { c.Files = first.files })
	late.clk.Advance(2 * time.Hour)
	asked = ca.requests()
	if err := late.Obtain([]*Stapler{first.Stapler}); err != nil || ca.requests() == asked {
		t.Errorf("an old staple was used: %v", err)
	}
}

// TestRenew: at half of the time left; a failure keeps the staple; a bad status ends the server once.
func TestRenew(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	r := newRig(t, ca, func(c *StaplerConfig) { c.Enforce = true })
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	r.Start()
	line := func(want string) {
		t.Helper()
		if got := await(t, r.log.at, want); !strings.Contains(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	advance := func(d time.Duration) {
		t.Helper()
		r.waiting(t)
		r.clk.Advance(d)
	}
	line("Found OCSP status for Client certificate at 's.pem': good, next update 2026-05-06T08:08:09Z, checking again in 30m0s")
	asked := ca.requests()
	advance(30*time.Minute - 1)
	if ca.requests() != asked {
		t.Fatal("asked too early")
	}
	advance(1)
	line("Received OCSP status for Client certificate 's.pem': good, next update 2026-05-06T08:38:09Z, checking again in 30m0s")
	ca.with(func(a *authority) { a.fail = true })
	advance(30 * time.Minute)
	line("Bad OCSP status update for certificate 's.pem': exhausted ocsp servers")
	if s := r.staple(t); s == nil || s.Status != ocsp.Good {
		t.Fatal("the staple is gone")
	}
	ca.with(func(a *authority) { a.fail = false })
	ca.set(r.cert.Leaf, ocsp.Revoked)
	advance(15 * time.Minute)
	line("Received OCSP status for Client certificate 's.pem': revoked")
	await(t, r.bad, "end of the server")
	select {
	case <-r.bad:
		t.Error("ended twice")
	default:
	}
}

// TestRenewAuto: without always or must a revoked status is stapled and the server lives.
func TestRenewAuto(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	ca.with(func(a *authority) { a.validity = 0 })
	r := newRig(t, ca, nil)
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	if d := r.next(); d != 24*time.Hour {
		t.Errorf("next check without next update in %v", d)
	}
	ca.set(r.cert.Leaf, ocsp.Revoked)
	if r.renew() {
		t.Error("the stapler ended")
	}
	if s := r.staple(t); s.Status != ocsp.Revoked {
		t.Errorf("status %d", s.Status)
	}
}

// TestRenewFromNothing: without a first staple the certificate goes out bare, and the CA is asked again.
func TestRenewFromNothing(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	r := newRig(t, ca, nil)
	ca.with(func(a *authority) { a.fail = true })
	if err := r.Obtain(nil); err == nil {
		t.Fatal("obtained")
	}
	r.Start()
	if s := r.staple(t); s != nil {
		t.Fatal("there is a staple")
	}
	r.waiting(t)
	r.clk.Advance(2 * time.Minute)
	if l := await(t, r.log.at, "line"); !strings.Contains(l, "RJ-O001") || !strings.HasSuffix(l, "trying again in 2m0s") {
		t.Fatal(l)
	}
	ca.with(func(a *authority) { a.fail = false })
	r.waiting(t)
	r.clk.Advance(2 * time.Minute)
	if l := await(t, r.log.at, "line"); !strings.Contains(l, "good") {
		t.Fatal(l)
	}
	if s := r.staple(t); s == nil || s.Status != ocsp.Good {
		t.Fatal("no staple")
	}
}

func TestNext(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	r := newRig(t, ca, nil)
	if d := r.next(); d != 2*time.Minute {
		t.Errorf("without staple %v", d)
	}
	for left, want := range map[time.Duration]time.Duration{
		4 * time.Second: 2 * time.Second, time.Second: time.Second, 0: time.Second, -time.Second: 2 * time.Minute, time.Hour: 30 * time.Minute,
	} {
		r.set(&ocsp.Response{NextUpdate: epoch.Add(left)})
		if d := r.next(); d != want {
			t.Errorf("%v left: %v, want %v", left, d, want)
		}
	}
}

// TestExpiredStaple: a handshake that finds the staple run out gets a new one, waiting inside idle, or fails.
func TestExpiredStaple(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	r := newRig(t, ca, nil)
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	r.log.at = nil
	r.Start()
	r.waiting(t)
	r.clk.by.Store(int64(3 * time.Hour))
	idled := false
	c, err := r.Certificate(func(f func()) { idled = true; f() })
	if err != nil || !idled {
		t.Fatalf("%v, idle %v", err, idled)
	}
	s, err := ocsp.ParseResponse(c.OCSPStaple, ca.cert)
	if err != nil || !s.ThisUpdate.Equal(epoch.Add(3*time.Hour)) {
		t.Fatalf("%v %v", s, err)
	}
}

// jumpy is a clock that can jump without running timers, as after a suspended machine.
type jumpy struct {
	*clock.Manual
	by atomic.Int64
}

func (j *jumpy) Now() time.Time { return j.Manual.Now().Add(time.Duration(j.by.Load())) }

// waiting returns when the stapler waits for its next time.
func (r *stapleRig) waiting(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); r.clk.Pending() == 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the stapler does not wait")
		}
	}
}

func TestExpiredStapleNoCA(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	r := newRig(t, ca, nil)
	if err := r.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	ca.with(func(a *authority) { a.fail = true })
	r.clk.Advance(2 * time.Hour)
	r.Start()
	if _, err := r.Certificate(direct); !errors.Is(err, errNoStaple) {
		t.Errorf("got %v", err)
	}
}

func TestNeedsStaple(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	must, plain := ca.leaf("a", true).Leaf, ca.leaf("b", false).Leaf
	if !MustStaple(must) || MustStaple(plain) {
		t.Fatal("the extension is not found")
	}
	for _, tc := range []struct {
		o                       *config.OCSPOptions
		mustStaple, mustEnforce bool
		staple, enforce         bool
	}{
		{nil, true, false, false, false},
		{&config.OCSPOptions{Mode: "auto"}, true, false, false, false},
		{&config.OCSPOptions{Mode: "always"}, true, true, true, true},
		{&config.OCSPOptions{Mode: "must"}, true, true, false, false},
		{&config.OCSPOptions{Mode: "never"}, false, false, false, false},
	} {
		a, b := NeedsStaple(tc.o, must)
		c, d := NeedsStaple(tc.o, plain)
		if a != tc.mustStaple || b != tc.mustEnforce || c != tc.staple || d != tc.enforce {
			t.Errorf("%v: %v %v %v %v", tc.o, a, b, c, d)
		}
	}
}

func TestIssuerOf(t *testing.T) {
	root := newAuthority(t, nil, "root")
	mid := newAuthority(t, root, "mid")
	other := newAuthority(t, nil, "other")
	leaf := mid.leaf("l", false).Leaf
	pool := func(certs ...*x509.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range certs {
			p.AddCert(c)
		}
		return p
	}
	for _, tc := range []struct {
		name  string
		chain []*x509.Certificate
		roots *x509.CertPool
		want  *x509.Certificate
	}{
		{"bundle", []*x509.Certificate{leaf, mid.cert}, pool(root.cert), mid.cert},
		{"wrong bundle", []*x509.Certificate{leaf, other.cert}, pool(root.cert, mid.cert), nil},
		{"trusted intermediate", []*x509.Certificate{leaf}, pool(root.cert, mid.cert), mid.cert},
		{"unknown", []*x509.Certificate{leaf}, pool(other.cert), nil},
		{"own root", []*x509.Certificate{root.cert}, pool(root.cert), nil},
		{"empty", nil, pool(root.cert), nil},
	} {
		got, err := issuerOf(tc.chain, tc.roots)
		if (err == nil) != (tc.want != nil) || tc.want != nil && !got.Equal(tc.want) {
			t.Errorf("%s: %v %v", tc.name, got, err)
		}
	}
}
