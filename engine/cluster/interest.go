package cluster

import (
	"strings"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/subject"
	"ramjet/proto/wire"
)

// follow is a route that follows the interest of one account.
type follow struct {
	unfollow func()
	perms    *perms // as they were when it began
}

func (f *follow) stop() {
	if f.unfollow != nil {
		f.unfollow()
	}
}

// noOrigin stands for leafnodes that say no cluster.
const noOrigin = "_"

// leafLink is what is asked of a leafnode connection: the cluster that its interest comes from, and whether it is
// told to the own cluster at all.
type leafLink interface {
	InterestOrigin() (cluster string, announced bool)
}

// class says which subscriptions other servers of the cluster are told of: those that end here, those of importers of
// streams and answers to services (what else is imported is looked after by every server itself), and of leafnodes.
func class(s *interest.Sub) (origin string, counts bool) {
	switch s.Kind() {
	case engine.Client, engine.System, engine.JetStream:
		return "", true
	case engine.Import:
		_, service := s.Sink().(*account.Service)
		return "", !service
	case engine.Leaf:
		l, ok := s.Sink().(leafLink)
		if !ok {
			return noOrigin, true
		}
		cluster, told := l.InterestOrigin()
		if cluster == "" {
			cluster = noOrigin
		}
		return cluster, told
	}
	return "", false
}

// ledger returns the ledger of a. Requires mu.
func (s *Service) ledger(a *account.Account) *interest.Ledger {
	l := s.ledgers[a]
	if l == nil {
		var err error
		if l, err = interest.NewLedger(a.Index(), class); err != nil {
			s.env.Logger.Logf(engine.Error, "RJ-R011", "Interest of account %q is not announced to the cluster: %v", a.Name(), err)
			return nil
		}
		s.ledgers[a] = l
	}
	return l
}

// follow makes r announce the interest of every account that it carries. Any goroutine.
func (s *Service) follow(r *Route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followLocked(r)
}

// followLocked requires mu.
func (s *Service) followLocked(r *Route) {
	if p := s.peers[r.remoteID]; p == nil || r.Closed() {
		return
	}
	if r.follows == nil {
		r.follows = map[*account.Account]*follow{}
	}
	if r.acct != nil {
		s.followAccount(r, r.acct)
		return
	}
	s.env.Accounts.Range(func(a *account.Account) bool {
		if s.carries(r, a) {
			s.followAccount(r, a)
		}
		return true
	})
}

// followAccount requires mu.
func (s *Service) followAccount(r *Route, a *account.Account) {
	if r.follows[a] != nil {
		return
	}
	l := s.ledger(a)
	if l == nil {
		return
	}
	own := s.perms
	tell := r.teller(a, own)
	r.follows[a] = &follow{perms: own, unfollow: l.Follow(interest.Follower{ByOrigin: true, Tell: tell})}
}

// teller returns what announces changes of a's interest.
func (r *Route) teller(a *account.Account, own *perms) func(interest.Change) {
	name := a.Name()
	if r.account != "" {
		name = ""
	}
	return func(c interest.Change) {
		if !own.canImport(c.Subject) {
			return
		}
		s := wire.RouteSub{Account: name, Subject: c.Subject, Queue: c.Queue, Weight: c.Weight, Origin: r.origin(c.Origin)}
		s.Unnamed = !r.lnocu
		if c.Queue != "" && r.weights.defers(a, &c, func() { r.tell(&s) }, r.later) {
			return
		}
		r.tell(&s)
	}
}

// tell announces interest. Any goroutine.
func (r *Route) tell(s *wire.RouteSub) {
	var scratch [512]byte
	b := wire.AppendRouteSub(scratch[:0], s)
	r.Announce(b)
	if r.Env().Logger.Enabled(engine.Trace) {
		r.Logf(engine.Trace, "", "->> [%s]", b[:len(b)-2])
	}
}

// later flushes weights after a moment. Any goroutine.
func (r *Route) later() {
	l := r.Net().Loop()
	l.Post(func() { l.After(weightDelay, r.weights.flush) })
}

// origin is how the other server can be told of origin.
func (r *Route) origin(origin string) string {
	if origin == noOrigin && !r.ln || !r.lnoc {
		return ""
	}
	return origin
}

// SyncAccounts follows a change of the set of accounts or of what has connections of its own. Control.
func (s *Service) SyncAccounts() {
	s.mu.Lock()
	live := map[*account.Account]bool{}
	s.env.Accounts.Range(func(a *account.Account) bool { live[a] = true; return true })
	var all []*Route
	for _, p := range s.peers {
		all = append(all, p.routes()...)
	}
	for _, r := range all {
		for a, f := range r.follows {
			if !live[a] || !s.carries(r, a) {
				f.stop()
				delete(r.follows, a)
				s.withdraw(r, a, f.perms)
			}
		}
		s.followLocked(r)
	}
	for a, l := range s.ledgers {
		if !live[a] {
			l.Close()
			delete(s.ledgers, a)
		}
	}
	ids := make([]string, 0, len(s.peers))
	for id := range s.peers {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, r := range all {
		r.on(r.adopt)
	}
	for _, id := range ids {
		s.mend(id)
	}
}

// withdraw takes back what r has announced of a. Requires mu.
func (s *Service) withdraw(r *Route, a *account.Account, was *perms) {
	l := s.ledgers[a]
	if l == nil {
		return
	}
	tell := r.teller(a, was)
	l.Range(func(c interest.Change) bool {
		c.Weight = 0
		tell(c)
		return true
	})
}

// lookup returns the account that an operation is about, nil when there is none of that name.
func (r *Route) lookup(name []byte) *account.Account {
	if r.acct != nil {
		return r.acct
	}
	if r.last != nil && string(name) == r.byName {
		if r.Env().Accounts.Lookup(r.byName) == r.last {
			return r.last
		}
	}
	a := r.Env().Accounts.Lookup(subject.View(name))
	if a != nil {
		r.last, r.byName = a, a.Name()
	}
	return a
}

// sid makes the key of interest that the other server announces: account, origin, subject and queue group.
func (r *Route) sid(op *wire.Op) []byte {
	k := r.key[:0]
	if r.acct != nil {
		k = append(k, r.account...)
	} else {
		k = append(k, op.Account...)
	}
	k = append(append(k, ' '), op.Origin...)
	k = append(append(k, ' '), op.Subject...)
	if len(op.Queue) > 0 {
		k = append(append(k, ' '), op.Queue...)
	}
	r.key = k
	return k
}

// onSub notes interest of the other server.
func (r *Route) onSub(op *wire.Op) {
	a := r.lookup(op.Account)
	if a == nil {
		r.Logf(engine.Debug, "", "Unknown account %q for remote subject %q", op.Account, op.Subject)
		r.keepUnknown(op)
		return
	}
	if !r.svc.currentPerms().canExport(op.Subject) {
		r.Logf(engine.Debug, "", "Can not export %q, ignoring remote subscription request", op.Subject)
		return
	}
	if len(op.Origin) > 0 && !r.lnocu && !r.origins[string(op.Origin)] {
		if r.origins == nil {
			r.origins = map[string]bool{}
		}
		r.origins[string(op.Origin)] = true
	}
	sid := r.sid(op)
	old := r.subs.Get(sid)
	if old != nil && (len(op.Queue) == 0 || old.Weight() == op.Weight) {
		return
	}
	s := interest.NewSub(op.Subject, op.Queue, sid, op.Weight, r)
	var err error
	if old != nil {
		r.subs.Delete(sid)
		err = a.Index().Replace(old, s)
	} else {
		err = a.Index().Insert(s)
		r.nremote.Add(1)
	}
	if err != nil {
		r.nremote.Add(-1)
		r.Logf(engine.Error, "RJ-R012", "Subscription %q of another server: %v", op.Subject, err)
		return
	}
	r.subs.Put(s)
}

// onUnsub forgets interest of the other server.
func (r *Route) onUnsub(op *wire.Op) {
	if op.Origin != nil && len(op.Origin) == 0 { // it is that of one of those named before
		for o := range r.origins {
			op.Origin = []byte(o)
			if r.subs.Get(r.sid(op)) != nil {
				break
			}
		}
	}
	s := r.subs.Delete(r.sid(op))
	if s == nil {
		delete(r.unknown, string(r.sid(op)))
		return
	}
	r.nremote.Add(-1)
	if a := r.lookup(op.Account); a != nil {
		a.Index().Remove(s)
	} else {
		r.unindex(s)
	}
}

// maxUnknown bounds the interest that a route keeps for accounts that are not known yet.
const maxUnknown = 64 << 10

// keepUnknown keeps interest for an account that a resolver may bring later.
func (r *Route) keepUnknown(op *wire.Op) {
	if r.svc.options().Resolver == nil || len(r.unknown) >= maxUnknown {
		return
	}
	if r.unknown == nil {
		r.unknown = map[string]*interest.Sub{}
	}
	sid := r.sid(op)
	r.unknown[string(sid)] = interest.NewSub(op.Subject, op.Queue, sid, op.Weight, r)
}

// adopt notes the interest that was kept for accounts that exist now.
func (r *Route) adopt() {
	for sid, s := range r.unknown {
		a := r.Env().Accounts.Lookup(sid[:accountLen(sid)])
		if a == nil {
			continue
		}
		delete(r.unknown, sid)
		if r.svc.currentPerms().canExport([]byte(s.Subject())) && r.subs.Get([]byte(sid)) == nil && a.Index().Insert(s) == nil {
			r.subs.Put(s)
			r.nremote.Add(1)
		}
	}
}

// unindex removes s from the index of its account, which a reload may have removed.
func (r *Route) unindex(s *interest.Sub) {
	s.Close()
	name, _, _ := strings.Cut(s.SID(), " ")
	if a := r.Env().Accounts.Known(name); a != nil {
		a.Index().Remove(s)
	}
}

// dropAccount forgets what the other server announced of one account.
func (r *Route) dropAccount(name string) {
	var gone []*interest.Sub
	r.subs.Range(func(s *interest.Sub) bool {
		if a, _, _ := strings.Cut(s.SID(), " "); a == name {
			gone = append(gone, s)
		}
		return true
	})
	for _, s := range gone {
		r.subs.Delete([]byte(s.SID()))
		r.nremote.Add(-1)
		r.unindex(s)
	}
}

// dropBatch is how many subscriptions leave the indexes in one task of the loop.
const dropBatch = 2048

// dropSubs forgets everything that the other server announced here, large sets in slices of the loop's time.
func (r *Route) dropSubs() {
	all := make([]*interest.Sub, 0, r.subs.Len())
	r.subs.Range(func(s *interest.Sub) bool {
		s.Close()
		all = append(all, s)
		return true
	})
	r.subs = interest.SidTable{}
	r.nremote.Store(0)
	r.dropSome(all)
}

func (r *Route) dropSome(all []*interest.Sub) {
	n := min(len(all), dropBatch)
	for _, s := range all[:n] {
		r.unindex(s)
	}
	rest := all[n:]
	if len(rest) == 0 {
		return
	}
	if !r.Net().Loop().PostFrom(r.LoopID(), func() { r.dropSome(rest) }) {
		for _, s := range rest { // the loops have stopped: nobody is kept waiting
			r.unindex(s)
		}
	}
}

// currentPerms returns the permissions in force. Any goroutine.
func (s *Service) currentPerms() *perms {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.perms
}
