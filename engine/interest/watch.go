package interest

import "slices"

// watcher is one registered function; its address is its identity.
type watcher struct{ fn func(s *Sub, added bool) }

// Watch calls fn after each insertion and removal, on the goroutine that did it and without a lock
// held, until stop is called. Who also needs what
// is there already calls Range after Watch and must accept a subscription twice, or an addition
// reported after the removal of the same subscription when two goroutines handle it.
func (x *Index) Watch(fn func(s *Sub, added bool)) (stop func()) {
	w := &watcher{fn}
	x.editWatchers(func(ws []*watcher) []*watcher { return append(slices.Clone(ws), w) })
	return func() {
		x.editWatchers(func(ws []*watcher) []*watcher {
			return slices.DeleteFunc(slices.Clone(ws), func(o *watcher) bool { return o == w })
		})
	}
}

func (x *Index) editWatchers(edit func([]*watcher) []*watcher) {
	x.watchMu.Lock()
	defer x.watchMu.Unlock()
	var ws []*watcher
	if p := x.watchers.Load(); p != nil {
		ws = *p
	}
	ws = edit(ws)
	x.watchers.Store(&ws)
}

func (x *Index) notify(s *Sub, added bool) {
	x.notifyWatchers(s, added)
	x.settle(s, nil)
}

func (x *Index) notifyWatchers(s *Sub, added bool) {
	if p := x.watchers.Load(); p != nil {
		for _, w := range *p {
			w.fn(s, added)
		}
	}
}

// settle lets the ledgers count s, and old, which s replaced (nil: nothing).
func (x *Index) settle(s, old *Sub) {
	if p := x.ledgers.Load(); p != nil {
		for _, l := range p.all {
			l.settle(s, old)
		}
	}
}
