package dispatch

import (
	"ramjet/engine"
	"ramjet/engine/interest"
)

// LinkSink is a Sink that is a connection to another server. One that is not a LinkSink accepts
// everything, is a fallback if it is a leafnode, and gets Deliver with the first subscription.
type LinkSink interface {
	interest.Sink
	// Accepts reports whether a message like m may go over this link for s: hub and spoke, clusters
	// of leafnodes, loops. Not asked for the link m came from.
	Accepts(m *engine.Msg, s *interest.Sub) bool
	// Fallback reports that queue interest s is only to be used when nobody else takes a message:
	// it came from a leafnode of the other server.
	Fallback(s *interest.Sub) bool
	// DeliverLink sends m once. plain is the subscription without queue group that matched, or nil;
	// queues has one member for each group the other server is to choose from. Both are borrowed.
	DeliverLink(from engine.LoopID, m *engine.Msg, plain *interest.Sub, queues []*interest.Sub) engine.Verdict
}

// Ranked is a link to another cluster: of several with members of a queue group the lowest rank gets the message.
type Ranked interface{ Rank() int64 }

// link is a remote sink chosen for the message being published.
type link struct {
	sink  interest.Sink
	plain *interest.Sub
	first *interest.Sub // what chose it
}

// chosen is one queue member that a link was chosen for.
type chosen struct {
	link int // index into Ctx.links
	sub  *interest.Sub
}

// accepts reports whether s, whose sink is a link, may get m at all.
func accepts(m *engine.Msg, s *interest.Sub) bool {
	sink := s.Sink()
	if m.OriginID != 0 && sink.ID() == m.OriginID {
		return false // never back where it came from
	}
	if m.FromHub && sink.Kind() == engine.Router {
		return false // every server of the cluster has its own connection to the hub
	}
	l, ok := sink.(LinkSink)
	return !ok || l.Accepts(m, s)
}
