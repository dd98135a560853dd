package source

import (
	"ramjet/js/stream"
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

const (
	ms     = int64(1e6)
	second = int64(1e9)

	healthInterval = 10 * second  // of silence, after which the consumer is made anew
	requestEvery   = 2 * second   // least time between two requests for an origin
	backoffStep    = 10 * second  // per failure
	backoffMax     = 120 * second //
	createTimeout  = 30 * second
	resetTimeout   = 5 * second // of a consumer that exists already
	stalledTimes   = 3          // heartbeats with the same flow control subject before it is an error
	caughtUpBelow  = 10         // messages a mirror may lack to answer direct gets
)

// phase is what an origin waits for.
type phase uint8

const (
	resting   phase = iota // for the time of the next request
	searching              // for its position: the log is searched
	asking                 // for the answer to a request
	running                // for messages
)

// origin is a mirrored or sourced stream.
type origin struct {
	src    *jsapi.StreamSource
	mirror bool
	index  stream.SourceIndex
	key    string // index, as one string
	rules  []*subject.Transform
	base   string // name of the consumer, to which the origin may add something

	phase phase
	due   int64 // when Tick has to look at it
	asked int64 // time of the last request; 0 none yet
	fails int   // requests that failed, in a row
	level int   // API level that the request wants; 0: the old form
	reply uint64
	feed  uint64 // id of the deliver subject
	probe bool   // feed only shows that the consumer is alive

	consumer  string // "" before the answer
	deliverTo string
	identity  string
	recreated bool   // the origin is another stream than before, and was not asked again yet
	anew      bool   // it was recreated: what is stored says nothing about where to start
	seq, dseq uint64 // last taken
	found     uint64 // position and identity in the log when it was searched
	foundID   string
	searched  bool

	lag     uint64
	last    int64 // when something was heard; 0 never
	err     *jsapi.Error
	refused int // messages in a row that the front refused for good reasons

	need  uint64 // sequence here that makes everything taken so far applied
	flow  flowReply
	stall stall
}

func newOrigin(s *jsapi.StreamSource, mirror bool) *origin {
	o := &origin{src: s, mirror: mirror, index: stream.IndexOf(s)}
	o.key = o.index.String()
	for _, t := range s.SubjectTransforms {
		if t.Destination == "" {
			continue
		}
		if x, err := subject.NewTransform(t.Source, t.Destination); err == nil { // was checked with the configuration
			o.rules = append(o.rules, x)
		}
	}
	return o
}

// at qualifies the name of a consumer by where it is.
func (o *origin) at(consumer string) string {
	where := o.src.Name
	if o.src.External != nil {
		where += " " + o.src.External.APIPrefix
	}
	return where + " " + consumer
}

// filters returns what the consumer has to deliver; none: everything.
func (o *origin) filters() []string {
	if o.src.FilterSubject != "" {
		return []string{o.src.FilterSubject}
	}
	var list []string
	for _, t := range o.src.SubjectTransforms {
		if t.Source == "" || t.Source == ">" {
			return nil
		}
		list = append(list, t.Source)
	}
	return list
}

// consumerName returns the name of the consumer of o: the same after a restart, so that an origin that keeps the
// consumer finds it again.
func (e *Engine) consumerName(o *origin) string {
	if o.src.Consumer != nil {
		return o.src.Consumer.Name
	}
	cfg := e.m.Config()
	id := cfg.Name + " " + e.env.Account
	if e.env.Domain != "" {
		id += " " + e.env.Domain
	}
	id = jsapi.Hash(id)
	if o.mirror {
		return "JS_MIRROR_" + id
	}
	n := 0
	for _, s := range cfg.Sources {
		if s.Name == o.src.Name {
			n++
		}
	}
	if n > 1 {
		id += " " + o.key
	}
	return "JS_SRC_" + jsapi.Hash(id)
}

// schedule makes the next request for o due: not too soon after the last one, later after failures.
func (e *Engine) schedule(o *origin, now int64) {
	o.phase = resting
	var wait int64
	if o.asked != 0 {
		wait = max(0, requestEvery-(now-o.asked))
	}
	if n := o.fails + o.refused; n > 0 {
		wait += min(int64(n)*backoffStep, backoffMax)
	}
	e.arm(o, now+wait+e.random(100*ms, 200*ms))
}

// stop ends what goes on for o; its position stays.
func (e *Engine) stop(o *origin) {
	e.unlisten(&o.reply)
	e.unlisten(&o.feed)
	o.probe = false
	e.forget(o)
}

// retry makes the consumer of o anew, from behind what was taken.
func (e *Engine) retry(o *origin, now int64) {
	e.stop(o)
	e.schedule(o, now)
}
