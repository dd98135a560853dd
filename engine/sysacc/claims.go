package sysacc

import (
	"net/http"
	"strings"

	"ramjet/engine"
	"ramjet/proto/sysapi"
)

// Claims are the JWTs of accounts in operator mode (reference/auth.md, section 6.1). Lookup, List and Pack are called on the request
// worker; Update and Delete may take their time and answer later, on any goroutine.
type Claims interface {
	// Keeps says what this server keeps: everything, or a cache of what it was asked for, or neither.
	Keeps() (full, cache bool)
	// Lookup returns the JWT of an account, "" when it is not here.
	Lookup(account string) string
	// Update takes a new JWT. account is "" when the request does not name one. what and err make the answer, about is the account.
	Update(account, token string, done func(about, what string, err error))
	// List returns the accounts whose JWTs are kept.
	List() []string
	// Delete removes what a request signed by the operator names.
	Delete(token string, done func(what string, err error))
	// Pack returns `account|JWT` of everything kept, nil when hash is that of the own set.
	Pack(hash []byte) []string
}

const (
	claimsPrefix = "$SYS.REQ.CLAIMS."
	claimsPack   = claimsPrefix + "PACK"
	claimsUpdate = ".CLAIMS.UPDATE"
	claimsLookup = ".CLAIMS.LOOKUP"
	// maxClaims is the largest JWT in a request.
	maxClaims = 1 << 20
)

// changesClaims reports a request that carries a JWT, which is longer than other requests are, and that has a meaning without a reply.
func changesClaims(subj []byte) bool {
	s := string(subj)
	return strings.HasSuffix(s, claimsUpdate) || s == claimsPrefix+"UPDATE" || s == claimsPrefix+"DELETE"
}

// queueOf is the queue group in which the servers listen to a subject, "" for none.
func queueOf(subject string) string {
	if subject == claimsPack {
		return "responder"
	}
	return ""
}

// claimsTable is what can be asked about the JWTs of accounts.
func (s *Service) claimsTable() []entry {
	if s.p.Claims == nil {
		return nil
	}
	t := []entry{
		{"$SYS.ACCOUNT.*" + claimsUpdate, s.updateClaims},
		{accountPrefix + "*" + claimsUpdate, s.updateClaims},
	}
	full, cache := s.p.Claims.Keeps()
	if full || cache {
		t = append(t,
			entry{claimsPrefix + "UPDATE", s.updateClaims},
			entry{claimsPrefix + "LIST", s.listClaims},
			entry{claimsPrefix + "DELETE", s.deleteClaims})
	}
	if full {
		t = append(t,
			entry{accountPrefix + "*" + claimsLookup, s.lookupClaims},
			entry{claimsPack, s.packClaims})
	}
	return t
}

// ClaimsChanged follows a change of what is kept. Control.
func (s *Service) ClaimsChanged() {
	for _, l := range s.heard[s.system] {
		l.local.Unsubscribe(l.sub)
	}
	delete(s.heard, s.system)
	if err := s.Sync(); err != nil {
		s.p.Logger.Logf(engine.Error, "RJ-S044", "System account: %v", err)
	}
}

// lookupClaims answers with a JWT, or with an empty message, so that the asker knows that it is not here.
func (s *Service) lookupClaims(w *worker, r *request) {
	name := strings.TrimSuffix(strings.TrimPrefix(r.subject, accountPrefix), claimsLookup)
	w.publish(r.in, r.reply, "", nil, []byte(s.p.Claims.Lookup(name)))
}

func (s *Service) packClaims(w *worker, r *request) {
	for _, line := range s.p.Claims.Pack(r.body) {
		w.publish(r.in, r.reply, "", nil, []byte(line))
	}
	w.publish(r.in, r.reply, "", nil, nil) // the end, or all of it when both have the same
}

func (s *Service) listClaims(w *worker, r *request) {
	list := s.p.Claims.List()
	s.answer(w, r, &list, nil)
}

func (s *Service) updateClaims(w *worker, r *request) {
	name := ""
	switch {
	case strings.HasPrefix(r.subject, accountPrefix):
		name = strings.TrimSuffix(strings.TrimPrefix(r.subject, accountPrefix), claimsUpdate)
	case strings.HasPrefix(r.subject, "$SYS.ACCOUNT."):
		name = strings.TrimSuffix(strings.TrimPrefix(r.subject, "$SYS.ACCOUNT."), claimsUpdate)
	}
	if r.tooLarge {
		s.claimsDone(w, r, name, "jwt update resulted in error", errTooLarge)
		return
	}
	s.p.Claims.Update(name, string(r.body), func(about, what string, err error) {
		w.push(func(w *worker) { s.claimsDone(w, r, about, what, err) })
	})
}

func (s *Service) deleteClaims(w *worker, r *request) {
	if r.tooLarge {
		s.claimsDone(w, r, "", "delete accounts request failed", errTooLarge)
		return
	}
	s.p.Claims.Delete(string(r.body), func(what string, err error) {
		w.push(func(w *worker) { s.claimsDone(w, r, "", what, err) })
	})
}

// claimsDone logs what became of a request that changes JWTs, and answers it.
func (s *Service) claimsDone(w *worker, r *request, about, what string, err error) {
	if err != nil {
		s.p.Logger.Logf(engine.Error, "RJ-Y004", "JWT of account %q: %s: %v", about, what, err)
	} else {
		s.p.Logger.Logf(engine.Debug, "", "JWT of account %q: %s", about, what)
	}
	if r.reply == "" {
		return
	}
	a := sysapi.Response{Server: *s.serverInfo()}
	if err != nil {
		a.Error = &sysapi.Error{Account: about, Code: http.StatusInternalServerError, Description: what + " - " + err.Error()}
	} else {
		a.Data = &sysapi.ClaimsStatus{Account: about, Code: http.StatusOK, Message: what}
	}
	s.sendIn(w, r.in, r.reply, "", r.accept, &a)
}
