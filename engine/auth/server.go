package auth

import (
	"crypto/tls"
	"net/url"
	"slices"
	"strings"

	"ramjet/engine/netio"
)

// CheckServer says whether another server presented the user and password configured for routes or gateways. A plain
// password is compared before CheckServer returns; a hash on pool, where done is called then, after other
// hashes; when too many wait already the answer is no. Never blocks.
func (a *Authenticator) CheckServer(user, pass, givenUser, givenPass string, pool *netio.Pool, done func(ok bool)) {
	s := newSecret(pass)
	if user != givenUser { // the name is no secret
		done(false)
		return
	}
	if !s.bcrypt {
		done(s.equal(givenPass))
		return
	}
	if a.verified.has(s.text, givenPass) {
		done(true)
		return
	}
	job := func() {
		ok := s.matches(givenPass)
		if ok {
			a.verified.put(s.text, givenPass)
		}
		done(ok)
	}
	if !a.hashes.submit(pool, job, maxJobs) {
		done(false)
	}
}

// NamedByURL reports whether the certificate of a peer has a DNS name that is the host of one of urls: label by label,
// `*` in the place of the first one. Any goroutine.
func NamedByURL(st *tls.ConnectionState, urls []*url.URL) bool {
	if st == nil || len(st.PeerCertificates) == 0 {
		return false
	}
	for _, name := range st.PeerCertificates[0].DNSNames {
		for _, u := range urls {
			if sameHost(name, u.Hostname()) {
				return true
			}
		}
	}
	return false
}

func sameHost(pattern, host string) bool {
	p, h := strings.Split(strings.ToLower(pattern), "."), strings.Split(strings.ToLower(host), ".")
	if len(p) != len(h) {
		return false
	}
	for i := range p {
		if p[i] != h[i] && (i > 0 || p[i] != "*") {
			return false
		}
	}
	return true
}

// NamedBy reports whether the certificate of a peer names user: as an email address, a DNS name, a URI, or with its
// subject. Any goroutine.
func NamedBy(st *tls.ConnectionState, user string) bool {
	if st == nil || len(st.PeerCertificates) == 0 || user == "" {
		return false
	}
	cert := st.PeerCertificates[0]
	if slices.Contains(cert.EmailAddresses, user) || slices.Contains(cert.DNSNames, user) {
		return true
	}
	for _, u := range cert.URIs {
		if u.String() == user {
			return true
		}
	}
	return cert.Subject.ToRDNSequence().String() == user
}
