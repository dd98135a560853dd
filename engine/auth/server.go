package auth

import "ramjet/engine/netio"

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
