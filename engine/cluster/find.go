package cluster

import "ramjet/engine/account"

// Tell sends lines to every other server of the cluster, over one connection each. Any goroutine.
func (s *Service) Tell(lines []byte) {
	s.eachPeer(func(r *Route) { r.Announce(lines) })
}

// To returns the connection that takes messages of account a to the server whose id match accepts, nil when there is
// none. Any goroutine; match is called with a lock held.
func (s *Service) To(match func(id string) bool, a *account.Account) *Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.peers {
		if !match(id) {
			continue
		}
		for _, r := range p.routes() {
			if s.carries(r, a) && !r.Closed() {
				return r
			}
		}
	}
	return nil
}

// Knows reports that a connected server of the cluster is called name. Any goroutine.
func (s *Service) Knows(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p.name == name {
			return true
		}
	}
	return false
}
