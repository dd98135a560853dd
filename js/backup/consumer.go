package backup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ramjet/proto/jsapi"
)

// readConsumerState reads o.dat: magic and version; acknowledged up to and delivered up to, as pairs of consumer and
// stream sequence; pending messages; redelivered messages. Sequences in the lists count from what is acknowledged,
// times are seconds before a base.
func readConsumerState(b []byte, s *jsapi.SnapshotConsumerState) error {
	const magic = 22
	if len(b) < 2 || b[0] != magic || b[1] != 1 && b[1] != 2 {
		return fmt.Errorf("%w: state of an unknown format", ErrUnsupported)
	}
	old := b[1] == 1
	n := numbers{b: b[2:]}
	s.AckFloor = jsapi.SequencePair{Consumer: n.uint(), Stream: n.uint()}
	s.Delivered = jsapi.SequencePair{Consumer: n.uint(), Stream: n.uint()}
	if old { // counts from what is acknowledged, too, and is what comes next
		if s.AckFloor.Consumer > 1 {
			s.Delivered.Consumer += s.AckFloor.Consumer - 1
		}
		if s.AckFloor.Stream > 1 {
			s.Delivered.Stream += s.AckFloor.Stream - 1
		}
	}
	count, base := n.count(), int64(0)
	if count > 0 {
		base = n.int()
	}
	for ; count > 0 && !n.bad; count-- {
		p := jsapi.PendingDelivery{Stream: n.uint() + s.AckFloor.Stream}
		if old {
			p.Time = (n.int() + base) * int64(time.Second)
		} else {
			p.Consumer = n.uint() + s.AckFloor.Consumer
			p.Time = (base - n.int()) * int64(time.Second)
		}
		s.Pending = append(s.Pending, p)
	}
	for count = n.count(); count > 0 && !n.bad; count-- {
		r := jsapi.RedeliveryCount{Stream: n.uint(), Count: n.uint()}
		if r.Stream > 0 && r.Count > 0 {
			r.Stream += s.AckFloor.Stream
			s.Redelivered = append(s.Redelivered, r)
		}
	}
	if n.bad || len(n.b) > 0 || s.AckFloor.Stream>>63 != 0 || s.Delivered.Stream>>63 != 0 {
		return fmt.Errorf("%w: state", ErrDamaged)
	}
	slices.SortFunc(s.Pending, func(a, b jsapi.PendingDelivery) int { return cmp.Compare(a.Stream, b.Stream) })
	slices.SortFunc(s.Redelivered, func(a, b jsapi.RedeliveryCount) int { return cmp.Compare(a.Stream, b.Stream) })
	for i := 1; i < len(s.Pending); i++ {
		if s.Pending[i].Stream == s.Pending[i-1].Stream {
			return fmt.Errorf("%w: state has %d pending twice", ErrDamaged, s.Pending[i].Stream)
		}
	}
	for i := 1; i < len(s.Redelivered); i++ {
		if s.Redelivered[i].Stream == s.Redelivered[i-1].Stream {
			return fmt.Errorf("%w: state has %d redelivered twice", ErrDamaged, s.Redelivered[i].Stream)
		}
	}
	return nil
}
