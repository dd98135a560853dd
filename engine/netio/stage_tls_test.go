package netio

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// testTLS returns configurations of a server and a client that trusts it, for one version.
var testTLS = sync.OnceValue(func() (conf struct{ server, client *tls.Config }) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	conf.server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	conf.client = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	return conf
})

func tlsConfigs(version uint16) (server, client *tls.Config) {
	c := testTLS()
	server, client = c.server.Clone(), c.client.Clone()
	server.MinVersion, server.MaxVersion = version, version
	return server, client
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// dripConn is the property under test in its smallest form: a net.Conn whose Read gives what it was
// fed and otherwise a temporary error.
type dripConn struct {
	net.Conn
	in, out bytes.Buffer
}

func (d *dripConn) Read(b []byte) (int, error) {
	if d.in.Len() == 0 {
		return 0, noBytes{}
	}
	return d.in.Read(b)
}
func (d *dripConn) Write(b []byte) (int, error)      { return d.out.Write(b) }
func (d *dripConn) SetWriteDeadline(time.Time) error { return nil }

// swapConn is a real connection first, for the handshake, and a dripConn after it.
type swapConn struct {
	net.Conn
	drip *dripConn
}

func (s *swapConn) Read(b []byte) (int, error) {
	if s.drip != nil {
		return s.drip.Read(b)
	}
	return s.Conn.Read(b)
}

func (s *swapConn) Write(b []byte) (int, error) {
	if s.drip != nil {
		return s.drip.Write(b)
	}
	return s.Conn.Write(b)
}

// TestTLSTemporaryError pins what tlsStage leans on: crypto/tls does not keep a temporary read error,
// wherever in a record it strikes, in both roles and versions. If a Go release breaks this test, TLS
// connections need a goroutine each (architecture.md, 6.5).
func TestTLSTemporaryError(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for name, version := range tlsVersions {
		for _, serverReads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/server reads %v", name, serverReads), func(t *testing.T) {
				rng := mrand.New(mrand.NewPCG(seed, 0))
				sconf, cconf := tlsConfigs(version)
				a, b := net.Pipe()
				sa, sb := &swapConn{Conn: a}, &swapConn{Conn: b}
				server, client := tls.Server(sa, sconf), tls.Client(sb, cconf)
				done := make(chan error, 1)
				go func() { done <- server.Handshake() }()
				err := client.Handshake()
				if version == tls.VersionTLS13 && err == nil {
					// the session ticket waits in the pipe: let the client see it
					go func() { _, e := server.Write([]byte("x")); done <- e }()
					_, err = io.ReadFull(client, make([]byte, 1))
				}
				if e := <-done; err != nil || e != nil {
					t.Fatal(err, e)
				}
				if version == tls.VersionTLS13 {
					if e := <-done; e != nil {
						t.Fatal(e)
					}
				}
				reader, writer, rs, ws := server, client, sa, sb
				if !serverReads {
					reader, writer, rs, ws = client, server, sb, sa
				}
				rs.drip, ws.drip = &dripConn{}, &dripConn{}
				var sent, got []byte
				buf := make([]byte, 1000)
				for range 300 {
					msg := make([]byte, rng.IntN(40000))
					for i := range msg {
						msg[i] = byte(rng.Uint32())
					}
					sent = append(sent, msg...)
					if _, err := writer.Write(msg); err != nil {
						t.Fatal(err)
					}
					for cipher := ws.drip.out.Next(1 << 30); len(cipher) > 0; {
						n := 1 + rng.IntN(min(len(cipher), 1+rng.IntN(20000)))
						rs.drip.in.Write(cipher[:n])
						cipher = cipher[n:]
						for {
							n, err := reader.Read(buf)
							got = append(got, buf[:n]...)
							if errors.Is(err, noBytes{}) {
								break
							}
							if err != nil {
								t.Fatalf("after %d bytes: %v", len(got), err)
							}
						}
					}
				}
				if !bytes.Equal(sent, got) {
					t.Fatalf("sent %d bytes, got %d", len(sent), len(got))
				}
			})
		}
	}
}

// lendConn is a handshaken connection whose far side is a tlsPipe.
type lendConn struct {
	net.Conn
	p *tlsPipe
}

func (l *lendConn) Read(b []byte) (int, error) {
	if l.p != nil {
		return l.p.Read(b)
	}
	return l.Conn.Read(b)
}

func (l *lendConn) Write(b []byte) (int, error) {
	if l.p != nil {
		return l.p.Write(b)
	}
	return l.Conn.Write(b)
}

// steadyPair returns two stages after their handshake.
func steadyPair(t testing.TB, version uint16) (server, client *tlsStage) {
	sconf, cconf := tlsConfigs(version)
	sconf.DynamicRecordSizingDisabled = true
	a, b := net.Pipe()
	la, lb := &lendConn{Conn: a}, &lendConn{Conn: b}
	server, client = &tlsStage{}, &tlsStage{}
	server.conn, client.conn = tls.Server(la, sconf), tls.Client(lb, cconf)
	done := make(chan error, 1)
	go func() {
		_, err := server.conn.Write([]byte("x")) // the handshake, the ticket, a byte to end on
		done <- err
	}()
	_, err := io.ReadFull(client.conn, make([]byte, 1))
	if e := <-done; err != nil || e != nil {
		t.Fatal(err, e)
	}
	for _, s := range []*tlsStage{server, client} {
		s.pipe.st, s.pipe.steady = s, true
	}
	la.p, lb.p = &server.pipe, &client.pipe
	return server, client
}

// TestTLSStageAllocations: the steady state costs only what crypto/tls itself allocates, a reader of 24
// bytes for each time it looks for a record (one with data, one without).
func TestTLSStageAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	server, client := steadyPair(t, tls.VersionTLS13)
	plain := bytes.Repeat([]byte("x"), 4000)
	dst := make([]byte, 0, 8000)
	emit := func([]byte) error { return nil }
	n := testing.AllocsPerRun(1000, func() {
		var err error
		if dst, err = server.Seal(dst[:0], plain); err != nil {
			t.Fatal(err)
		}
		if err = client.Open(dst, emit); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTLSStage(b *testing.B) {
	server, client := steadyPair(b, tls.VersionTLS13)
	plain := make([]byte, 16<<10)
	dst := make([]byte, 0, 20000)
	emit := func([]byte) error { return nil }
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = server.Seal(dst[:0], plain)
		if err := client.Open(dst, emit); err != nil {
			b.Fatal(err)
		}
	}
}
