package dispatch

import "ramjet/engine"

// role says what a subscription of one kind of connection is for a message from another.
type role uint8

const (
	never     role = iota // gets nothing
	local                 // delivered to at once; may refuse
	remote                // a link: chosen, then sent to once in stage 5
	fallback              // for queues: a link taken only if nobody else takes the message
	elsewhere             // for queues: a link to another cluster, taken if nobody in this one takes the message
	across                // to another account (imports.go)
)

// row is a line of the tables: the role by the kind of the subscription's connection.
type row [engine.NumKinds]role

// inside is the part every row has in common: connections that end here.
func inside(router, gateway, leaf role) row {
	return row{
		engine.Client: local, engine.System: local, engine.JetStream: local, engine.Account: local,
		engine.Router: router, engine.Gateway: gateway, engine.Leaf: leaf, engine.Import: across,
	}
}

// plainRules: origin of the message -> kind of the subscription, without a queue group. A message that
// came by a route has been sent to every server of the cluster that wants it, one that came through
// a gateway to one server of this cluster; a leafnode's is new here, as a client's is.
var plainRules = [engine.NumKinds]row{
	engine.Client:    inside(remote, remote, remote),
	engine.System:    inside(remote, remote, remote),
	engine.JetStream: inside(remote, remote, remote),
	engine.Account:   inside(remote, remote, remote),
	engine.Leaf:      inside(remote, remote, remote),
	engine.Router:    inside(never, never, remote),
	engine.Gateway:   inside(remote, never, remote),
}

// queueRules: the same for members of queue groups (reference/protocol.md, section 9). Routes compete
// with local members by weight, then come leafnodes, and other clusters last.
var queueRules = [engine.NumKinds]row{
	engine.Client:    inside(remote, elsewhere, fallback),
	engine.System:    inside(remote, elsewhere, fallback),
	engine.JetStream: inside(remote, elsewhere, fallback),
	engine.Account:   inside(remote, elsewhere, fallback),
	engine.Leaf:      inside(remote, elsewhere, fallback),
	engine.Router:    inside(never, never, fallback),
	engine.Gateway:   inside(remote, never, fallback),
}

// mapsSubject says whose messages subject mappings apply to.
func mapsSubject(origin engine.Kind) bool { return origin == engine.Client || origin == engine.Leaf }

// crossesServers reports a message from another server of the same subject space: its imports have
// been followed there.
func crossesServers(origin engine.Kind) bool {
	return origin == engine.Router || origin == engine.Gateway
}

// chosenGroups reports a message that arrived with its queue groups chosen by the sender.
func chosenGroups(origin engine.Kind) bool { return crossesServers(origin) || origin == engine.Leaf }
