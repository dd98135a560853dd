package dispatch

// Outcome of a publish.
type Outcome struct {
	// Delivered counts local deliveries and remote links. 0 with a reply subject is the case for a
	// no-responders status.
	Delivered int
	Mapped    bool // subject was changed by a mapping
	Dropped   bool // a mapping dropped it, or deliveries published in a circle
	Slow      bool // some target was above its soft limit
}
