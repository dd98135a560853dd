package api

import (
	"encoding/binary"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ramjet/js/advisory"
	"ramjet/proto/base/rng"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// Workers are as many as there are processors, between these bounds. They wait on shards and disks, so that a few are needed
// even on one processor.
const (
	minWorkers = 4
	maxWorkers = 16
)

// maxRests is how many requests may wait for the disk at a time, each on a goroutine. More of them wait for one of these, with their workers.
const maxRests = 256

// defaultQueueLimit is how many requests may wait if nothing is configured.
const defaultQueueLimit = 10000

// systemResponse is the type of an answer to a request that no endpoint takes.
const systemResponse = jsapi.ResponsePrefix + "system_response"

// Router takes the requests of the API. Create it with New, then Start; its methods may be called from any goroutine.
type Router struct {
	node  Node
	queue *taskQueue
	spawn func(func())
	rests chan struct{} // what waits for the disk

	mu       sync.Mutex // leaf: builder and counters
	builder  *advisory.Builder
	accounts map[string]*counters

	total, errors, dropped, panics atomic.Uint64
	onPanic                        atomic.Pointer[func(v any, stack []byte)]
}

type counters struct{ total, errors uint64 }

// Stats are the counters of the API on this server.
type Stats struct {
	Total    uint64 // answers
	Errors   uint64 // answers that were errors
	Dropped  uint64 // requests that went with a full queue
	Panics   uint64 // handlers that panicked: each a bug that cost one answer
	Inflight int    // requests that wait or are worked on
}

// New returns a router that does not work yet.
func New(node Node) *Router {
	random := node.Random()
	return &Router{
		node:     node,
		queue:    newTaskQueue(),
		rests:    make(chan struct{}, maxRests),
		builder:  advisory.NewBuilder(node.Server().Domain, rng.New(binary.LittleEndian.Uint64(random[:]))),
		accounts: make(map[string]*counters),
	}
}

// Start runs the workers. spawn runs a function on a goroutine of its own; backups use it too.
func (r *Router) Start(spawn func(func())) {
	r.spawn = spawn
	for range min(max(runtime.GOMAXPROCS(0), minWorkers), maxWorkers) {
		spawn(r.work)
	}
}

// Close drops what waits and lets the workers end after the request at hand.
func (r *Router) Close() { r.queue.close() }

// OnPanic sets who is told about a contained panic.
func (r *Router) OnPanic(fn func(v any, stack []byte)) { r.onPanic.Store(&fn) }

// Stats returns the counters.
func (r *Router) Stats() Stats {
	return Stats{Total: r.total.Load(), Errors: r.errors.Load(), Dropped: r.dropped.Load(), Panics: r.panics.Load(),
		Inflight: r.queue.inflight()}
}

// AccountStats returns how many answers an account got, and how many of them were errors.
func (r *Router) AccountStats(account string) (total, errors uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.accounts[account]; c != nil {
		return c.total, c.errors
	}
	return 0, 0
}

// Deliver takes a request, which the router owns from then on. It does not wait.
func (r *Router) Deliver(req *Request) {
	t := task{req: req}
	if jsapi.ParseAPI(req.Subject, &t.call) && handled(&t.call) {
		t.info = t.call.Endpoint.InfoQueue()
		if handlers[t.call.Endpoint].mutates {
			t.serial = req.Account
			if t.call.Account != "" {
				t.serial = t.call.Account
			}
			if t.call.Stream != "" {
				t.asset = t.serial + "\x00" + t.call.Stream
			}
		}
	} else if t.call.Endpoint = jsapi.UnknownEndpoint; !req.System || req.Client == 0 {
		return // unknown: no answer
	}
	srv := r.node.Server()
	limit := srv.QueueLimit
	if t.info && srv.InfoLimit > 0 {
		limit = srv.InfoLimit
	}
	if limit <= 0 {
		limit = defaultQueueLimit
	}
	if n := r.queue.push(t, limit); n > 0 {
		r.dropped.Add(uint64(n))
		r.advise(r.node.SystemAccount(), advisory.APILimitReached, "", "", func(b *advisory.Builder, now time.Time) advisory.Message {
			return b.APILimit(srv.Name, int64(n), now)
		})
	}
}

// handled reports whether a call of a known endpoint is for the router; direct get, pull requests and resets are plain
// subscriptions of their streams and consumers.
func handled(c *jsapi.APICall) bool {
	if c.Endpoint == jsapi.ConsumerDurableCreate && (c.Consumer == "" || c.Rest != "") {
		return false
	}
	return handlers[c.Endpoint].run != nil
}

func (r *Router) work() {
	for {
		t, ok := r.queue.next()
		if !ok {
			return
		}
		r.run(t)
	}
}

// run answers a request of the queue. When it has done what has to be one after the other, what it waits for is shared with the requests that come
// after it; only those about the same stream stay behind it.
func (r *Router) run(t task) {
	c := &call{router: r, req: t.req, APICall: t.call, srv: r.node.Server()}
	if c.contain(c.process); c.rest == nil {
		r.queue.done(t)
		return
	}
	r.rests <- struct{}{}
	r.queue.detach(t)
	r.spawn(func() {
		c.contain(func() { c.finish(c.rest()) })
		<-r.rests
		r.queue.finished(t)
	})
}

// contain contains a panic of fn.
func (c *call) contain(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			c.router.caught(v)
			if !c.answered {
				c.answer(nil, jsapi.StreamGeneral.With("err", "internal error"))
			}
		}
	}()
	fn()
}

func (r *Router) caught(v any) {
	r.panics.Add(1)
	if fn := r.onPanic.Load(); fn != nil {
		(*fn)(v, debug.Stack())
	}
}

// background runs fn on a goroutine of its own and contains its panic.
func (r *Router) background(fn func()) {
	r.spawn(func() {
		defer func() {
			if v := recover(); v != nil {
				r.caught(v)
			}
		}()
		fn()
	})
}

// advise publishes an advisory if somebody listens.
func (r *Router) advise(account, kind, stream, consumer string, build func(*advisory.Builder, time.Time) advisory.Message) {
	if !r.node.Interest(account, advisory.Subject(kind, stream, consumer)) {
		return
	}
	now := r.node.Now()
	r.mu.Lock()
	m := build(r.builder, now)
	r.mu.Unlock()
	r.node.Publish(account, m.Subject, nil, m.Body)
}

// count adds an answer to the counters.
func (r *Router) count(account string, enabled, failed bool) {
	r.total.Add(1)
	if failed {
		r.errors.Add(1)
	}
	if !enabled {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.accounts[account]
	if c == nil {
		c = new(counters)
		r.accounts[account] = c
	}
	c.total++
	if failed {
		c.errors++
	}
}

// call is a request that is worked on. Owner: its worker.
type call struct {
	jsapi.APICall
	router *Router
	req    *Request
	srv    *Server
	acc    Account // nil until gate

	hdr      []byte                     // of the answer
	after    func()                     // follows the answer
	rest     func() (any, *jsapi.Error) // what is left of the handler, which waits for the disk
	silent   bool                       // no answer at all
	answered bool
}

// process answers the request.
func (c *call) process() {
	system := c.Endpoint.System()
	switch {
	case c.req.System && !system && c.Endpoint != jsapi.Info:
		if c.req.Client != 0 {
			c.refuse()
		}
		return
	case system && !c.req.System:
		return
	}
	h := &handlers[c.Endpoint]
	if h.clustered {
		c.answer(nil, jsapi.ClusterRequired.Err())
		return
	}
	if !h.own {
		if err := c.gate(); err != nil {
			c.answer(nil, err)
			return
		}
	}
	if v, err := h.run(c); c.rest == nil {
		c.finish(v, err)
	}
}

// finish answers with what a handler returned.
func (c *call) finish(v any, err *jsapi.Error) {
	if c.silent {
		return
	}
	c.answer(v, err)
	if c.after != nil {
		c.after()
	}
}

// refuse tells a client of the system account that there is no JetStream for it.
func (c *call) refuse() {
	c.answered = true
	if c.req.Reply != "" {
		c.router.node.Publish(c.req.Account, c.req.Reply, nil,
			jsapi.AppendResponse(nil, systemResponse, jsapi.NotEnabledForAccount.Err(), nil))
	}
}

// gate checks the required API level and looks the account up.
func (c *call) gate() *jsapi.Error {
	if err := c.level(); err != nil {
		return err
	}
	return c.enabled()
}

func (c *call) level() *jsapi.Error {
	if v := header.Get(c.req.Header, jsapi.HdrRequiredAPILevel); len(v) > 0 && !jsapi.LevelSupported(v) {
		return jsapi.RequiredApiLevel.Err()
	}
	return nil
}

func (c *call) enabled() *jsapi.Error {
	if c.acc = c.router.node.Account(c.req.Account); c.acc == nil {
		return jsapi.NotEnabledForAccount.Err()
	}
	return nil
}

// decode reads the body by the rules of the endpoint.
func (c *call) decode(v any) *jsapi.Error {
	_, err := c.Endpoint.Decode(c.req.Body, v, c.srv.Strict)
	return err
}

// answer sends the answer: v is its fields, or those an error has too if err is not nil.
func (c *call) answer(v any, err *jsapi.Error) {
	c.answered = true
	r := c.router
	if err != nil {
		v, c.hdr = handlers[c.Endpoint].blank, nil
	}
	body := jsapi.AppendResponse(nil, c.Endpoint.ResponseType(), err, v)
	r.count(c.req.Account, c.acc != nil, err != nil)
	if c.req.Reply != "" {
		r.node.Publish(c.req.Account, c.req.Reply, c.hdr, body)
	}
	if err != nil || c.Endpoint.Audited() {
		r.advise(c.req.Account, advisory.APIAudit, "", "", func(b *advisory.Builder, now time.Time) advisory.Message {
			return b.Audit(c.srv.Name, c.client(), c.req.Subject, string(c.req.Body), string(body), now)
		})
	}
}

// client returns the client information for an advisory.
func (c *call) client() []byte {
	if b := c.router.node.ClientInfo(c.req); json.Valid(b) {
		return b
	}
	return nil
}
