package monitor

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// subsTimeout is how long a page waits for a loop to list the subscriptions of a connection.
const subsTimeout = 2 * time.Second

// connState selects open or closed connections.
type connState uint8

const (
	openConns connState = iota
	closedConns
	allConns
)

// connzQuery is a decoded /connz request.
type connzQuery struct {
	sort          string
	auth          bool
	subs, detail  bool
	offset, limit int
	cid           uint64
	state         connState
	user, acc     string
	mqtt          string
}

func decodeConnz(q *params) (*connzQuery, error) {
	c := &connzQuery{sort: q.string("sort"), auth: q.bool("auth"), cid: q.uint64("cid"), user: q.string("user"), acc: q.string("acc"), mqtt: q.string("mqtt_client")}
	c.subs, c.detail = q.subs()
	c.offset, c.limit = q.page()
	switch state := q.string("state"); strings.ToLower(state) {
	case "", "open":
	case "any", "all":
		c.state = allConns
	case "closed":
		c.state = closedConns
	default:
		return nil, fmt.Errorf("Error decoding state for %s", state) //nolint:staticcheck // text of the reference
	}
	if c.sort == "" {
		c.sort = "cid"
	}
	if sorters[c.sort] == nil {
		return nil, fmt.Errorf("invalid sorting option: %s", c.sort)
	}
	if (c.sort == "stop" || c.sort == "reason") && c.state != closedConns {
		return nil, fmt.Errorf("sort by %s only valid on closed connections", c.sort)
	}
	if c.user != "" || c.acc != "" {
		c.auth = true // filters by identity show it
	}
	return c, nil
}

// matches applies the filters to an entry that has its identity filled in.
func (c *connzQuery) matches(i *sysapi.ConnInfo) bool {
	return (c.cid == 0 || i.Cid == c.cid) && (c.user == "" || i.AuthorizedUser == c.user) &&
		(c.acc == "" || i.Account == c.acc) && (c.mqtt == "" || i.MQTTClient == c.mqtt)
}

// connEntry is a candidate with what is needed to complete it.
type connEntry struct {
	info *sysapi.ConnInfo
	open *link.Conn // nil for a closed connection
}

func (s *Server) connz(p *params) (any, error) {
	q, err := decodeConnz(p)
	if err != nil {
		return nil, err
	}
	now := s.src.Now()
	var all []connEntry
	if q.state != closedConns {
		all = s.openConns(q, now)
	}
	if q.state != openConns {
		s.src.Registry().Closed(func(i *sysapi.ConnInfo, _ string) bool {
			if q.matches(i) {
				all = append(all, connEntry{info: i})
			}
			return true
		})
	}
	less := sorters[q.sort]
	sort.SliceStable(all, func(i, j int) bool { return less(all[i].info, all[j].info) })
	from, to := window(len(all), q.offset, q.limit)
	v := &sysapi.Connz{ID: s.src.ID(), Now: now.UTC(), Total: len(all), Offset: q.offset, Limit: q.limit, Conns: make([]*sysapi.ConnInfo, 0, to-from)}
	for _, e := range all[from:to] {
		q.complete(&e)
		v.Conns = append(v.Conns, e.info)
	}
	v.NumConns = len(v.Conns)
	return v, nil
}

// openConns lists the open client connections that pass the filters.
func (s *Server) openConns(q *connzQuery, now time.Time) (all []connEntry) {
	reg := s.src.Registry()
	add := func(c *link.Conn) bool {
		i := new(sysapi.ConnInfo)
		c.Snapshot(i, now, true)
		if q.matches(i) {
			all = append(all, connEntry{i, c})
		}
		return true
	}
	if q.cid != 0 {
		if c := reg.Get(q.cid); c != nil && c.Kind() == engine.Client {
			add(c)
		}
		return all
	}
	reg.Range(engine.Client, add)
	return all
}

// complete fills in subscriptions and takes out what was not asked for.
func (c *connzQuery) complete(e *connEntry) {
	i := e.info
	details := i.SubsDetail
	i.SubsDetail = nil
	if c.subs && e.open != nil {
		details = nil
		e.open.Subs(subsTimeout, func(d *sysapi.SubDetail) { details = append(details, *d) })
	}
	if c.detail {
		i.SubsDetail = details
	} else if c.subs {
		i.Subs = make([]string, 0, len(details))
		for k := range details {
			i.Subs = append(i.Subs, details[k].Subject)
		}
	}
	if c.auth {
		i.NameTag = i.Account
		return
	}
	i.AuthorizedUser, i.Account, i.TLSPeerCerts = "", "", nil
}

// sorters are the sort options; ties keep the order of cid.
var sorters = map[string]func(a, b *sysapi.ConnInfo) bool{
	"cid":        func(a, b *sysapi.ConnInfo) bool { return a.Cid < b.Cid },
	"start":      func(a, b *sysapi.ConnInfo) bool { return a.Start.Before(b.Start) },
	"subs":       func(a, b *sysapi.ConnInfo) bool { return a.NumSubs > b.NumSubs },
	"pending":    func(a, b *sysapi.ConnInfo) bool { return a.Pending > b.Pending },
	"msgs_to":    func(a, b *sysapi.ConnInfo) bool { return a.OutMsgs > b.OutMsgs },
	"msgs_from":  func(a, b *sysapi.ConnInfo) bool { return a.InMsgs > b.InMsgs },
	"bytes_to":   func(a, b *sysapi.ConnInfo) bool { return a.OutBytes > b.OutBytes },
	"bytes_from": func(a, b *sysapi.ConnInfo) bool { return a.InBytes > b.InBytes },
	"last":       func(a, b *sysapi.ConnInfo) bool { return a.LastActivity.After(b.LastActivity) },
	"idle":       func(a, b *sysapi.ConnInfo) bool { return a.LastActivity.Before(b.LastActivity) },
	"uptime":     func(a, b *sysapi.ConnInfo) bool { return a.Start.After(b.Start) },
	"stop":       func(a, b *sysapi.ConnInfo) bool { return stopTime(a).After(stopTime(b)) },
	"reason":     func(a, b *sysapi.ConnInfo) bool { return a.Reason < b.Reason },
	"rtt":        func(a, b *sysapi.ConnInfo) bool { return a.RTTNanos > b.RTTNanos },
}

func stopTime(i *sysapi.ConnInfo) time.Time {
	if i.Stop == nil {
		return time.Time{}
	}
	return *i.Stop
}
