package ocsp

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

var errNotDelegated = errors.New("OCSP response signer missing authorization by CA to act as OCSP signer")

// parse decodes a response about leaf and checks that issuer, or somebody issuer authorised (RFC 6960,
// section 4.2.2.2), signed it.
func parse(raw []byte, leaf, issuer *x509.Certificate) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(raw, leaf, issuer)
	if err != nil {
		return nil, err
	}
	if !authorised(r, issuer) {
		return nil, errNotDelegated
	}
	return r, nil
}

// authorised reports whether the signer of r may answer for issuer: it is issuer, or a certificate of
// issuer (the library checked that) that is marked for OCSP signing (the library does not).
func authorised(r *ocsp.Response, issuer *x509.Certificate) bool {
	c := r.Certificate
	return c == nil || c.Equal(issuer) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
}

// inForce says why a response does not hold at now, give or take skew; nil when it does. ttl is how long
// one holds that names no next update; 0 = for ever.
func inForce(r *ocsp.Response, now time.Time, skew, ttl time.Duration) error {
	until, what := r.NextUpdate, "NextUpdate"
	if until.IsZero() && ttl > 0 {
		until, what = r.ThisUpdate.Add(ttl), "cache expiry"
	}
	if !until.IsZero() && until.Before(now.Add(-skew)) {
		return fmt.Errorf("invalid ocsp %s, is past time: %s", what, until.Format(time.RFC3339Nano))
	}
	if r.ThisUpdate.After(now.Add(skew)) {
		return fmt.Errorf("invalid ocsp ThisUpdate, is future time: %s", r.ThisUpdate.Format(time.RFC3339Nano))
	}
	return nil
}

// statusName is the word for a status; what is not known is unknown, never good.
func statusName(status int) string {
	switch status {
	case ocsp.Good:
		return "good"
	case ocsp.Revoked:
		return "revoked"
	}
	return "unknown"
}

// MustStaple reports whether a certificate demands a staple (RFC 7633, status_request).
func MustStaple(c *x509.Certificate) bool {
	const statusRequest = 5
	feature := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	for _, ext := range c.Extensions {
		if !ext.Id.Equal(feature) {
			continue
		}
		var features []int
		rest, err := asn1.Unmarshal(ext.Value, &features)
		return err == nil && len(rest) == 0 && slices.Contains(features, statusRequest)
	}
	return false
}

// Fingerprint names a certificate in events and in the cache: base64 of the SHA-256 of its DER.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// SubjectName and IssuerName are the distinguished names as logs and events show them.
func SubjectName(c *x509.Certificate) string { return c.Subject.ToRDNSequence().String() }

// IssuerName is the name of the CA of c; see SubjectName.
func IssuerName(c *x509.Certificate) string { return c.Issuer.ToRDNSequence().String() }

// webResponders are the usable ones of a certificate's responder addresses.
func webResponders(c *x509.Certificate) []string {
	var list []string
	for _, s := range c.OCSPServer {
		if u, err := url.ParseRequestURI(s); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			list = append(list, s)
		}
	}
	return list
}

// issuerOf finds who issued the first certificate of chain: the second one of it, else among roots (nil =
// those of the system).
func issuerOf(chain []*x509.Certificate, roots *x509.CertPool) (*x509.Certificate, error) {
	var issuer *x509.Certificate
	if len(chain) > 1 {
		if chain[0].CheckSignatureFrom(chain[1]) == nil {
			issuer = chain[1]
		} else if chain[1].CheckSignature(chain[0].SignatureAlgorithm, chain[0].RawTBSCertificate, chain[0].Signature) == nil {
			return nil, fmt.Errorf("%s invalid ca basic constraints: is not ca", chain[1].Subject)
		}
	} else if len(chain) == 1 {
		opts := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if chains, err := chain[0].Verify(opts); err == nil && len(chains) > 0 && len(chains[0]) > 1 {
			issuer = chains[0][1]
		}
	}
	if issuer == nil {
		return nil, errors.New("no issuers found")
	}
	if !issuer.IsCA {
		return nil, fmt.Errorf("%s invalid ca basic constraints: is not ca", issuer.Subject)
	}
	return issuer, nil
}
