package jsapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// SnapshotConsumerEntry is the body of a consumer's entry. Both parts have to be there.
type SnapshotConsumerEntry struct {
	Config *ConsumerConfig        `json:"config"`
	State  *SnapshotConsumerState `json:"state"`
}

// SnapshotConsumerState is the state of a consumer in a backup.
type SnapshotConsumerState struct {
	Delivered   SequencePair        `json:"delivered"`
	AckFloor    SequencePair        `json:"ack_floor"`
	Pending     SnapshotPending     `json:"pending,omitempty"`
	Redelivered SnapshotRedelivered `json:"redelivered,omitempty"`
}

// SequencePair is a pair of sequences.
type SequencePair struct {
	Consumer uint64 `json:"consumer_seq"`
	Stream   uint64 `json:"stream_seq"`
}

// SnapshotPending are the deliveries that wait for their ack, by stream sequence; in JSON an object with the stream
// sequences as keys.
type SnapshotPending []PendingDelivery

// PendingDelivery is a delivery that waits for its ack.
type PendingDelivery struct {
	Stream   uint64 // sequence in the stream
	Consumer uint64 // sequence of the consumer
	Time     int64  // of the last delivery, unix nanoseconds
}

// SnapshotRedelivered are messages that were delivered again, by stream sequence; in JSON an object with the stream
// sequences as keys.
type SnapshotRedelivered []RedeliveryCount

// RedeliveryCount is how often a message was delivered again.
type RedeliveryCount struct {
	Stream uint64 // sequence in the stream
	Count  uint64
}

// MarshalJSON writes the object.
func (l SnapshotPending) MarshalJSON() ([]byte, error) {
	b := make([]byte, 1, 2+64*len(l))
	b[0] = '{'
	for i := range l {
		b = appendSeqKey(b, i, l[i].Stream)
		b = append(b, `{"Sequence":`...)
		b = strconv.AppendUint(b, l[i].Consumer, 10)
		b = append(b, `,"Timestamp":`...)
		b = strconv.AppendInt(b, l[i].Time, 10)
		b = append(b, '}')
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads the object.
func (l *SnapshotPending) UnmarshalJSON(b []byte) error {
	*l = (*l)[:0]
	var v struct {
		Sequence  uint64
		Timestamp int64
	}
	err := seqObject(b, func(d *json.Decoder, seq uint64) error {
		v.Sequence, v.Timestamp = 0, 0
		err := d.Decode(&v)
		*l = append(*l, PendingDelivery{seq, v.Sequence, v.Timestamp})
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(*l, func(a, b PendingDelivery) int { return cmp.Compare(a.Stream, b.Stream) })
	for i := 1; i < len(*l); i++ {
		if (*l)[i].Stream == (*l)[i-1].Stream {
			return fmt.Errorf("sequence %d is pending twice", (*l)[i].Stream)
		}
	}
	return nil
}

// MarshalJSON writes the object.
func (l SnapshotRedelivered) MarshalJSON() ([]byte, error) {
	b := make([]byte, 1, 2+24*len(l))
	b[0] = '{'
	for i := range l {
		b = appendSeqKey(b, i, l[i].Stream)
		b = strconv.AppendUint(b, l[i].Count, 10)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads the object.
func (l *SnapshotRedelivered) UnmarshalJSON(b []byte) error {
	*l = (*l)[:0]
	err := seqObject(b, func(d *json.Decoder, seq uint64) error {
		var n uint64
		err := d.Decode(&n)
		*l = append(*l, RedeliveryCount{seq, n})
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(*l, func(a, b RedeliveryCount) int { return cmp.Compare(a.Stream, b.Stream) })
	for i := 1; i < len(*l); i++ {
		if (*l)[i].Stream == (*l)[i-1].Stream {
			return fmt.Errorf("sequence %d is redelivered twice", (*l)[i].Stream)
		}
	}
	return nil
}

func appendSeqKey(b []byte, i int, seq uint64) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = strconv.AppendUint(b, seq, 10)
	return append(b, '"', ':')
}

// seqObject reads an object, or null, whose keys are sequences; fn reads the value.
func seqObject(b []byte, fn func(*json.Decoder, uint64) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	switch t, err := d.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != json.Delim('{'):
		return fmt.Errorf("object expected, got %v", t)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		seq, err := strconv.ParseUint(key, 10, 64)
		if err != nil {
			return fmt.Errorf("sequence expected, got %q", key)
		}
		if err := fn(d, seq); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}
