package leaf

import (
	"sync"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// Port is what leafnodes need of the server. Constant; every function is for any goroutine and must not block.
type Port struct {
	// Info is the server-wide part of INFO.
	Info func() wire.LeafInfo
	// ID of the server.
	ID string
	// Cluster is the name of this server's cluster towards leafnodes, "" if it has none.
	Cluster func() string
	// Met hears that a leafnode was connected to a: others may want to know.
	Met func(a *account.Account)
	// Changed hears that what JetStream may reach by the connections of a has changed.
	Changed func(a *account.Account)
	// GatewayReplies says whether answers to this server's requests come under the reply prefix of gateways.
	GatewayReplies func() bool
	// ReadFile reads a file of credentials; on the blocking pool.
	ReadFile func(name string) ([]byte, error)
}

// Service has the leafnode connections of a server and the remotes it solicits. Any goroutine.
type Service struct {
	env  *link.Env
	port Port
	duck atomic.Bool // lame duck: nobody is let in any more

	mu      sync.Mutex // a leaf: guards what follows
	leafs   map[*Leaf]struct{}
	ties    map[*account.Account]*ties
	remotes []*Remote

	// names maps an account here to its name at the hub it is connected to.
	names sync.Map
}

// New returns the service over env. Control.
func New(env *link.Env, port Port) *Service {
	env.Init()
	return &Service{env: env, port: port, leafs: make(map[*Leaf]struct{}), ties: make(map[*account.Account]*ties)}
}

// Accept is the netio.AcceptFunc of the leafnode listener.
func (s *Service) Accept(c *netio.Conn) netio.Handler {
	return &s.newLeaf(c, engine.Leafnode, nil).Conn
}

// AcceptWS serves a leafnode that came by the websocket listener: the upgrade is done, packed says that messages
// are compressed. The handler's OnOpen is called by the caller.
func (s *Service) AcceptWS(c *netio.Conn, packed bool) netio.Handler {
	p := s.newLeaf(c, engine.LeafnodeWS, nil)
	p.wsPacked = packed
	return &p.Conn
}

func (s *Service) newLeaf(c *netio.Conn, t engine.ConnType, r *Remote) *Leaf {
	p := &Leaf{svc: s, remote: r, maxSub: -1}
	p.Init(s.env, c, engine.Leaf, t, p)
	p.perms.Store(&perms{})
	return p
}

func (s *Service) options() *config.Options { return s.env.Options() }

// leafOptions returns the leafnodes block, an empty one when there is none.
func (s *Service) leafOptions() *config.LeafOptions {
	if l := s.options().Leafnodes; l != nil {
		return l
	}
	return &config.LeafOptions{}
}

// Range calls fn for each connection that is in use until it returns false.
func (s *Service) Range(fn func(*Leaf) bool) {
	s.mu.Lock()
	all := make([]*Leaf, 0, len(s.leafs))
	for p := range s.leafs {
		all = append(all, p)
	}
	s.mu.Unlock()
	for _, p := range all {
		if !fn(p) {
			return
		}
	}
}

// enter adds p, which now has a peer and an account, to the connections in use. It returns an older connection of
// the same peer, which p replaces; ok is false when p would close a circle: the cluster it leads to is connected to
// the same account already, from there.
func (s *Service) enter(p *Leaf) (old *Leaf, ok bool) {
	q := p.peer.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.leafs {
		oq := o.peer.Load()
		if o.acct != p.acct {
			continue
		}
		if p.remote != nil && o.remote == nil && !oq.spoke && q.cluster != "" && oq.cluster == q.cluster {
			return nil, false
		}
		if p.remote == nil && o.remote == nil && q.server != "" && oq.server == q.server && oq.cluster == q.cluster &&
			q.account != "" && oq.account == q.account {
			old = o
		}
	}
	s.leafs[p] = struct{}{}
	return old, true
}

// leave takes p out of the connections in use.
func (s *Service) leave(p *Leaf) {
	s.mu.Lock()
	_, in := s.leafs[p]
	delete(s.leafs, p)
	s.mu.Unlock()
	if in {
		s.untie(p.acct)
	}
}

// sweep calls fn for every connection in use, on its loop.
func (s *Service) sweep(fn func(*Leaf)) {
	s.Range(func(p *Leaf) bool {
		p.Net().Loop().Post(func() {
			if !p.Closing() {
				fn(p)
			}
		})
		return true
	})
}

// BroadcastInfo tells accepted leafnodes the URLs of the cluster as they are now. Any goroutine.
func (s *Service) BroadcastInfo() {
	s.sweep(func(p *Leaf) {
		if p.remote == nil {
			in := s.port.Info()
			in.ClientID = p.ID()
			p.Send(wire.AppendLeafInfo(nil, &in))
		}
	})
}

// LameDuck makes the service refuse newcomers and connect to nobody again.
func (s *Service) LameDuck() {
	s.duck.Store(true)
	s.StopRemotes()
}

// Kick closes the connection with the given id (reason Kicked); false when there is none.
func (s *Service) Kick(cid uint64) bool {
	c := s.env.Registry.Get(cid)
	if c == nil || c.Kind() != engine.Leaf {
		return false
	}
	return c.Net().Loop().Post(func() { c.CloseErr("", netio.ReasonKicked) })
}
