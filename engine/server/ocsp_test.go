package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	xocsp "golang.org/x/crypto/ocsp"

	"ramjet/engine/config"
	"ramjet/engine/ocsp"
	"ramjet/proto/sysapi"
)

// ocspCA is a CA in files of a directory, with a responder.
type ocspCA struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	web  *httptest.Server

	mu       sync.Mutex
	status   map[int64]int
	validity time.Duration
	down     bool
}

func newOCSPCA(t *testing.T) *ocspCA {
	ca := &ocspCA{t: t, dir: t.TempDir(), status: map[int64]int{}, validity: time.Hour}
	ca.web = httptest.NewServer(ca)
	t.Cleanup(ca.web.Close)
	ca.cert, ca.key = ca.issue("ca", 1, true)
	for i, name := range []string{"server", "client", "other"} {
		ca.issue(name, int64(2+i), false)
	}
	return ca
}

// issue writes name.pem and name.key.
func (ca *ocspCA) issue(name string, serial int64, root bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t := ca.t
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: root, BasicConstraintsValid: true, DNSNames: []string{"localhost"}, OCSPServer: []string{ca.web.URL},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := ca.cert, ca.key
	if root {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(ca.dir, name+file), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func (ca *ocspCA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) == 0 { // asked by GET
		body, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(r.URL.Path, "/"))
	}
	q := &xocsp.Request{}
	if err == nil {
		q, err = xocsp.ParseRequest(body)
	}
	if err != nil {
		ca.t.Error(err)
		return
	}
	serial := q.SerialNumber
	now := time.Now().Truncate(time.Second)
	raw, err := xocsp.CreateResponse(ca.cert, ca.cert, xocsp.Response{Status: ca.status[serial.Int64()], SerialNumber: serial,
		ThisUpdate: now.Add(-time.Second), NextUpdate: now.Add(ca.validity), RevokedAt: now}, ca.key)
	if err != nil {
		ca.t.Error(err)
	}
	_, _ = w.Write(raw)
}

// set changes the status of a serial number: 2 server, 3 client, 4 other.
func (ca *ocspCA) set(serial int64, status int) {
	ca.mu.Lock()
	ca.status[serial] = status
	ca.mu.Unlock()
}

func (ca *ocspCA) options(text string) *config.Options {
	ca.t.Helper()
	file := filepath.Join(ca.dir, "c.conf")
	text = strings.ReplaceAll(text, "DIR", ca.dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		ca.t.Fatal(err)
	}
	o, _, err := config.Load(file, nil)
	if err != nil {
		ca.t.Fatal(err)
	}
	return o
}

const ocspTLS = `
host: 127.0.0.1, port: -1, store_dir: "DIR/store"
ocsp_cache { local_store: "DIR/rc" }
`

func (ca *ocspCA) clientTLS() *tls.Config {
	pair, err := tls.LoadX509KeyPair(filepath.Join(ca.dir, "client.pem"), filepath.Join(ca.dir, "client.key"))
	if err != nil {
		ca.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{pair}}
}

// connect returns the status stapled for a connection, -1 for none.
func (ca *ocspCA) connect(s *Server) (int, error) {
	status := -1
	conf := ca.clientTLS()
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.OCSPResponse == nil {
			return nil
		}
		r, err := xocsp.ParseResponseForCert(cs.OCSPResponse, cs.PeerCertificates[0], ca.cert)
		if err == nil {
			status = r.Status
		}
		return err
	}
	nc, err := nats.Connect(s.ClientURL(), nats.Secure(conf))
	if err == nil {
		err = nc.Flush()
		nc.Close()
	}
	return status, err
}

const (
	serverBlock = `tls { cert_file: "DIR/server.pem", key_file: "DIR/server.key", ca_file: "DIR/ca.pem" }` + "\n"
	peerBlock   = `tls { cert_file: "DIR/server.pem", key_file: "DIR/server.key", ca_file: "DIR/ca.pem", verify: true, ocsp_peer: true }` + "\n"
	otherBlock  = `tls { cert_file: "DIR/other.pem", key_file: "DIR/other.key", ca_file: "DIR/ca.pem" }` + "\n"
)

// TestStapleReload: staples come and go with the configuration; a bad certificate does not get into service.
func TestStapleReload(t *testing.T) {
	ca := newOCSPCA(t)
	s, log := testServer(t, ca.options(ocspTLS+serverBlock+"ocsp { mode: always }"))
	want := func(status int) {
		t.Helper()
		if got, err := ca.connect(s); got != status || err != nil {
			t.Errorf("staple %d, %v; want %d", got, err, status)
		}
	}
	reload := func(text, fails string) {
		t.Helper()
		err := s.Reload(ca.options(ocspTLS + text))
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("reload: %v, want %q", err, fails)
		}
	}
	want(xocsp.Good)
	if files, _ := os.ReadDir(filepath.Join(ca.dir, "store", "ocsp")); len(files) != 1 {
		t.Errorf("%d staples on disk", len(files))
	}
	same := *s.Options()
	if err := s.Reload(&same); err != nil {
		t.Error(err)
	}
	want(xocsp.Good)
	if strings.Contains(log.String(), "Reloaded: tls") {
		t.Error("a staple counts as a change of the configuration")
	}
	reload(serverBlock+"ocsp: false", "")
	want(-1)
	reload(serverBlock+"ocsp { mode: always }", "")
	want(xocsp.Good)
	ca.set(4, xocsp.Revoked)
	reload(otherBlock+"ocsp { mode: always }", "found existing OCSP status for certificate at '"+ca.dir+"/other.pem': revoked")
	want(xocsp.Good)
	if err := os.RemoveAll(filepath.Join(ca.dir, "store")); err != nil {
		t.Fatal(err)
	}
	ca.mu.Lock()
	ca.down = true
	ca.mu.Unlock()
	reload(otherBlock+"ocsp { mode: always }", "")
	want(-1)
	if !strings.Contains(log.String(), "[WRN] Can't restart OCSP features: bad OCSP status update for certificate") {
		t.Error("no warning")
	}
	// Verification is in force all the same: the client's CA cannot be asked.
	reload(strings.Replace(otherBlock, "}", ", verify: true, ocsp_peer: true }", 1)+"ocsp { mode: always }", "")
	if _, err := ca.connect(s); err == nil {
		t.Error("a client of unknown status was accepted")
	}
}

// TestStapleStart: the server does not start with a certificate that the mode forbids.
func TestStapleStart(t *testing.T) {
	ca := newOCSPCA(t)
	ca.set(2, xocsp.Revoked)
	for text, want := range map[string]string{
		serverBlock + "ocsp { mode: always }":                               "found existing OCSP status for certificate at",
		serverBlock + `ocsp { mode: always, url: "http://127.0.0.1:1" }`:    "bad OCSP status update for certificate at",
		strings.Replace(peerBlock, "verify: true, ", "", 1) + "ocsp: false": "OCSP peer verification for client connections requires TLS verify",
	} {
		if err := os.RemoveAll(filepath.Join(ca.dir, "store")); err != nil {
			t.Fatal(err)
		}
		log := &memLog{}
		s, err := New(ca.options(ocspTLS+text), Env{Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(log.String(), "[FTL] "+want) {
			t.Errorf("%s: %v\n%s", text, err, log)
		}
		_ = s.Shutdown(context.Background())
	}
}

// TestStapleShutdown: a certificate revoked while it is in use ends the server in mode always.
func TestStapleShutdown(t *testing.T) {
	ca := newOCSPCA(t)
	ca.validity = 3 * time.Second
	s, log := testServer(t, ca.options(ocspTLS+serverBlock+"ocsp { mode: always }"))
	ca.set(2, xocsp.Revoked)
	ended := make(chan struct{})
	go func() { s.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the server goes on")
	}
	if !strings.Contains(log.String(), "[ERR] Received OCSP status for Client certificate '"+ca.dir+"/server.pem': revoked") {
		t.Error(log.String())
	}
}

// TestOCSPPeer: clients and readers of the monitoring pages are verified, the cache is used, shown and saved.
func TestOCSPPeer(t *testing.T) {
	ca := newOCSPCA(t)
	log := &memLog{}
	s, err := New(ca.options(ocspTLS+peerBlock+"https: \"127.0.0.1:-1\"\nocsp { mode: always }"), Env{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	rejected := make(chan string, 10)
	s.ocspEvents = ocsp.Events{PeerRejected: func(kind string, peer *x509.Certificate, reason string) {
		rejected <- fmt.Sprint(kind, " ", peer.Subject.CommonName, " ", reason)
	}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(context.Background()) }()
	if status, err := ca.connect(s); err != nil || status != xocsp.Good {
		t.Fatalf("staple %d, %v", status, err)
	}
	_, https := s.monitor.Addrs()
	get := func(conf *tls.Config) (*sysapi.Varz, error) {
		hc := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
		r, err := hc.Get("https://" + https + "/varz")
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		if r.TLS.OCSPResponse == nil {
			t.Error("no staple on the monitoring port")
		}
		v := &sysapi.Varz{}
		return v, json.NewDecoder(r.Body).Decode(v)
	}
	v, err := get(ca.clientTLS())
	if err != nil {
		t.Fatal(err)
	}
	if c := v.OCSPCache; !v.TLSOCSPPeerVerify || c == nil || *c != (sysapi.OCSPResponseCacheVarz{Type: "local", Hits: 1, Misses: 1, Responses: 1, Goods: 1}) {
		t.Errorf("varz: %v %+v", v.TLSOCSPPeerVerify, c)
	}
	if v.TLSCertNotAfter == nil {
		t.Error("no tls_cert_not_after")
	}
	anonymous := ca.clientTLS()
	anonymous.Certificates = nil
	if _, err := get(anonymous); err == nil {
		t.Error("the monitoring port takes readers without certificate")
	}
	// Another cache starts empty; the client is revoked now.
	ca.set(3, xocsp.Revoked)
	o := ca.options(strings.Replace(ocspTLS, "/rc", "/rc2", 1) + peerBlock + "https: \"127.0.0.1:-1\"\nocsp { mode: always }")
	if err := s.Reload(o); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.connect(s); err == nil {
		t.Error("a revoked client was accepted")
	}
	select {
	case got := <-rejected:
		if got != "Client client client not OCSP valid" {
			t.Error(got)
		}
	case <-time.After(20 * time.Second):
		t.Error("no event")
	}
	if _, err := get(ca.clientTLS()); err == nil {
		t.Error("a revoked reader was accepted")
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	for dir, word := range map[string]string{"rc": `"good"`, "rc2": `"revoked"`} {
		if b, err := os.ReadFile(filepath.Join(ca.dir, dir, "cache.json")); err != nil || !strings.Contains(string(b), word) {
			t.Errorf("%s: %v %s", dir, err, b)
		}
	}
}

// TestOCSPWebsocket: the websocket listener staples and verifies by its own block.
func TestOCSPWebsocket(t *testing.T) {
	ca := newOCSPCA(t)
	block := strings.Replace(peerBlock, "ocsp_peer: true", "ocsp_peer { verify: true, ca_timeout: 5 }", 1)
	s, _ := testServer(t, ca.options(ocspTLS+"websocket { host: 127.0.0.1, port: -1\n"+block+"}\nocsp { mode: always }\nocsp_cache: false"))
	upgrade := func() (string, error) {
		c, err := tls.Dial("tcp", s.addrs.Load().ws.String(), ca.clientTLS())
		if err != nil {
			return "", err
		}
		defer c.Close()
		if c.ConnectionState().OCSPResponse == nil {
			t.Error("no staple")
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		b := make([]byte, 12)
		_, err = io.ReadFull(c, b)
		return string(b), err
	}
	if got, err := upgrade(); got != "HTTP/1.1 101" {
		t.Errorf("%q %v", got, err)
	}
	ca.set(3, xocsp.Revoked)
	if got, err := upgrade(); err == nil {
		t.Errorf("a revoked client got %q", got)
	}
	if s.ocspCacheVarz() != nil {
		t.Error("a cache is shown")
	}
}
