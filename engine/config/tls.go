package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// BuildTLS reads the files of t and returns the configuration it describes. trust says that the
// connection also verifies servers with ca_file: routes, gateways and solicited connections.
func BuildTLS(t *TLSOptions, trust bool) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         max(t.MinVersion, tls.VersionTLS12),
		CipherSuites:       t.CipherSuites,
		CurvePreferences:   t.Curves,
		InsecureSkipVerify: t.Insecure, // asked for by the operator
	}
	if len(c.CurvePreferences) == 0 {
		c.CurvePreferences = slices.Clone(curves)
	}
	if err := checkCiphers(t); err != nil {
		return nil, err
	}
	if len(c.CipherSuites) == 0 {
		for _, s := range tls.CipherSuites() {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	var err error
	if c.Certificates, err = loadCertificates(t); err != nil {
		return nil, err
	}
	if t.Verify {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("failed to parse root ca certificate")
		}
		c.ClientCAs = pool
		if trust {
			c.RootCAs = pool
		}
	}
	return c, nil
}

func checkCiphers(t *TLSOptions) error {
	if t.AllowInsecureCiphers {
		return nil
	}
	var bad []uint16
	for _, s := range tls.InsecureCipherSuites() {
		if slices.Contains(t.CipherSuites, s.ID) {
			bad = append(bad, s.ID)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: %s", suiteNames(bad))
	}
	return nil
}

func loadCertificates(t *TLSOptions) ([]tls.Certificate, error) {
	pairs := t.Certs
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return nil, errors.New("missing 'key_file' in TLS configuration")
	case t.CertFile == "" && t.KeyFile != "":
		return nil, errors.New("missing 'cert_file' in TLS configuration")
	case t.CertFile != "":
		pairs = []CertPair{{t.CertFile, t.KeyFile}}
	}
	var list []tls.Certificate
	for i, p := range pairs {
		which := ""
		if len(t.Certs) > 0 {
			which = fmt.Sprintf(" %d/%d", i+1, len(pairs))
		}
		cert, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("error parsing X509 certificate/key pair%s: %w", which, err)
		}
		if cert.Leaf == nil {
			if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
				return nil, fmt.Errorf("error parsing certificate%s: %w", which, err)
			}
		}
		list = append(list, cert)
	}
	return list, nil
}
