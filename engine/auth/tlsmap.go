package auth

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"

	"ramjet/engine"
)

// dnUser is a user whose name is a distinguished name.
type dnUser struct {
	name dn
	*entry
}

var oidDC = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}

// certUser returns the user that the client's certificate names: the first match among email
// addresses, DNS names, URIs, subject as distinguished name (in order, then in any order), subject text
// with domain components, subject text (reference/auth.md, section 1). Users not allowed on the
// connection type are passed over. nil when none matches or no certificate came.
func (u *users) certUser(state *tls.ConnectionState, t engine.ConnType) *entry {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	cert := state.PeerCertificates[0]
	named := func(name string) *entry {
		if e := u.byName[name]; name != "" && e != nil && e.allows(t) {
			return e
		}
		return nil
	}
	for _, s := range cert.EmailAddresses {
		if e := named(s); e != nil {
			return e
		}
	}
	for _, s := range cert.DNSNames {
		if e := named(s); e != nil {
			return e
		}
	}
	for _, uri := range cert.URIs {
		if e := named(uri.String()); e != nil {
			return e
		}
	}
	if name, ok := subjectDN(cert.RawSubject); ok {
		if e := u.dnUser(name, t); e != nil {
			return e
		}
	}
	text := cert.Subject.ToRDNSequence().String()
	if dcs := domainComponents(cert.RawSubject); dcs != "" {
		if e := named(text + "," + dcs); e != nil {
			return e
		}
	}
	return named(text)
}

func (u *users) dnUser(name dn, t engine.ConnType) *entry {
	for _, same := range []func(a, b dn) bool{dn.equal, dn.sameRDNs} {
		for _, d := range u.byDN {
			if d.allows(t) && same(d.name, name) {
				return d.entry
			}
		}
	}
	return nil
}

// domainComponents returns "DC=a,DC=b" for the domain components of a subject, in certificate order,
// which crypto/x509 leaves out of the subject's text.
func domainComponents(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return ""
	}
	var dcs []string
	for _, set := range seq {
		for _, a := range set {
			if v, ok := a.Value.(string); ok && a.Type.Equal(oidDC) {
				dcs = append(dcs, "DC="+v)
			}
		}
	}
	return strings.Join(dcs, ",")
}
