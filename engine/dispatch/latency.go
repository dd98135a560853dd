package dispatch

import (
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"ramjet/engine/account"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// sample reports whether a request to a service with latency l is measured, and which part of its header
// made it so (nil: chance did). hdr is borrowed.
func (r *Router) sample(ctx *Ctx, l *account.Latency, hdr []byte) (measured bool, trigger map[string][]string) {
	switch {
	case l == nil:
		return false, nil
	case l.Sampling > 0 && ctx.below(100) < uint64(l.Sampling):
		return true, nil
	case len(hdr) == 0:
		return false, nil
	}
	h := make(map[string][]string)
	for k, v := range header.All(hdr) {
		key := textproto.CanonicalMIMEHeaderKey(string(k))
		h[key] = append(h[key], string(v))
	}
	trigger = traced(h)
	return trigger != nil, trigger
}

// The headers of tracing systems, in the form net/textproto gives them.
const (
	uberTrace   = "Uber-Trace-Id"
	uberContext = "Uberctx-"
	b3Sampled   = "X-B3-Sampled"
	b3Trace     = "X-B3-Traceid"
	b3Single    = "B3"
	traceParent = "Traceparent"
	traceState  = "Tracestate"
)

// b3Headers belong to a trace in the form of several headers.
var b3Headers = []string{b3Sampled, b3Trace, "X-B3-Parentspanid", "X-B3-Spanid"}

// traced returns the headers of a traced request that its tracing system samples, nil if it does not
// (reference/auth.md, section 3.1). The first form that is there decides.
func traced(h map[string][]string) map[string][]string {
	keep := func(keys ...string) map[string][]string {
		out := make(map[string][]string)
		for _, k := range keys {
			if v, ok := h[k]; ok {
				out[k] = v
			}
		}
		return out
	}
	switch {
	case len(h[uberTrace]) > 0:
		parts := strings.Split(h[uberTrace][0], ":")
		if len(parts) != 4 || len(parts[3]) > 2 {
			return nil
		}
		if flags, err := strconv.ParseUint(parts[3], 16, 8); err != nil || flags&1 == 0 {
			return nil
		}
		out := keep(uberTrace)
		for k, v := range h {
			if strings.HasPrefix(k, uberContext) {
				out[k] = v
			}
		}
		return out
	case len(h[b3Sampled]) > 0 && (h[b3Sampled][0] == "1" || h[b3Sampled][0] == "0"):
		if h[b3Sampled][0] == "0" {
			return nil
		}
		return keep(b3Headers...)
	case len(h[b3Trace]) > 0:
		return keep(b3Headers...)
	case len(h[b3Single]) > 0:
		parts := strings.Split(h[b3Single][0], "-")
		if len(parts) > 2 && parts[2] == "0" || len(parts) == 1 && parts[0] == "0" {
			return nil
		}
		return keep(b3Single)
	case len(h[traceParent]) > 0:
		parts := strings.Split(h[traceParent][0], "-")
		if len(parts) != 4 || len(parts[3]) != 2 {
			return nil
		}
		if flags, err := strconv.ParseUint(parts[3], 16, 8); err != nil || flags&1 == 0 {
			return nil
		}
		return keep(traceParent, traceState)
	}
	return nil
}

// measured reports the latency of an answer from the connection responder that arrived at now.
func (r *Router) measured(reply *account.Reply, responder uint64, now int64) {
	e := reply.Import.Export
	v := &sysapi.ServiceLatency{Status: 200, Header: reply.Header}
	taken := time.Duration(now - reply.Start)
	ask, respond := r.requestor(v, reply), time.Duration(0)
	if c := r.find(responder); c != nil {
		v.Responder = c.ClientInfo(true)
		r.named(v.Responder)
		respond = v.Responder.RTT
	}
	v.Service = max(taken-respond, 0)
	v.Total = ask + taken
	if respond > 0 {
		v.System = time.Duration(max(r.hooks.Clock.Now().UnixNano()-now, 0))
		v.Total += v.System
	}
	r.report(e, v)
}

// Lost reports a measured request that stays without answer. It is the account.Hooks.Lost of a server.
func (r *Router) Lost(reply *account.Reply, why account.Loss) {
	v := &sysapi.ServiceLatency{Header: reply.Header}
	switch why {
	case account.NoDelivery:
		v.Status, v.Error = 503, "Service Unavailable"
	case account.TimedOut:
		v.Status, v.Error = 504, "Service Timeout"
	case account.Abandoned:
		v.Status, v.Error = 408, "Request Timeout"
	}
	r.requestor(v, reply)
	r.report(reply.Import.Export, v)
}

// badRequest reports a request to a measured service without a reply subject.
func (r *Router) badRequest(i *account.ServiceImport, from uint64, trigger map[string][]string) {
	reply := &account.Reply{Import: i, Start: r.hooks.Clock.Now().UnixNano(), Header: trigger, Requestor: r.find(from)}
	v := &sysapi.ServiceLatency{Status: 400, Error: "Bad Request", Header: trigger}
	r.requestor(v, reply)
	r.report(i.Export, v)
}

// requestor tells in v who asked and when, and returns the round trip.
func (r *Router) requestor(v *sysapi.ServiceLatency, reply *account.Reply) (rtt time.Duration) {
	if c, ok := reply.Requestor.(Asker); ok && c != nil {
		v.Requestor = c.ClientInfo(reply.Import.Share)
		if reply.Import.Share {
			r.named(v.Requestor)
		}
		rtt = v.Requestor.RTT
	}
	v.Start = time.Unix(0, reply.Start-int64(rtt)).UTC()
	return rtt
}

// named adds the name of this server.
func (r *Router) named(info *sysapi.ClientInfo) {
	if r.hooks.Server != nil {
		info.Server = r.hooks.Server()
	}
}

func (r *Router) report(e *account.Export, v *sysapi.ServiceLatency) {
	if r.hooks.Measured != nil && e.Latency != nil {
		r.hooks.Measured(e.Account, e.Latency.Subject, v)
	}
}
