package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine"
)

var epoch = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// authority is a CA with its responder.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
	web  *httptest.Server

	mu       sync.Mutex
	serial   int64
	status   map[string]int // by serial; missing = unknown
	now      func() time.Time
	validity time.Duration // 0 = no next update
	signer   *x509.Certificate
	signKey  crypto.Signer
	embed    bool // signer goes into the response
	fail     bool // 503
	noPost   bool
	garbage  bool
	gate     chan struct{} // answers wait for it
	methods  []string
	asked    chan struct{} // one per request
}

// newAuthority returns a CA issued by parent, nil = a root.
func newAuthority(t testing.TB, parent *authority, name string) *authority {
	a := &authority{t: t, status: map[string]int{}, validity: time.Hour, now: func() time.Time { return epoch }, asked: make(chan struct{}, 1000)}
	a.web = httptest.NewServer(a)
	t.Cleanup(a.web.Close)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	if parent == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), epoch.AddDate(-20, 0, 0), epoch.AddDate(20, 0, 0)
		a.cert, a.key = sign(t, template, template, key, key), key
	} else {
		a.cert, a.key = parent.issue(template)
	}
	a.signer, a.signKey = a.cert, a.key
	return a
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue signs a certificate that names this CA's responder, and knows it as good.
func (a *authority) issue(template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(100+a.serial), epoch.AddDate(-20, 0, 0), epoch.AddDate(20, 0, 0)
	if template.OCSPServer == nil {
		template.OCSPServer = []string{a.web.URL}
	}
	c := sign(a.t, template, a.cert, key, a.key)
	a.status[c.SerialNumber.String()] = ocsp.Good
	return c, key
}

// leaf issues a certificate for 127.0.0.1; mustStaple adds the extension.
func (a *authority) leaf(name string, mustStaple bool) tls.Certificate {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	if mustStaple {
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
	}
	c, key := a.issue(template)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// with changes the responder.
func (a *authority) with(f func(a *authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *authority) set(c *x509.Certificate, status int) {
	a.with(func(a *authority) { a.status[c.SerialNumber.String()] = status })
}

func (a *authority) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.methods)
}

// respond builds the answer for a serial number.
func (a *authority) respond(serial *big.Int) []byte {
	status, ok := a.status[serial.String()]
	if !ok {
		status = ocsp.Unknown
	}
	r := ocsp.Response{Status: status, SerialNumber: serial, ThisUpdate: a.now()}
	if a.validity > 0 {
		r.NextUpdate = r.ThisUpdate.Add(a.validity)
	}
	if status == ocsp.Revoked {
		r.RevokedAt = r.ThisUpdate.Add(-time.Hour)
	}
	if a.embed {
		r.Certificate = a.signer
	}
	raw, err := ocsp.CreateResponse(a.cert, a.signer, r, a.signKey)
	if err != nil {
		a.t.Error(err)
	}
	return raw
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	gate := a.gate
	a.methods = append(a.methods, r.Method)
	a.mu.Unlock()
	a.asked <- struct{}{}
	if gate != nil {
		<-gate
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var der []byte
	var err error
	if r.Method == http.MethodPost {
		if r.Header.Get("Content-Type") != "application/ocsp-request" {
			a.t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
		der, err = io.ReadAll(r.Body)
	} else {
		var p string
		if p, err = url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/")); err == nil {
			der, err = base64.StdEncoding.DecodeString(p)
		}
	}
	switch {
	case a.fail || a.noPost && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case a.garbage:
		_, _ = w.Write([]byte("no ASN.1"))
		return
	}
	q, err2 := ocsp.ParseRequest(der)
	if err != nil || err2 != nil {
		a.t.Errorf("request: %v %v", err, err2)
		return
	}
	_, _ = w.Write(a.respond(q.SerialNumber))
}

// testLog keeps lines.
type testLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
	at  chan string // nil or gets each line
}

func (l *testLog) Enabled(engine.Level) bool { return true }

func (l *testLog) Logf(lv engine.Level, id, format string, args ...any) {
	line := fmt.Sprintf("%d %s "+format, append([]any{lv, id}, args...)...)
	l.mu.Lock()
	l.buf.WriteString(line + "\n")
	l.mu.Unlock()
	if l.at != nil && lv != engine.Debug {
		l.at <- line
	}
}

func (l *testLog) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), s)
}

// memFiles implements Files.
type memFiles struct {
	mu    sync.Mutex
	m     map[string][]byte
	fail  error
	wrote int
}

func (f *memFiles) ReadFile(path string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.m[path]; ok {
		return b, nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func (f *memFiles) WriteFile(path string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	if f.m == nil {
		f.m = map[string][]byte{}
	}
	f.m[path] = data
	f.wrote++
	return nil
}

func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
	}
	t.Fatalf("no %s", what)
	panic("unreachable")
}
