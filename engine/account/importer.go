package account

import (
	"sync"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/interest"
)

// importer is the part of an account that brings its imports to life: subscriptions that stand for
// imported services in its own index, and for its subscribers in the indexes of those whose streams it
// imports. All of them are of kind engine.Import, and engine/dispatch knows what to do with them.
type importer struct {
	streams atomic.Pointer[[]*StreamImport] // in force, nil for none

	mu      sync.Mutex // leaf: guards shadows
	shadows map[*interest.Sub][]*Shadow

	// Owner: control.
	services map[serviceKey]*Service
	unwatch  func() // nil: the own index is not watched
}

// serviceKey names a service import; there is one for each account and local subject.
type serviceKey struct {
	from  *Account
	local string
}

// apply makes next the exchange in force. Subscriptions of imports that stay are not touched. Control.
func (a *Account) apply(next *Exchange) {
	if next == nil {
		next = &Exchange{}
	}
	a.applyServices(next.ServiceImports)
	a.applyStreams(next.StreamImports)
}

// Service is the subscription to an imported service: the requests of this account that go to another.
type Service struct {
	now atomic.Pointer[ServiceImport]
	sub *interest.Sub
}

// Import returns the import in force, nil when it has just been taken away. Any goroutine.
func (s *Service) Import() *ServiceImport { return s.now.Load() }

// Deliver implements interest.Sink; only engine/dispatch takes messages to another account.
func (s *Service) Deliver(engine.LoopID, *engine.Msg, *interest.Sub) engine.Verdict {
	return engine.Refused
}

// Kind implements interest.Sink.
func (s *Service) Kind() engine.Kind { return engine.Import }

// ID implements interest.Sink.
func (s *Service) ID() uint64 { return 0 }

func (a *Account) applyServices(list []*ServiceImport) {
	im := &a.imports
	keep := make(map[serviceKey]bool, len(list))
	for _, i := range list {
		k := serviceKey{i.From, i.Local}
		keep[k] = true
		s := im.services[k]
		if s != nil {
			s.now.Store(i)
			continue
		}
		s = &Service{}
		s.now.Store(i)
		s.sub = interest.NewSub([]byte(i.Local), nil, nil, 1, s)
		if a.index.Insert(s.sub) != nil {
			continue // excluded: the subject was checked
		}
		if im.services == nil {
			im.services = make(map[serviceKey]*Service)
		}
		im.services[k] = s
	}
	for k, s := range im.services {
		if !keep[k] {
			a.index.Remove(s.sub)
			s.now.Store(nil)
			delete(im.services, k)
		}
	}
}

// Shadow is the subscription, in the account that exports a stream, of a subscriber of the account that
// imports it.
type Shadow struct {
	Sub      *interest.Sub // of the subscriber
	Import   *StreamImport
	Importer *Account
	there    *interest.Sub // in the index of Import.From
}

// Subject is what the subscriber listens on in the account that exports.
func (s *Shadow) Subject() string { return s.there.Subject() }

// Deliver implements interest.Sink; only engine/dispatch takes messages to another account.
func (s *Shadow) Deliver(engine.LoopID, *engine.Msg, *interest.Sub) engine.Verdict {
	return engine.Refused
}

// Kind implements interest.Sink.
func (s *Shadow) Kind() engine.Kind { return engine.Import }

// ID implements interest.Sink: the subscriber's connection.
func (s *Shadow) ID() uint64 { return s.Sub.Sink().ID() }

func (a *Account) applyStreams(list []*StreamImport) {
	im := &a.imports
	var now []*StreamImport
	if p := im.streams.Load(); p != nil {
		now = *p
	}
	if sameStreams(now, list) {
		return
	}
	if len(list) == 0 {
		im.unwatch()
		im.unwatch = nil
		im.streams.Store(nil)
	} else {
		im.streams.Store(&list)
		if im.unwatch == nil {
			im.unwatch = a.index.Watch(func(s *interest.Sub, added bool) {
				if added {
					a.addShadows(s)
				} else {
					a.dropShadows(s)
				}
			})
		}
	}
	im.mu.Lock()
	old := im.shadows
	im.shadows = nil
	im.mu.Unlock()
	for _, shadows := range old {
		remove(shadows)
	}
	if len(list) > 0 {
		a.index.Range(func(s *interest.Sub) bool { a.addShadows(s); return true })
	}
}

// sameStreams reports that two lists of imports ask for the same subscriptions.
func sameStreams(a, b []*StreamImport) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		x, y := a[k], b[k]
		if x.From != y.From || x.Source != y.Source || x.Local != y.Local || x.AllowTrace != y.AllowTrace || x.validity != y.validity ||
			(x.there == nil) != (y.there == nil) || x.there != nil && x.there.Dest() != y.there.Dest() {
			return false
		}
	}
	return true
}

// shadowed are the kinds of subscribers that imported streams are delivered to: those that end here.
const shadowed = 1<<engine.Client | 1<<engine.System | 1<<engine.JetStream | 1<<engine.Account | 1<<engine.Leaf

// addShadows makes the shadows of s, unless it has them or is closed. Any goroutine.
func (a *Account) addShadows(s *interest.Sub) {
	im := &a.imports
	list := im.streams.Load()
	if list == nil || shadowed>>s.Kind()&1 == 0 {
		return
	}
	var shadows []*Shadow
	for _, i := range *list {
		there, ok := i.shadow(s.Subject())
		if !ok || i.invalid {
			continue
		}
		sh := &Shadow{Sub: s, Import: i, Importer: a}
		sh.there = interest.NewSub([]byte(there), []byte(s.Queue()), []byte(s.SID()), s.Weight(), sh)
		shadows = append(shadows, sh)
	}
	if shadows == nil {
		return
	}
	im.mu.Lock()
	if im.shadows[s] != nil || s.Closed() || im.streams.Load() != list {
		im.mu.Unlock()
		return
	}
	if im.shadows == nil {
		im.shadows = make(map[*interest.Sub][]*Shadow)
	}
	im.shadows[s] = shadows
	im.mu.Unlock()
	for _, sh := range shadows {
		_ = sh.Import.From.index.Insert(sh.there) // the subject comes from two that are valid
	}
	if !s.Closed() && im.streams.Load() == list {
		return
	}
	// Taken away meanwhile, by somebody who may not have seen the insertions.
	im.mu.Lock()
	if have := im.shadows[s]; len(have) > 0 && have[0] == shadows[0] {
		delete(im.shadows, s)
	}
	im.mu.Unlock()
	remove(shadows)
}

// dropShadows takes the shadows of s away. Any goroutine.
func (a *Account) dropShadows(s *interest.Sub) {
	im := &a.imports
	im.mu.Lock()
	shadows := im.shadows[s]
	delete(im.shadows, s)
	im.mu.Unlock()
	remove(shadows)
}

func remove(shadows []*Shadow) {
	for _, sh := range shadows {
		sh.Import.From.index.Remove(sh.there)
	}
}
