package server

import (
	"slices"
	"sync"

	"ramjet/engine/account"
	"ramjet/engine/interest"
)

// watchSet tells who asked for it whether somebody listens on a subject. Any goroutine.
type watchSet struct {
	mu       sync.Mutex // guards the map; taken before the mutex of an account's watches
	accounts map[*account.Account]*accountWatches
}

// accountWatches are the watches of one account, by their subject.
type accountWatches struct {
	index *interest.Index
	stop  func()

	mu sync.RWMutex // leaf
	by map[string][]*watch
	n  int
}

// watch is one question.
type watch struct {
	subject, queue string
	fn             func(on bool)

	mu   sync.Mutex // held while fn runs, so that the last call tells the last state
	on   bool
	told bool
	gone bool
}

// Watch tells the present interest in subject and every change of it: of the members of the queue group, if queue is set, else of
// subscribers without one; JetStream's own count, mirrors listen too. As with nats-server, wildcards do not count. fn is called by any goroutine, must not block, and is not
// called after cancel returned.
func (h *busHub) Watch(name, subj, queue string, fn func(on bool)) (cancel func()) {
	a := h.s.accounts.Lookup(name)
	if a == nil {
		fn(false)
		return func() {}
	}
	w := &watch{subject: subj, queue: queue, fn: fn}
	aw := h.watches.add(a, w)
	w.look(aw.index)
	return func() {
		w.mu.Lock()
		w.gone = true
		w.mu.Unlock()
		h.watches.remove(a, w)
	}
}

func (s *watchSet) add(a *account.Account, w *watch) *accountWatches {
	s.mu.Lock()
	defer s.mu.Unlock()
	aw := s.accounts[a]
	if aw == nil {
		aw = &accountWatches{index: a.Index(), by: map[string][]*watch{}}
		aw.stop = a.Index().Watch(aw.changed)
		s.accounts[a] = aw
	}
	aw.mu.Lock()
	aw.by[w.subject] = append(aw.by[w.subject], w)
	aw.n++
	aw.mu.Unlock()
	return aw
}

func (s *watchSet) remove(a *account.Account, w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	aw := s.accounts[a]
	if aw == nil {
		return
	}
	aw.mu.Lock()
	list := aw.by[w.subject]
	for i := range list {
		if list[i] != w {
			continue
		}
		rest := append(append([]*watch(nil), list[:i]...), list[i+1:]...) // changed may be reading list
		if aw.by[w.subject] = rest; len(rest) == 0 {
			delete(aw.by, w.subject)
		}
		aw.n--
		break
	}
	empty := aw.n == 0
	aw.mu.Unlock()
	if empty {
		aw.stop()
		delete(s.accounts, a)
	}
}

// changed is called by the index after each insertion and removal, on the goroutine that did it.
func (aw *accountWatches) changed(s *interest.Sub, _ bool) {
	if s.HasWildcard() {
		return
	}
	aw.mu.RLock()
	list := aw.by[s.Subject()]
	aw.mu.RUnlock()
	for _, w := range list {
		w.look(aw.index)
	}
}

// look finds the present state and tells it if it is news.
func (w *watch) look(x *interest.Index) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	var r interest.Result
	x.Match([]byte(w.subject), &r)
	on := false
	if w.queue == "" {
		on = w.exact(r.Plain)
	}
	for i := range r.Queues {
		on = on || r.Queues[i].Name == w.queue && w.exact(r.Queues[i].Subs)
	}
	if w.told && on == w.on {
		return
	}
	w.on, w.told = on, true
	w.fn(on)
}

// exact reports whether one of subs is to the very subject.
func (w *watch) exact(subs []*interest.Sub) bool {
	return slices.ContainsFunc(subs, func(s *interest.Sub) bool { return s.Subject() == w.subject })
}
