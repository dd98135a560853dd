package sysacc

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"ramjet/engine/account"
	"ramjet/proto/base/clock"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// What an ordinary account asks about itself concerns every server: the request goes on in the system account, where all of them
// answer, as the request to an imported service with many answers would.

// asked is the export of a page of an account: as many answers as there are servers.
var asked = &account.Export{Response: account.Streamed, Threshold: account.DefaultThreshold}

// ownPage answers a request of an account for page x about itself.
func (s *Service) ownPage(x string) handler {
	here := s.accountPage(x)
	return func(w *worker, r *request) {
		system := s.p.Accounts.System()
		if !s.mayBeOthers() || r.tooLarge || r.in == system {
			here(w, r)
			return
		}
		i := &account.ServiceImport{Owner: r.in, From: system, Share: true, Export: asked}
		back := &account.Reply{Import: i, To: r.reply, In: r.in, Start: s.p.Clock.Now().UnixNano(), Many: true}
		system.Replies().Open(back, "")
		var hdr []byte
		if name := r.accept.name(); name != "" {
			hdr = header.AppendAdd(nil, nil, header.AcceptEncoding, []byte(name))
		}
		w.publish(system, accountPrefix+r.in.Name()+"."+x, back.Subject(), hdr, r.body)
	}
}

// mayBeOthers reports that there may be other servers.
func (s *Service) mayBeOthers() bool { return s.p.Joined != nil && s.p.Joined() }

const (
	// sumWait is how long answers of other servers with their numbers of subscriptions are waited for.
	sumWait = 500 * time.Millisecond
	// maxSums bounds how many requests wait for them; beyond it a request is answered with what is known here.
	maxSums = 256
)

// sums are the requests for the number of subscribers that wait for other servers, by the last token of the subject that these
// answer to.
type sums struct {
	mu   sync.Mutex // leaf
	open map[string]*sum
	next uint64
}

type sum struct {
	total, missing int
	timer          clock.Timer
	done           func(total int)
}

// sumUp asks the other servers how many subscriptions of account a match subj, optionally of one group, and answers r with here and
// what they say.
func (s *Service) sumUp(w *worker, r *request, a *account.Account, subj, queue string, here int) {
	others := 0
	if s.mayBeOthers() {
		others = a.RemoteServers()
	}
	q := &sum{total: here, missing: others, done: func(total int) {
		s.requests.push(func(w *worker) { s.answerNumber(w, r, total) })
	}}
	id := ""
	if others > 0 {
		id = s.sums.add(s.p.Clock, q)
	}
	if id == "" {
		s.answerNumber(w, r, here)
		return
	}
	body, err := json.Marshal(&sysapi.NumSubsRequest{Account: a.Name(), Subject: subj, Queue: []byte(queue)})
	if err != nil {
		return // excluded: strings and bytes always can be
	}
	w.publish(s.p.Accounts.System(), numSubs, s.subjects.sums+id, nil, body)
}

// otherNumber takes the number of subscriptions on another server. The request worker.
func (s *Service) otherNumber(subject string, body []byte) {
	n, err := strconv.Atoi(string(body))
	if err != nil || n < 0 || len(subject) <= len(s.subjects.sums) {
		return
	}
	s.sums.take(subject[len(s.subjects.sums):], n)
}

// add begins to wait for q and returns its name, "" when too many wait.
func (x *sums) add(c clock.Clock, q *sum) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.open) >= maxSums {
		return ""
	}
	if x.open == nil {
		x.open = make(map[string]*sum)
	}
	x.next++
	id := strconv.FormatUint(x.next, 10)
	x.open[id] = q
	q.timer = c.AfterFunc(sumWait, func() { x.end(id) })
	return id
}

// take adds n to the sum called id.
func (x *sums) take(id string, n int) {
	x.mu.Lock()
	q := x.open[id]
	last := false
	if q != nil {
		q.total += n
		q.missing--
		last = q.missing <= 0
	}
	x.mu.Unlock()
	if last {
		x.end(id)
	}
}

// end stops waiting for the sum called id and reports it; nothing happens when that was done before.
func (x *sums) end(id string) {
	x.mu.Lock()
	q := x.open[id]
	delete(x.open, id)
	x.mu.Unlock()
	if q != nil {
		q.timer.Stop()
		q.done(q.total)
	}
}
