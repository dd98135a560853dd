package auth

import (
	"strconv"

	"ramjet/engine/netio"
)

// attempt is a request with the identity it claims and what is left to prove.
type attempt struct {
	req   *Request
	rules *rules
	// entry is the claimed identity; nil: nobody (denied), unless open.
	entry *entry
	open  bool // no credentials needed
	byJWT bool // operator mode: userChecks decide
	// proven is what the user JWT has proven before.
	proven *userProof
	// user is the configured user taken from the certificate, for logs.
	user string
	// secret, when not nil, is compared with given. Without an entry it is a decoy, so that an
	// unknown user takes as long as a known one.
	secret *secret
	given  string
	known  bool // bcrypt accepted the pair before
	sign   bool // the nonce must be signed with the entry's key
	proxy  bool // a trusted proxy is to be identified by its signature
	// signed and proxyKey are what was proven before.
	signed   bool
	proxyKey string
	warn     string
	// rechecked: the connection was let in before and holds a place in its account.
	rechecked bool
	fetched   bool // its account was asked for
}

type cost uint8

const (
	costNothing cost = iota
	costSignature
	costHash
)

// cost says what finish will take.
func (at *attempt) cost() cost {
	if at.byJWT && at.proven == nil {
		return costSignature
	}
	if at.entry != nil && at.entry.proxyRequired && !at.proxy && at.proxyKey == "" {
		return costNothing // refused before any proof
	}
	switch {
	case at.secret != nil && at.secret.bcrypt && !at.known:
		return costHash
	case at.sign && !at.signed, at.proxy:
		return costSignature
	}
	return costNothing
}

// credit takes what was proven before off what is left to prove.
func (at *attempt) credit(p *proof) {
	at.signed, at.proven = p.signed, p.user
	if p.proxy != "" {
		at.proxy, at.proxyKey = false, p.proxy
	}
	if at.entry != nil && at.secret != nil && at.secret.bcrypt && at.secret.text == p.hash {
		at.known = true
	}
}

// resolve finds the identity that req claims, in the order of reference/auth.md, section 1.
func (a *Authenticator) resolve(req *Request) attempt {
	r, c := &a.rules[req.Listener], &req.Connect
	at := attempt{req: req, rules: r, proxy: c.ProxySig != "" && len(a.proxies) > 0}
	if at.byJWT = a.operator != nil; at.byJWT {
		return at
	}
	if !r.required {
		at.open = true
		return at
	}
	noAuth := a.noAuth(r, req.ConnType)
	empty := c.User == "" && c.Pass == "" && c.Token == ""
	switch {
	case len(r.users.byNkey) > 0 && (c.Nkey != "" || empty && r.users.byNkey[noAuth] != nil):
		at.claimNkey(c.Nkey, noAuth)
	case r.tlsMap && len(r.users.byName) > 0:
		at.claimCertificate()
	case empty && r.noAuthEntry(noAuth) != nil:
		at.claim(r.noAuthEntry(noAuth))
	case len(r.users.byName) > 0 && c.User != "":
		at.claimUser(noAuth)
	case r.single != nil:
		at.claimSingle()
	}
	if at.secret != nil && at.secret.bcrypt && at.entry != nil {
		at.known = a.verified.has(at.secret.text, at.given)
	}
	return at
}

// claim sets the identity if it is allowed on this type of connection.
func (at *attempt) claim(e *entry) bool {
	if e == nil || !e.allows(at.req.ConnType) {
		return false
	}
	at.entry = e
	return true
}

// claimNkey is for a connection that sent an nkey, or nothing while no_auth_user is an nkey; that one
// needs no signature.
func (at *attempt) claimNkey(nkey, noAuth string) {
	if nkey == "" {
		nkey = noAuth
	}
	at.sign = at.claim(at.rules.users.byNkey[nkey]) && nkey != noAuth
}

// claimCertificate takes the user from the TLS certificate; a user in CONNECT does not count. If the
// configured user has a password too it must be presented.
func (at *attempt) claimCertificate() {
	e := at.rules.users.certUser(at.req.TLS, at.req.ConnType)
	if !at.claim(e) {
		return
	}
	if c := at.req.Connect.User; c != "" {
		at.warn = "User " + strconv.Quote(c) + " found in connect proto, but user required from cert"
	}
	at.user = e.user.Name
	at.secret, at.given = &e.pass, at.req.Connect.Pass
}

// claimUser is for a user name in CONNECT.
func (at *attempt) claimUser(noAuth string) {
	c := &at.req.Connect
	at.given = c.Pass
	if !at.claim(at.rules.users.byName[c.User]) {
		at.secret = at.rules.users.decoy
		return
	}
	if at.entry.certOnly && c.User != noAuth {
		at.entry = nil // a user without password, known by certificate on another listener
		return
	}
	at.secret = &at.entry.pass
}

// claimSingle is for the one token or user of a listener.
func (at *attempt) claimSingle() {
	s, c := at.rules.single, &at.req.Connect
	at.secret, at.given = &s.pass, c.Pass
	if s.token {
		at.given = c.Token
	} else if s.user.Name != c.User {
		return // the secret is the decoy
	}
	at.entry = s
}

// finish proves what is left and answers. On the pool unless cost is costNothing.
func (a *Authenticator) finish(at *attempt) Result {
	c := &at.req.Connect
	if at.proxy {
		if at.proxyKey = a.proxies.signer(at.req.Nonce, c.ProxySig); at.proxyKey == "" {
			return at.denied(netio.ReasonProxyNotTrusted)
		}
	}
	if at.byJWT {
		return a.finishUser(at)
	}
	if at.open {
		return at.granted(a.anyone(at))
	}
	e := at.entry
	if e != nil && e.proxyRequired && at.proxyKey == "" {
		return at.denied(netio.ReasonProxyRequired)
	}
	if e != nil && at.sign && !at.signed {
		if !verifySignature(e.key, at.req.Nonce, c.Sig) {
			return at.denied(netio.ReasonAuthFailure)
		}
		at.signed = true
	}
	if at.secret != nil && !at.known {
		ok := at.secret.matches(at.given)
		if e == nil || !ok {
			return at.denied(netio.ReasonAuthFailure)
		}
		if at.secret.bcrypt {
			a.verified.put(at.secret.text, at.given)
		}
	}
	if e == nil {
		return at.denied(netio.ReasonAuthFailure)
	}
	return at.granted(e.user)
}

// granted is the answer for u; it notes in the request what was proven.
func (at *attempt) granted(u *User) Result {
	p := proof{signed: at.signed, proxy: at.proxyKey, user: at.proven}
	if at.secret != nil && at.secret.bcrypt {
		p.hash = at.secret.text
	}
	if p != (proof{}) {
		at.req.proof.Store(&p)
	}
	if at.proxyKey != "" {
		with := *u
		with.ProxyKey = at.proxyKey
		u = &with
	}
	return Result{User: u, Warn: at.warn}
}

func (at *attempt) denied(r netio.Reason) Result {
	return Result{Reason: r, Warn: at.warn, Log: failure(at)}
}

// anyone is the user of a connection that needs no credentials: monitoring and logs still show what
// it calls itself.
func (a *Authenticator) anyone(at *attempt) *User {
	u := at.rules.anonymous
	name, label := claimed(at)
	if name == "" {
		return u
	}
	called := *u
	called.Name, called.Label = name, labelOf(u.Account, label)
	return &called
}
