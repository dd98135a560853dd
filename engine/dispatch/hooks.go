package dispatch

import (
	"encoding/json"
	"strconv"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/proto/base/clock"
	"ramjet/proto/header"
	"ramjet/proto/sysapi"
)

// Asker is a connection that a message came from.
type Asker interface {
	// RTT returns the last measured round trip, 0 if there was none. Any goroutine.
	RTT() time.Duration
	// ClientInfo describes the connection: account and round trip, or everything. Any goroutine.
	ClientInfo(detailed bool) *sysapi.ClientInfo
}

// Hooks are what routing between accounts needs of the server. Constant once the router is used; every
// function may be called on any goroutine and must not block. nil members do nothing.
type Hooks struct {
	Clock  clock.Clock
	Server func() string // name of this server
	// Find returns the open connection with that id, nil when there is none.
	Find func(id uint64) Asker
	// Measured hears of the latency of a service, to be published to subject in account a.
	Measured func(a *account.Account, subject string, v *sysapi.ServiceLatency)
	// Crossed hears of a client's message with a header that an imported service took to account a, where a mapping
	// gave it subject to; m is as it was before that.
	Crossed func(a *account.Account, to []byte, m *engine.Msg)
	// ReplySuffix is appended to reply subjects of measured requests.
	ReplySuffix string
	// Routed takes over a message to a subject with the prefix of gateway replies (IsRouted); ok is false when it is to be
	// routed as any other. nil: there are no gateways.
	Routed func(ctx *Ctx, a *account.Account, m *engine.Msg) (out Outcome, ok bool)
}

// routedPrefix begins the subjects of answers that find their way through gateways by themselves
// (reference/interserver.md, section 2.4).
const routedPrefix = "_GR_."

// IsRouted reports that subject begins as answers do that cross gateways.
func IsRouted(subject []byte) bool {
	return len(subject) > len(routedPrefix) && subject[1] == 'G' && string(subject[:len(routedPrefix)]) == routedPrefix
}

// UseHooks sets the hooks; before the first Publish.
func (r *Router) UseHooks(h Hooks) { r.hooks = h }

// routedLen is the length of the prefix: that, two hashes of RoutedHash characters (cluster and server) and their dots.
const routedLen = len(routedPrefix) + 2*(RoutedHash+1)

// RoutedHash is the length of the hashes in subjects of gateway replies.
const RoutedHash = 6

// Routed returns the hashes of cluster and server in the subject of a gateway reply and what follows; nil when it is none.
func Routed(subject []byte) (cluster, server, rest []byte) {
	if len(subject) <= routedLen || !IsRouted(subject) {
		return nil, nil, nil
	}
	at := len(routedPrefix)
	return subject[at : at+RoutedHash], subject[at+RoutedHash+1 : routedLen-1], subject[routedLen:]
}

// Unrouted returns what follows the prefix in the subject of a gateway reply, any other subject as it is.
func Unrouted(subject []byte) []byte {
	if len(subject) > routedLen && IsRouted(subject) {
		return subject[routedLen:]
	}
	return subject
}

// AppendRouted appends the subject of a gateway reply.
func AppendRouted(dst []byte, cluster, server string, subject []byte) []byte {
	dst = append(append(append(dst, routedPrefix...), cluster...), '.')
	return append(append(append(dst, server...), '.'), subject...)
}

// find returns the connection with the given id, nil when it is not there any more.
func (r *Router) find(id uint64) Asker {
	if id == 0 || r.hooks.Find == nil {
		return nil
	}
	return r.hooks.Find(id)
}

func (r *Router) rtt(id uint64) time.Duration {
	if c := r.find(id); c != nil {
		return c.RTT()
	}
	return 0
}

// details returns who asks as JSON: where the importer shares it, in the system account, and along a
// chain of imports, where what the first one told is handed on. nil: nothing is to be said.
func (r *Router) details(i *account.ServiceImport, via *hop, m *engine.Msg) []byte {
	system := i.From == r.reg.System()
	var info *sysapi.ClientInfo
	if via.prev != nil {
		var said sysapi.ClientInfo
		if v := header.Get(m.Header, infoKey); len(v) > 0 && json.Unmarshal(v, &said) == nil {
			info = &said
			info.Service = i.Owner.Name()
		}
	}
	if info == nil {
		if m.Origin == engine.System {
			return nil
		}
		if c := r.find(m.OriginID); c != nil {
			info = c.ClientInfo(via.share)
		} else {
			info = &sysapi.ClientInfo{Account: i.Owner.Name()}
		}
		info.Reply = string(toldReply(m))
	}
	if (via.share || i.Share || system) && r.hooks.Server != nil {
		info.Server = r.hooks.Server()
	}
	b, err := json.Marshal(info)
	if err != nil {
		return nil
	}
	return b
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
