package account

import "sync"

// remotes are the connections that an account has on other servers, which count against its limits. mu is a leaf.
type remotes struct {
	mu    sync.Mutex
	by    map[string]uint64 // by server id: clients in the low, leafnodes in the high 32 bits
	total uint64            // their sum
}

// SetRemote notes how many connections the account has on the server with that id; zero forgets it. Any goroutine.
func (a *Account) SetRemote(server string, clients, leafs int) {
	now := uint64(uint32(max(clients, 0))) | uint64(uint32(max(leafs, 0)))<<32
	r := &a.remote
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += now - r.by[server]
	switch {
	case now == 0:
		delete(r.by, server)
	case r.by == nil:
		r.by = map[string]uint64{server: now}
	default:
		r.by[server] = now
	}
	a.remoteTotal.Store(r.total)
}

// RemoteServers returns how many other servers have connections of the account. Any goroutine.
func (a *Account) RemoteServers() int {
	r := &a.remote
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.by)
}

// RemoteConns returns the client and leafnode connections on other servers. Any goroutine.
func (a *Account) RemoteConns() (clients, leafs int) { return split(a.remoteTotal.Load()) }
