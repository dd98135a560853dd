package engine

// Verdict is the result of offering bytes or a message to a destination.
type Verdict uint8

// The verdicts. Everything up to OverHard was accepted; later ones were not delivered.
const (
	OK       Verdict = iota
	OverSoft         // accepted; the destination is above its soft limit: slow the producer
	OverHard         // accepted or dropped; the destination is being closed as a slow consumer
	Refused          // not delivered: auto-unsubscribe reached, denied, no echo
	Closed           // not delivered: the destination is closed
)

// Delivered reports whether the message was handed over.
func (v Verdict) Delivered() bool { return v <= OverSoft }
