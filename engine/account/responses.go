package account

import (
	"bytes"
	"container/heap"
	"crypto/rand"
	"sync"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/proto/base/clock"
)

// Hooks are what accounts need of the server. Constant once the registry is used.
type Hooks struct {
	Clock clock.Clock
	// Lost hears of measured requests whose answer will not come; nil for nobody. Any goroutine, must not
	// block; no lock is held.
	Lost func(r *Reply, why Loss)
}

// Loss is why a request stays without answer.
type Loss uint8

// The reasons.
const (
	NoDelivery Loss = iota // nobody there, or the answer reached nobody
	TimedOut               // not within the threshold of the export
	Abandoned              // the requestor waits no longer
)

const (
	replyPrefix = "_R_."
	replyRandom = 6 // characters of an account's prefix and of each reply
	replyLen    = len(replyPrefix) + 2*replyRandom + 1
	replyDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// maxReplies bounds the answers an account waits for; beyond it the one that would time out first is
	// given up.
	maxReplies = 1 << 20
)

// Reply is one answer, or a series of them, that is awaited from a service. Immutable but for what
// Replies.mu guards.
type Reply struct {
	Import *ServiceImport
	To     string   // reply subject of the request
	In     *Account // where To is: the requestor's account
	Start  int64    // unix nanoseconds
	// Measured: see Latency. Header is what made it be measured, Requestor who asks.
	Measured  bool
	Header    map[string][]string
	Requestor any
	// Many answers are expected, whatever the export says.
	Many bool

	subject  string // of the answer
	deadline int64
	at       int // in Replies.due, -1: not there any more
}

// Subject returns the reply subject in the account of the service. Any goroutine.
func (r *Reply) Subject() string { return r.subject }

// Replies are the answers that an account's services owe to other accounts: a request arrives here with
// a reply subject of one wildcard subscription, under which the way back is found. Any goroutine; mu is
// a leaf.
type Replies struct {
	account *Account
	hooks   *Hooks

	once   sync.Once // of the first request, which subscribes
	prefix string    // constant after once; written with mu too

	mu     sync.Mutex
	byName map[string]*Reply
	due    dueHeap
	timer  clock.Timer
	armed  int64 // when timer fires, 0 = it is not armed
	random [128]byte
	used   int
	bound  int // maxReplies
}

// Account returns the account of the services. Any goroutine.
func (x *Replies) Account() *Account { return x.account }

// Deliver implements interest.Sink; only engine/dispatch takes messages to another account.
func (x *Replies) Deliver(engine.LoopID, *engine.Msg, *interest.Sub) engine.Verdict {
	return engine.Refused
}

// Kind implements interest.Sink.
func (x *Replies) Kind() engine.Kind { return engine.Import }

// ID implements interest.Sink.
func (x *Replies) ID() uint64 { return 0 }

// Open waits for the answer to a request: r has everything but its subject, which Open chooses. suffix is
// appended to it.
func (x *Replies) Open(r *Reply, suffix string) {
	x.once.Do(x.listen)
	var b [replyLen]byte
	copy(b[:], x.prefix)
	x.mu.Lock()
	for {
		x.fill(b[replyLen-replyRandom:])
		r.subject = string(b[:]) + suffix
		if _, taken := x.byName[r.subject]; !taken {
			break
		}
	}
	var oldest *Reply
	if len(x.due) >= x.bound {
		oldest = x.due[0]
		x.drop(oldest)
	}
	x.byName[r.subject] = r
	r.deadline = r.Start + int64(r.Import.Export.Threshold)
	heap.Push(&x.due, r)
	x.arm(r.Start)
	x.mu.Unlock()
	if r.Measured {
		r.In.abandon.watch(r.In, x, r)
	}
	if oldest != nil {
		x.tell(oldest, TimedOut)
	}
}

// listen chooses the prefix and subscribes to it.
func (x *Replies) listen() {
	b := append(make([]byte, 0, replyLen), replyPrefix...)
	b = b[:len(replyPrefix)+replyRandom]
	x.mu.Lock()
	x.fill(b[len(replyPrefix):])
	x.byName = make(map[string]*Reply)
	x.prefix = string(b) + "."
	x.mu.Unlock()
	_ = x.account.index.Insert(interest.NewSub([]byte(x.prefix+">"), nil, nil, 1, x)) // the subject is valid
}

// fill writes random characters. Requires mu.
func (x *Replies) fill(dst []byte) {
	for i := range dst {
		for {
			if x.used == 0 {
				rand.Read(x.random[:]) // never fails (crypto/rand)
				x.used = len(x.random)
			}
			x.used--
			if c := x.random[x.used] & 63; int(c) < len(replyDigits) {
				dst[i] = replyDigits[c]
				break
			}
		}
	}
}

// Take returns the way back for an answer to subject, nil when nobody waits for it; final says that it
// was the last one. now in unix nanoseconds.
func (x *Replies) Take(subject string, now int64) (r *Reply, final bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r = x.byName[subject]
	if r == nil {
		return nil, false
	}
	if r.Import.Export.Response == Singleton && !r.Many {
		x.drop(r)
		return r, true
	}
	// The time for the next answer is counted in whole thresholds from the request on, so that it is
	// between one and two of them.
	if threshold := int64(r.Import.Export.Threshold); r.deadline < now+threshold {
		r.deadline += threshold
		heap.Fix(&x.due, r.at)
	}
	return r, false
}

// Find returns the way back for an answer to subject without taking it, nil when nobody waits for it; ours is false when
// subject is no reply subject of this account. Any goroutine.
func (x *Replies) Find(subject []byte) (r *Reply, ours bool) {
	if !bytes.HasPrefix(subject, []byte(replyPrefix)) {
		return nil, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.prefix == "" || !bytes.HasPrefix(subject, []byte(x.prefix)) {
		return nil, false
	}
	return x.byName[string(subject)], true
}

// Answered ends the measurement of r, whose answer Take returned. Any goroutine.
func (r *Reply) Answered() { r.In.abandon.forget(r) }

// Close ends the wait for r; false if it had ended.
func (x *Replies) Close(r *Reply) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.at < 0 {
		return false
	}
	x.drop(r)
	return true
}

// Lose ends the wait for r because of why, and tells about it; nothing happens if it had ended.
func (x *Replies) Lose(r *Reply, why Loss) {
	if x.Close(r) {
		x.tell(r, why)
	}
}

// tell reports a measured request that stays without answer.
func (x *Replies) tell(r *Reply, why Loss) {
	if !r.Measured {
		return
	}
	r.In.abandon.forget(r)
	if x.hooks.Lost != nil {
		x.hooks.Lost(r, why)
	}
}

// Len returns how many requests wait for answers.
func (x *Replies) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.due)
}

// drop requires mu.
func (x *Replies) drop(r *Reply) {
	delete(x.byName, r.subject)
	heap.Remove(&x.due, r.at)
}

// arm starts the timer for the first deadline, unless it fires before. Requires mu.
func (x *Replies) arm(now int64) {
	if len(x.due) == 0 {
		return
	}
	at := x.due[0].deadline
	if x.armed != 0 && x.armed <= at {
		return
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	x.armed = at
	x.timer = x.hooks.Clock.AfterFunc(time.Duration(max(at-now, 0)), x.expire)
}

// expire gives up what is due.
func (x *Replies) expire() {
	now := x.hooks.Clock.Now().UnixNano()
	var lost []*Reply
	x.mu.Lock()
	x.armed = 0
	for len(x.due) > 0 && x.due[0].deadline <= now {
		lost = append(lost, x.due[0])
		x.drop(x.due[0])
	}
	x.arm(now)
	x.mu.Unlock()
	for _, r := range lost {
		x.tell(r, TimedOut)
	}
}

// dueHeap orders replies by deadline.
type dueHeap []*Reply

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(v any) {
	r := v.(*Reply)
	r.at = len(*h)
	*h = append(*h, r)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	n := len(old) - 1
	r := old[n]
	old[n], *h = nil, old[:n]
	r.at = -1
	return r
}
