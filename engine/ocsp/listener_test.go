package ocsp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ocsp"

	"ramjet/engine/config"
)

// idling counts what waits through it.
type idling struct {
	net.Conn
	n *atomic.Int32
}

func (c idling) Idle(f func()) { c.n.Add(1); f() }

// shake does a handshake over a connection and returns what the client saw, and the server's error.
func shake(server, client *tls.Config, n *atomic.Int32) (tls.ConnectionState, error, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tls.ConnectionState{}, err, err
	}
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err, err
	}
	defer b.Close()
	a, err := ln.Accept()
	if err != nil {
		return tls.ConnectionState{}, err, err
	}
	done := make(chan error, 1)
	go func() {
		s := tls.Server(idling{a, n}, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	err = c.Handshake()
	if err == nil { // TLS 1.3: the verdict about the client comes after its handshake
		_, err = c.Read(make([]byte, 1))
	}
	state := c.ConnectionState()
	b.Close()
	return state, err, <-done
}

func TestListener(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	rig := newRig(t, ca, nil)
	if err := rig.Obtain(nil); err != nil {
		t.Fatal(err)
	}
	peer := newPeerRig(t, nil, nil)
	client := peer.mid.leaf("client", false)
	client.Certificate = append(client.Certificate, peer.mid.cert.Raw)
	pool := func(a *authority) *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(a.cert)
		return p
	}
	clock := rig.clk.Now
	base := &tls.Config{Certificates: []tls.Certificate{rig.cert}, ClientCAs: pool(peer.root), ClientAuth: tls.RequireAndVerifyClientCert, Time: clock}
	conf, err := (&Listener{Staplers: []*Stapler{rig.Stapler}, Verifier: peer.Verifier}).Wrap(base)
	if err != nil {
		t.Fatal(err)
	}
	if len(conf.Certificates) != 1 || conf.Certificates[0].OCSPStaple != nil {
		t.Error("the certificates are not visible as configured")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		peer.mid.set(client.Leaf, ocsp.Good)
		peer.Verifier.cfg.Cache.useless(Fingerprint(client.Leaf))
		var waits atomic.Int32
		cc := &tls.Config{RootCAs: pool(ca), ServerName: "localhost", Certificates: []tls.Certificate{client}, MinVersion: version, MaxVersion: version,
			Time: clock, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		state, err, serr := shake(conf, cc, &waits)
		if err != nil || serr != nil {
			t.Fatalf("%x: %v %v", version, err, serr)
		}
		if r, err := ocsp.ParseResponseForCert(state.OCSPResponse, rig.cert.Leaf, ca.cert); err != nil || r.Status != ocsp.Good {
			t.Errorf("staple: %v", err)
		}
		if waits.Load() == 0 {
			t.Error("the CA was asked outside Idle")
		}
		waits.Store(0)
		if state, err, serr = shake(conf, cc, &waits); err != nil || serr != nil || waits.Load() != 0 {
			t.Errorf("cached: %v %v, %d waits", err, serr, waits.Load())
		}
		if !state.DidResume {
			t.Errorf("%x: not resumed although the configuration is copied", version)
		}
		// Resumed or not, a client that is revoked meanwhile is refused.
		peer.mid.set(client.Leaf, ocsp.Revoked)
		peer.Verifier.cfg.Cache.useless(Fingerprint(client.Leaf))
		if _, err, serr = shake(conf, cc, &waits); err == nil || !errors.Is(serr, errRejected) {
			t.Errorf("revoked: %v %v", err, serr)
		}
	}
}

func TestWrap(t *testing.T) {
	base := &tls.Config{}
	for _, l := range []*Listener{{}, {Staplers: []*Stapler{nil, nil}}} {
		if c, err := l.Wrap(base); c != base || err != nil {
			t.Errorf("nothing to do, got %v %v", c, err)
		}
	}
	if _, err := (&Listener{Verifier: &Verifier{}}).Wrap(base); !errors.Is(err, errMutualTLS) {
		t.Errorf("got %v", err)
	}
	own := errors.New("own")
	base = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, VerifyConnection: func(tls.ConnectionState) error { return own }}
	c, err := (&Listener{Verifier: &Verifier{}}).Wrap(base)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.GetConfigForClient(&tls.ClientHelloInfo{}); err != nil || !errors.Is(c.VerifyConnection(tls.ConnectionState{}), own) {
		t.Error("the verification of the configuration is lost")
	}
}

func TestStaplers(t *testing.T) {
	root := newAuthority(t, nil, "root")
	must, plain := root.leaf("must", true), root.leaf("plain", false)
	plain.Leaf = nil // as in an embedder's configuration
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	log := &testLog{}
	block := &config.TLSOptions{CAFile: "ca.pem", Certs: []config.CertPair{{CertFile: "must.pem"}, {CertFile: "plain.pem"}},
		Config: &tls.Config{Certificates: []tls.Certificate{must, plain}, ClientCAs: pool}}
	for mode, want := range map[string][2]bool{"auto": {true, false}, "always": {true, true}, "never": {}} {
		list, err := Staplers(&config.OCSPOptions{Mode: mode, URLs: []string{"http://x"}}, block, StaplerConfig{Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range list {
			if (s != nil) != want[i] {
				t.Errorf("%s: certificate %d: %v", mode, i, s)
			}
			if s != nil && (s.cfg.CertFile != block.Certs[i].CertFile || !s.cfg.Issuer.Equal(root.cert) || s.cfg.URLs[0] != "http://x" || s.leaf == nil) {
				t.Errorf("%s: certificate %d: %+v", mode, i, s.cfg)
			}
		}
	}
	if !log.has("1 RJ-O004 Certificate at 'must.pem' has MustStaple but OCSP is disabled") || log.has("plain.pem") {
		t.Error(log.buf.String())
	}
	block.Config.ClientCAs = x509.NewCertPool()
	if _, err := Staplers(nil, block, StaplerConfig{Logger: log}); err == nil || err.Error() != "no issuers found" {
		t.Errorf("got %v", err)
	}
	block.Config.Certificates = []tls.Certificate{{}}
	if _, err := Staplers(nil, block, StaplerConfig{Logger: log}); err == nil {
		t.Error("accepted an empty certificate")
	}
}
