package ocsp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"ramjet/engine"
	"ramjet/engine/config"
)

// NeedsStaple decides whether a certificate is stapled, and whether a status that is not good ends the
// server: always = every certificate, and ends; must = those that demand a staple, and ends; auto, and
// without an ocsp block, those that demand one; never = none.
func NeedsStaple(o *config.OCSPOptions, leaf *x509.Certificate) (staple, enforce bool) {
	must := MustStaple(leaf)
	if o == nil {
		return must, false
	}
	switch o.Mode {
	case "always":
		return true, true
	case "must":
		return must, must
	case "never":
		return false, false
	}
	return must, false
}

// Staplers returns the staplers for the certificates of one TLS block, by index, nil where none is
// needed; c is the rest of their configuration.
func Staplers(o *config.OCSPOptions, t *config.TLSOptions, c StaplerConfig) ([]*Stapler, error) {
	list := make([]*Stapler, len(t.Config.Certificates))
	for i, cert := range t.Config.Certificates {
		file := t.CertFile
		if i < len(t.Certs) {
			file = t.Certs[i].CertFile
		}
		chain, err := parseChain(&cert)
		if err != nil {
			return nil, err
		}
		cert.Leaf = chain[0]
		staple, enforce := NeedsStaple(o, cert.Leaf)
		if !staple {
			if MustStaple(cert.Leaf) {
				c.Logger.Logf(engine.Warn, "RJ-O004", "Certificate at '%s' has MustStaple but OCSP is disabled", file)
			}
			continue
		}
		roots := t.Config.ClientCAs
		if t.CAFile == "" {
			roots = nil
		}
		c := c
		c.Cert, c.CertFile, c.Enforce = cert, file, enforce
		if c.Issuer, err = issuerOf(chain, roots); err != nil {
			return nil, err
		}
		if o != nil {
			c.URLs = o.URLs
		}
		list[i] = NewStapler(c)
	}
	return list, nil
}

func parseChain(cert *tls.Certificate) ([]*x509.Certificate, error) {
	if len(cert.Certificate) == 0 {
		return nil, fmt.Errorf("no certificate found")
	}
	var chain []*x509.Certificate
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("failed to parse cert: %w", err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}
