package consumer

import "slices"

// Pos is a position: of the consumer's deliveries and in the stream.
type Pos struct{ Consumer, Stream uint64 }

// Pending is a message that was delivered and not acknowledged.
type Pending struct {
	Stream   uint64 // sequence in the stream
	Consumer uint64 // sequence of its first delivery
	Time     int64  // of the last delivery, unix nanoseconds
}

// Redelivered is how often a message was delivered again.
type Redelivered struct {
	Stream uint64
	Count  uint64
}

// State is the state of a consumer. Lists are in order of Stream, without duplicates.
type State struct {
	Applied     uint64 // journal index the state stands for
	Delivered   Pos
	AckFloor    Pos
	Pending     []Pending
	Redelivered []Redelivered
	Extra       []byte // of the consumer machine
}

// Equal reports whether two states are the same.
func (s *State) Equal(o *State) bool {
	return s.Applied == o.Applied && s.Delivered == o.Delivered && s.AckFloor == o.AckFloor &&
		slices.Equal(s.Pending, o.Pending) && slices.Equal(s.Redelivered, o.Redelivered) && string(s.Extra) == string(o.Extra)
}
