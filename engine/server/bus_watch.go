package server

import (
	"strings"
	"sync"

	"ramjet/engine/account"
	"ramjet/engine/interest"
	"ramjet/proto/subject"
)

// watchSet tells who asked for it whether somebody listens on a subject. Any goroutine.
type watchSet struct {
	mu       sync.Mutex // guards the map; taken before the mutex of an account's watches
	accounts map[*account.Account]*accountWatches
}

// accountWatches are the watches of one account, by the first token of their subject, so that a subscription is compared with few.
type accountWatches struct {
	index *interest.Index
	stop  func()

	mu      sync.RWMutex // leaf
	byToken map[string][]*watch
	n       int
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
// subscribers without one; JetStream's own count, mirrors listen too. fn is called by any goroutine, must not block, and is not
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
		aw = &accountWatches{index: a.Index(), byToken: map[string][]*watch{}}
		aw.stop = a.Index().Watch(aw.changed)
		s.accounts[a] = aw
	}
	aw.mu.Lock()
	t := firstToken(w.subject)
	aw.byToken[t] = append(aw.byToken[t], w)
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
	t := firstToken(w.subject)
	list := aw.byToken[t]
	for i := range list {
		if list[i] != w {
			continue
		}
		rest := append(append([]*watch(nil), list[:i]...), list[i+1:]...) // changed may be reading list
		if aw.byToken[t] = rest; len(rest) == 0 {
			delete(aw.byToken, t)
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
	subj := s.Subject()
	t := firstToken(subj)
	if t != "*" && t != ">" {
		aw.mu.RLock()
		list := aw.byToken[t]
		aw.mu.RUnlock()
		aw.tell(list, subj)
		return
	}
	aw.mu.RLock()
	lists := make([][]*watch, 0, len(aw.byToken))
	for _, l := range aw.byToken {
		lists = append(lists, l)
	}
	aw.mu.RUnlock()
	for _, l := range lists {
		aw.tell(l, subj)
	}
}

// tell looks again at the watches that pattern concerns.
func (aw *accountWatches) tell(list []*watch, pattern string) {
	for _, w := range list {
		if subject.Match(w.subject, pattern) {
			w.look(aw.index)
		}
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
		on = len(r.Plain) > 0
	}
	for i := range r.Queues {
		on = on || r.Queues[i].Name == w.queue
	}
	if w.told && on == w.on {
		return
	}
	w.on, w.told = on, true
	w.fn(on)
}

func firstToken(s string) string {
	t, _, _ := strings.Cut(s, ".")
	return t
}
