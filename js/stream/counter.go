package stream

import (
	"bytes"
	"encoding/json"
	"math/big"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store"
)

// counter is the value of a counter after a message that is proposed.
type counter struct {
	value   big.Int
	sources map[string]map[string]string // origin stream, origin subject: value seen last
}

// maxDigits bounds increments and values: more is no number a client means.
const maxDigits = 4096

func parseBig(b []byte, v *big.Int) bool {
	t := bytes.TrimPrefix(b, []byte("+"))
	if len(t) == 0 || len(t) > maxDigits || t[0] == '+' {
		return false
	}
	for i, c := range t {
		if (c < '0' || c > '9') && (i > 0 || c != '-' || len(t) == 1) {
			return false
		}
	}
	_, ok := v.SetString(string(t), 10)
	return ok
}

// checkIncr looks at the increment of a client's message.
func checkIncr(f *Front, p *publish) *jsapi.Error {
	if p.h.incr == nil || p.in.Origin == Source || p.in.Origin == Mirror {
		return nil
	}
	var v big.Int
	switch {
	case !parseBig(p.h.incr, &v):
		return jsapi.MessageIncrInvalid.Err()
	case !f.m.cfg.AllowMsgCounter:
		return jsapi.MessageIncrDisabled.Err()
	case len(p.payload) > 0:
		return jsapi.MessageIncrPayload.Err()
	case p.h.rollup != nil || p.h.expected:
		return jsapi.MessageIncrInvalid.Err()
	}
	return nil
}

// checkCounter computes the value that is stored.
func checkCounter(f *Front, p *publish) *jsapi.Error {
	if !f.m.cfg.AllowMsgCounter {
		return nil
	}
	if p.h.incr == nil {
		return jsapi.MessageIncrMissing.Err()
	}
	var incr big.Int
	if !parseBig(p.h.incr, &incr) {
		return jsapi.MessageIncrInvalid.Err()
	}
	var total counter
	if err := f.counterOf(p.subject, &total); err != nil {
		return err
	}
	if p.in.Origin == Source {
		if err := total.rebase(p, &incr); err != nil {
			return err
		}
	}
	total.value.Add(&total.value, &incr)
	p.value = total.value.Append(nil, 10)
	p.payload = append(append([]byte(`{"val":"`), p.value...), `"}`...)
	if len(total.sources) > 0 {
		b, err := json.Marshal(total.sources)
		if err != nil {
			return jsapi.MessageCounterBroken.Err()
		}
		p.header = header.AppendSet(nil, p.header, jsapi.HdrCounterSources, b)
	}
	p.size = MsgSize(f.m.cfg.Storage, len(p.subject), len(p.header), len(p.payload))
	if err := checkMsgSize(f, p); err != nil {
		return err
	}
	p.total = &total
	return nil
}

// counterOf reads the present value of a counter, proposed ones included.
func (f *Front) counterOf(subj []byte, c *counter) *jsapi.Error {
	if o := f.counters[string(subj)]; o != nil {
		c.value.Set(&o.value)
		c.sources = cloneSources(o.sources)
		return nil
	}
	last, _ := f.lastOf(subj)
	if last == 0 {
		return nil
	}
	if f.m.log.LoadNow(last, &f.rec) != store.Hit || !counterBody(f.rec.Payload, &c.value) {
		return jsapi.MessageCounterBroken.Err()
	}
	if b := header.Get(f.rec.Header, jsapi.HdrCounterSources); len(b) > 0 {
		if json.Unmarshal(b, &c.sources) != nil {
			return jsapi.MessageCounterBroken.Err()
		}
	}
	return nil
}

func counterBody(b []byte, v *big.Int) bool {
	var body struct {
		Val string `json:"val"`
	}
	return json.Unmarshal(b, &body) == nil && parseBig([]byte(body.Val), v)
}

// rebase turns the increment of a sourced counter into the difference to what its origin had when it was seen last.
func (c *counter) rebase(p *publish, incr *big.Int) *jsapi.Error {
	origin, subj, ok := originOf(p.h.source)
	var now big.Int
	if !ok || !counterBody(p.payload, &now) {
		return jsapi.MessageCounterBroken.Err()
	}
	var seen big.Int
	if v, ok := c.sources[origin][subj]; ok && !parseBig([]byte(v), &seen) {
		return jsapi.MessageCounterBroken.Err()
	}
	incr.Sub(&now, &seen)
	if c.sources == nil {
		c.sources = make(map[string]map[string]string)
	}
	if c.sources[origin] == nil {
		c.sources[origin] = make(map[string]string)
	}
	c.sources[origin][subj] = now.String()
	p.header = header.AppendSet(nil, p.header, jsapi.HdrIncr, incr.Append(nil, 10))
	return nil
}

// originOf reads stream and subject of Nats-Stream-Source.
func originOf(v []byte) (stream, subj string, ok bool) {
	var h SourceHeader
	if !ParseSourceHeader(v, &h) || h.Subject == nil {
		return "", "", false
	}
	name, _, _ := bytes.Cut(h.Name, []byte(":"))
	return string(name), string(h.Subject), true
}

func cloneSources(s map[string]map[string]string) map[string]map[string]string {
	if s == nil {
		return nil
	}
	c := make(map[string]map[string]string, len(s))
	for k, v := range s {
		c[k] = make(map[string]string, len(v))
		for kk, vv := range v {
			c[k][kk] = vv
		}
	}
	return c
}
