package monitor

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/link"
	"ramjet/proto/subject"
	"ramjet/proto/sysapi"
)

// subsTimeout is how long a page waits for a loop to list the subscriptions of a connection.
const subsTimeout = 2 * time.Second

// connzQuery is a checked request.
type connzQuery struct {
	*sysapi.ConnzOptions
	sort          string
	auth          bool
	offset, limit int
}

// decodeConnz decodes the query of /connz.
func decodeConnz(q *params) (*sysapi.ConnzOptions, error) {
	c := &sysapi.ConnzOptions{Sort: q.string("sort"), Username: q.bool("auth"), CID: q.uint64("cid"), User: q.string("user"),
		Account: q.string("acc"), MQTTClient: q.string("mqtt_client")}
	c.Subscriptions, c.SubscriptionsDetail = q.subs()
	c.Offset, c.Limit = q.page()
	switch state := q.string("state"); strings.ToLower(state) {
	case "", "open":
	case "any", "all":
		c.State = sysapi.ConnAll
	case "closed":
		c.State = sysapi.ConnClosed
	default:
		return nil, fmt.Errorf("Error decoding state for %s", state)
	}
	return c, nil
}

func checkConnz(o *sysapi.ConnzOptions) (*connzQuery, error) {
	c := &connzQuery{ConnzOptions: o, sort: o.Sort}
	if c.sort == "" {
		c.sort = "cid"
	}
	if sorters[c.sort] == nil {
		return nil, fmt.Errorf("invalid sorting option: %s", c.sort)
	}
	if (c.sort == "stop" || c.sort == "reason") && o.State != sysapi.ConnClosed {
		return nil, fmt.Errorf("sort by %s only valid on closed connections", c.sort)
	}
	if o.FilterSubject != "" && o.FilterSubject != ">" && o.Account == "" {
		return nil, errors.New("filter by subject only valid with account filtering")
	}
	// Filters by identity show it.
	c.auth = o.Username || o.User != "" || o.Account != ""
	c.offset, c.limit = pageOf(o.Offset, o.Limit)
	return c, nil
}

// lists reports that subscriptions were asked for, by name or in detail.
func (c *connzQuery) lists() bool { return c.Subscriptions || c.SubscriptionsDetail }

// matches applies the filters to an entry that has its identity filled in.
func (c *connzQuery) matches(i *sysapi.ConnInfo) bool {
	return (c.CID == 0 || i.Cid == c.CID) && (c.User == "" || i.AuthorizedUser == c.User) &&
		(c.Account == "" || i.Account == c.Account) && (c.MQTTClient == "" || i.MQTTClient == c.MQTTClient)
}

// connEntry is a candidate with what is needed to complete it.
type connEntry struct {
	info *sysapi.ConnInfo
	open *link.Conn // nil for a closed connection
}

func (s *Server) connz(p *params) (any, error) {
	o, err := decodeConnz(p)
	if err != nil {
		return nil, err
	}
	return s.Connz(o)
}

// Connz lists connections.
func (s *Server) Connz(o *sysapi.ConnzOptions) (*sysapi.Connz, error) {
	q, err := checkConnz(o)
	if err != nil {
		return nil, err
	}
	now := s.src.Now()
	var all []connEntry
	if q.State != sysapi.ConnClosed {
		all = s.openConns(q, now)
	}
	if q.State != sysapi.ConnOpen {
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

// openConns lists the open connections of clients and leafnodes that pass the filters.
func (s *Server) openConns(q *connzQuery, now time.Time) (all []connEntry) {
	reg := s.src.Registry()
	var subscribed map[uint64]bool // with FilterSubject
	if q.FilterSubject != "" && q.FilterSubject != ">" {
		subscribed = s.subscribed(q.Account, q.FilterSubject)
	}
	add := func(c *link.Conn) bool {
		if subscribed != nil && !subscribed[c.ID()] {
			return true
		}
		i := new(sysapi.ConnInfo)
		c.Snapshot(i, now, true)
		if q.matches(i) {
			all = append(all, connEntry{i, c})
		}
		return true
	}
	if q.CID != 0 {
		if c := reg.Get(q.CID); c != nil && (c.Kind() == engine.Client || c.Kind() == engine.Leaf) {
			add(c)
		}
		return all
	}
	reg.Range(engine.Client, add)
	reg.Range(engine.Leaf, add)
	return all
}

// subscribed returns the connections that have a subscription that overlaps pattern in an account.
func (s *Server) subscribed(acc, pattern string) map[uint64]bool {
	ids := map[uint64]bool{}
	if a := s.src.Accounts().Lookup(acc); a != nil {
		a.Index().Range(func(sub *interest.Sub) bool {
			if subject.Collide(sub.Subject(), pattern) {
				ids[sub.Sink().ID()] = true
			}
			return true
		})
	}
	return ids
}

// complete fills in subscriptions and takes out what was not asked for.
func (c *connzQuery) complete(e *connEntry) {
	i := e.info
	details := i.SubsDetail
	i.SubsDetail = nil
	if c.lists() && e.open != nil {
		details = nil
		e.open.Subs(subsTimeout, func(d *sysapi.SubDetail) { details = append(details, *d) })
	}
	if c.SubscriptionsDetail {
		i.SubsDetail = details
	} else if c.Subscriptions {
		i.Subs = make([]string, 0, len(details))
		for k := range details {
			i.Subs = append(i.Subs, details[k].Subject)
		}
	}
	if c.auth {
		return
	}
	i.AuthorizedUser, i.Account, i.NameTag, i.TLSPeerCerts = "", "", "", nil
	if e.open != nil { // of closed connections they are part of what nats-server shows to everybody
		i.JWT, i.IssuerKey, i.Tags = "", "", nil
	}
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
