package account

import (
	"sync"

	"ramjet/engine/interest"
	"ramjet/proto/subject"
)

// abandon notices requestors that no longer wait for a measured answer: the account's last subscription
// to its reply subject has gone. The index is watched from the first such request on.
type abandon struct {
	once    sync.Once  // of the first measured request, which begins to watch
	mu      sync.Mutex // leaf
	waiting map[*Reply]*Replies
}

// watch adds r, which x waits for, in account a. Any goroutine.
func (n *abandon) watch(a *Account, x *Replies, r *Reply) {
	n.once.Do(func() {
		a.index.Watch(func(s *interest.Sub, added bool) {
			if !added {
				n.gone(a, s.Subject())
			}
		})
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = make(map[*Reply]*Replies)
	}
	n.waiting[r] = x
}

// forget removes r, whose answer has come or will not. Any goroutine.
func (n *abandon) forget(r *Reply) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiting, r)
}

// gone gives up the answers that only a subscription to pattern waited for.
func (n *abandon) gone(a *Account, pattern string) {
	type pair struct {
		r *Reply
		x *Replies
	}
	var lost []pair
	n.mu.Lock()
	for r, x := range n.waiting {
		if subject.Match(r.To, pattern) {
			lost = append(lost, pair{r, x})
		}
	}
	n.mu.Unlock()
	for _, p := range lost {
		if !a.index.HasInterest([]byte(p.r.To)) {
			p.x.Lose(p.r, Abandoned)
		}
	}
}
