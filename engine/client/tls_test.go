package client

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"ramjet/engine/config"
	"ramjet/proto/sysapi"
)

// testCert makes a certificate for 127.0.0.1.
func testCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure turns p into a TLS connection.
func (p *peer) secure(certs ...tls.Certificate) {
	p.t.Helper()
	c := tls.Client(p.c, &tls.Config{InsecureSkipVerify: true, Certificates: certs})
	c.SetDeadline(time.Now().Add(patience))
	if err := c.Handshake(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.c, p.r = c, bufio.NewReader(c)
}

func (p *peer) hello() {
	p.t.Helper()
	p.send("CONNECT {\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 2\r\nhi\r\n")
	p.want("MSG foo 1 2\r\nhi\r\n")
}

func tlsWorld(t *testing.T, set func(*config.Options)) *world {
	t.Helper()
	cert := testCert(t)
	w := newWorld(t, func(o *config.Options) {
		o.TLS = &config.TLSOptions{Timeout: 2 * time.Second, Config: &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert,
		}}
		set(o)
	})
	return w
}

func TestTLSRequired(t *testing.T) {
	w := tlsWorld(t, func(*config.Options) {})
	p := w.dial()
	if in := p.info(); in["tls_required"] != true || in["tls_available"] != nil {
		t.Errorf("%v", in)
	}
	p.secure(testCert(t))
	p.hello()
	var info sysapi.ConnInfo
	w.conns()[0].Snapshot(&info, time.Now(), true)
	if info.TLSVersion != "1.3" || !strings.HasPrefix(info.TLSCipher, "TLS_") || info.TLSFirst ||
		len(info.TLSPeerCerts) != 1 || info.TLSPeerCerts[0].Subject != "CN=client test" || len(info.TLSPeerCerts[0].CertSha256) != 64 {
		t.Errorf("%+v", info)
	}
	plain := w.dial()
	plain.info()
	plain.send("CONNECT {}\r\n")
	plain.eofAny()
	w.log.wait(t, "Client connection closed: TLS Handshake Failure")
}

// eofAny waits for the end, whatever comes before it.
func (p *peer) eofAny() {
	p.t.Helper()
	p.c.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.r.ReadByte(); err != nil {
			if isTimeout(err) {
				p.t.Fatalf("%s: no end", p.name)
			}
			return
		}
	}
}

func TestTLSAvailable(t *testing.T) {
	w := tlsWorld(t, func(o *config.Options) { o.AllowNonTLS = true; sampleUsers(o); o.NoAuthUser = "all" })
	p := w.dial()
	if in := p.info(); in["tls_available"] != true || in["tls_required"] != nil {
		t.Errorf("%v", in)
	}
	p.hello()
	q := w.dial()
	q.info()
	q.secure()
	q.hello()
}

func TestTLSFirst(t *testing.T) {
	w := tlsWorld(t, func(o *config.Options) { o.TLS.HandshakeFirst = true })
	p := w.dial()
	p.secure()
	p.info()
	p.hello()
	var info sysapi.ConnInfo
	w.conns()[0].Snapshot(&info, time.Now(), true)
	if !info.TLSFirst {
		t.Errorf("%+v", info)
	}
}

func TestTLSFirstAuto(t *testing.T) {
	w := tlsWorld(t, func(o *config.Options) {
		o.TLS.HandshakeFirst, o.TLS.HandshakeFirstFallback = true, 150*time.Millisecond
	})
	p := w.dial()
	p.secure()
	p.info()
	p.hello()
	q := w.dial() // says nothing: the server falls back to INFO
	if in := q.info(); in["tls_required"] != true {
		t.Errorf("%v", in)
	}
	q.secure()
	q.hello()
}

func TestTLSRateLimit(t *testing.T) {
	w := tlsWorld(t, func(o *config.Options) { o.TLS.RateLimit = 1 })
	refused := 0
	for range 5 { // five connections within two seconds: at least two of them are too many
		p := w.dial()
		p.info()
		p.c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		line, err := p.r.ReadString('\n')
		if err == nil {
			refused++
			if line != "-ERR 'Connection throttling is active. Please try again later.'\r\n" {
				t.Errorf("%q", line)
			}
			p.eof()
		}
	}
	if refused < 2 {
		t.Errorf("%d of 5 refused", refused)
	}
	w.log.wait(t, "Client connection closed: Maximum Connections Exceeded")
}

func TestProxyHeader(t *testing.T) {
	w := newWorld(t, func(o *config.Options) { o.ProxyProtocol = true })
	p := w.dial()
	p.send("PROXY TCP4 10.1.2.3 10.0.0.1 4711 4222\r\n")
	if in := p.info(); in["client_ip"] != nil {
		t.Errorf("%v", in)
	}
	p.hello()
	var info sysapi.ConnInfo
	w.conns()[0].Snapshot(&info, time.Now(), false)
	if info.IP != "10.1.2.3" || info.Port != 4711 {
		t.Errorf("%+v", info)
	}
	q := w.dial() // no header
	q.info()
	q.hello()
}
