package monitor

import (
	"cmp"
	"slices"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// leafnode is what the page needs of a connection beyond what all have.
type leafnode interface {
	Info(now time.Time) sysapi.LeafInfo
}

func (s *Server) leafz(q *params) (any, error) {
	subs, _ := q.subs()
	return s.Leafz(&sysapi.LeafzOptions{Subscriptions: subs, Account: q.string("acc")})
}

// Leafz lists the leafnode connections, the oldest first.
func (s *Server) Leafz(o *sysapi.LeafzOptions) (*sysapi.Leafz, error) {
	now := s.src.Now()
	v := &sysapi.Leafz{ID: s.src.ID(), Leafs: []sysapi.LeafInfo{}}
	s.src.Registry().Range(engine.Leaf, func(c *link.Conn) bool {
		p, ok := c.Protocol().(leafnode)
		if a := c.Account(); !ok || o.Account != "" && (a == nil || a.Name() != o.Account) {
			return true
		}
		i := p.Info(now)
		if o.Subscriptions {
			c.Subs(subsTimeout, func(d *sysapi.SubDetail) { i.Subs = append(i.Subs, d.Subject) })
		}
		v.Leafs = append(v.Leafs, i)
		return true
	})
	slices.SortFunc(v.Leafs, func(a, b sysapi.LeafInfo) int { return cmp.Compare(a.ID, b.ID) })
	v.NumLeafs, v.Now = len(v.Leafs), s.src.Now().UTC()
	return v, nil
}

// leafVarz is the leafnodes block; bound is the address of the listener, "" for none.
func leafVarz(l *config.LeafOptions, bound string) sysapi.LeafVarz {
	var v sysapi.LeafVarz
	if l == nil {
		return v
	}
	if l.Port != 0 {
		v = sysapi.LeafVarz{
			Host: l.Host, Port: boundPort(bound, l.Port), AuthTimeout: l.Auth.Timeout.Seconds(), TLSTimeout: defaultTLSTimeout,
			WriteDeadline: l.WriteDeadline, WriteTimeout: policyName(l.WriteTimeout),
		}
		if t := l.TLS; t != nil {
			v.TLSRequired, v.TLSVerify = true, t.Verify || t.VerifyAndMap
			v.TLSOCSPPeerVerify = t.OCSPPeer != nil
			v.TLSCertNotAfter = notAfter(t)
			if t.Timeout > 0 {
				v.TLSTimeout = t.Timeout.Seconds()
			}
		}
	}
	for _, r := range l.Remotes {
		x := sysapi.RemoteLeafVarz{LocalAccount: r.Account}
		for _, u := range r.URLs {
			x.URLs = append(x.URLs, u.Host)
		}
		if t := r.TLS; t != nil {
			x.TLSTimeout = defaultTLSTimeout
			if t.Timeout > 0 {
				x.TLSTimeout = t.Timeout.Seconds()
			}
			x.TLSOCSPPeerVerify = t.OCSPPeer != nil
		}
		if len(r.DenyExports)+len(r.DenyImports) > 0 {
			x.Deny = &sysapi.DenyRules{Exports: r.DenyExports, Imports: r.DenyImports}
		}
		v.Remotes = append(v.Remotes, x)
	}
	return v
}
