package monitor

import (
	"sort"
	"time"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
)

const (
	slowShown    = 100 // connections listed
	slowSubjects = 10  // subjects listed of each
)

// slowz answers in one look who is slow: open connections with a backlog, largest first, and those that were closed
// because of one. limit and offset page through them.
func (s *Server) slowz(q *params) (any, error) {
	offset, limit := max(0, q.int("offset")), q.int("limit")
	if limit <= 0 {
		limit = slowShown
	}
	now := s.src.Now()
	type entry struct {
		sysapi.SlowConn
		conn *link.Conn
	}
	var all []entry
	s.src.Registry().Range(engine.Client, func(c *link.Conn) bool {
		if c.Out().Pending() == 0 {
			return true
		}
		var i sysapi.ConnInfo
		c.Snapshot(&i, now, true)
		if i.Pending > 0 {
			all = append(all, entry{slowConn(&i), c})
		}
		return true
	})
	s.src.Registry().Closed(func(i *sysapi.ConnInfo, _ string) bool {
		if i.Reason == netio.ReasonSlowPending.String() || i.Reason == netio.ReasonSlowDeadline.String() {
			e := slowConn(i)
			e.Closed, e.Reason, e.Open = i.Stop, i.Reason, false
			for k := range i.SubsDetail[:min(len(i.SubsDetail), slowSubjects)] {
				e.Subjects = append(e.Subjects, i.SubsDetail[k].Subject)
			}
			all = append(all, entry{e, nil})
		}
		return true
	})
	sort.SliceStable(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		if a.Open != b.Open {
			return a.Open
		}
		if a.Open {
			return a.Backlog > b.Backlog
		}
		return closedAt(&a.SlowConn).After(closedAt(&b.SlowConn))
	})
	from, to := window(len(all), offset, limit)
	v := &sysapi.Slowz{ID: s.src.ID(), Now: now.UTC(), Total: len(all), Slow: make([]sysapi.SlowConn, 0, to-from)}
	for _, e := range all[from:to] {
		if e.conn != nil {
			e.conn.Subs(subsTimeout, func(d *sysapi.SubDetail) {
				if len(e.Subjects) < slowSubjects {
					e.Subjects = append(e.Subjects, d.Subject)
				}
			})
		}
		v.Slow = append(v.Slow, e.SlowConn)
	}
	return v, nil
}

func closedAt(c *sysapi.SlowConn) time.Time {
	if c.Closed == nil {
		return time.Time{}
	}
	return *c.Closed
}

func slowConn(i *sysapi.ConnInfo) sysapi.SlowConn {
	return sysapi.SlowConn{
		Cid: i.Cid, Name: i.Name, Account: i.Account, User: i.AuthorizedUser, IP: i.IP, Port: i.Port,
		Backlog: i.Pending, Stalls: i.Stalls, Open: true,
	}
}
