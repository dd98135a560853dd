package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeCert makes a self-signed certificate and returns the names of its files.
func writeCert(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	for file, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: kb}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "a")
	cert2, key2 := writeCert(t, dir, "b")
	pin := strings.Repeat("AB", 32)
	o := mustLoad(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify_and_map: true, timeout: 0.5, pinned_certs: [%q], connection_rate_limit: 7, first: auto, min_version: \"1.3\" }", cert, key, cert, pin))
	c := o.TLS.Config
	if len(c.Certificates) != 1 || c.Certificates[0].Leaf == nil || c.ClientAuth != tls.RequireAndVerifyClientCert || c.ClientCAs == nil || c.RootCAs != nil || c.MinVersion != tls.VersionTLS13 {
		t.Errorf("%+v", c)
	}
	if o.TLS.Timeout != 500*time.Millisecond || o.TLS.RateLimit != 7 || !o.TLS.HandshakeFirst || o.TLS.HandshakeFirstFallback != 50*time.Millisecond || !o.TLS.Verify {
		t.Errorf("%+v", o.TLS)
	}
	if _, ok := o.TLS.PinnedCerts[strings.ToLower(pin)]; !ok {
		t.Errorf("%v", o.TLS.PinnedCerts)
	}

	plain := mustLoad(t, fmt.Sprintf("tls { certs: [ { cert_file: %q, key_file: %q }, { cert_file: %q, key_file: %q } ] }", cert, key, cert2, key2)).TLS.Config
	if len(plain.Certificates) != 2 || plain.MinVersion != tls.VersionTLS12 || plain.ClientAuth != tls.NoClientCert || !slices.Equal(plain.CurvePreferences, curves) || len(plain.CipherSuites) != len(tls.CipherSuites()) {
		t.Errorf("%+v", plain)
	}
	chosen := mustLoad(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA], allow_insecure_cipher_suites: true, curve_preferences: [X25519, CurveP256] }", cert, key)).TLS.Config
	if !slices.Equal(chosen.CipherSuites, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}) || !slices.Equal(chosen.CurvePreferences, []tls.CurveID{tls.X25519, tls.CurveP256}) {
		t.Errorf("%+v", chosen)
	}
	route := mustLoad(t, fmt.Sprintf("cluster { port: 1, tls { cert_file: %q, key_file: %q, ca_file: %q, verify_cert_and_check_known_urls: true } }", cert, key, cert)).Cluster.TLS
	if !route.Verify || !route.KnownURLs || route.Config.RootCAs == nil || route.Config.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("%+v", route)
	}

	for text, want := range map[string]string{
		fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key2):                                                               "error parsing X509 certificate/key pair: tls: private key does not match public key",
		fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q }", cert, key, key):                                              "failed to parse root ca certificate",
		fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: nope }", cert, key):                                                 "open nope: no such file or directory",
		fmt.Sprintf("tls { certs: [ { cert_file: %q, key_file: %q }, { cert_file: x, key_file: y } ] }", cert, key):                  "error parsing X509 certificate/key pair 2/2: open x",
		fmt.Sprintf("tls { cert_file: %q, key_file: %q, certs: [ { cert_file: x, key_file: y } ] }", cert, key):                      "cannot combine 'cert_file' option with 'certs' option",
		fmt.Sprintf("tls { cert_file: %q, key_file: %q, verify_cert_and_check_known_urls: true }", cert, key):                        "verify_cert_and_check_known_urls not supported in this context",
		fmt.Sprintf("leafnodes { port: 1, tls { cert_file: %q, key_file: %q, verify_cert_and_check_known_urls: true } }", cert, key): "verify_cert_and_check_known_urls not supported in this context",
	} {
		if got := report(text); !strings.Contains(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestRenewedCertificate: a certificate replaced under the same name is a change.
func TestRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "a")
	text := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q }", cert, key, cert)
	before := mustLoad(t, text)
	if p := Diff(before, mustLoad(t, text)); len(p.Changes()) > 0 {
		t.Errorf("%+v", p)
	}
	writeCert(t, dir, "a")
	if p := Diff(before, mustLoad(t, text)); len(p.Listener) != 1 || p.Listener[0].Line != "Reloaded: tls = enabled" {
		t.Errorf("%+v", p)
	}
}

func TestTLSFlags(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "a")
	fl, err := ParseFlags("ramjet", []string{"--tlsverify", "--tlscert", cert, "--tlskey=" + key, "--tlscacert", cert})
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := Load("", fl)
	if err != nil || o.TLS == nil || o.TLS.Config.ClientAuth != tls.RequireAndVerifyClientCert || o.Auth.Timeout != 3*time.Second {
		t.Fatalf("%+v %v", o, err)
	}
	first := o.TLS.Config.Certificates[0].Certificate[0]
	writeCert(t, dir, "a")
	if o, _, _ = Load("", fl); string(o.TLS.Config.Certificates[0].Certificate[0]) == string(first) {
		t.Error("the certificate is not read again")
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if o, _, _ = Load("", fl); o.TLS.Config == nil {
		t.Error("no certificate after its file is gone")
	}
}
