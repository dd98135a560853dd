package jsapi

import (
	"encoding/json"
	"fmt"
)

// Retention, Discard, Storage, Compression, PersistMode, DeliverPolicy, AckPolicy, ReplayPolicy and
// PriorityPolicy are the enumerations of stream and consumer configurations. In JSON they are texts; an
// unknown text is a JSON error.
type (
	Retention      uint8
	Discard        uint8
	Storage        uint8
	Compression    uint8
	PersistMode    uint8
	DeliverPolicy  uint8
	AckPolicy      uint8
	ReplayPolicy   uint8
	PriorityPolicy uint8
)

// Values of the enumerations; zero is the default.
const (
	LimitsRetention Retention = iota
	InterestRetention
	WorkQueueRetention
)

const (
	DiscardOld Discard = iota
	DiscardNew
)

const (
	FileStorage Storage = iota
	MemoryStorage
)

const (
	NoCompression Compression = iota
	S2Compression
)

const (
	PersistDefault PersistMode = iota
	PersistAsync
)

const (
	DeliverAll DeliverPolicy = iota
	DeliverLast
	DeliverNew
	DeliverByStartSequence
	DeliverByStartTime
	DeliverLastPerSubject
)

const (
	AckNone AckPolicy = iota
	AckAll
	AckExplicit
	AckFlowControl
)

const (
	ReplayInstant ReplayPolicy = iota
	ReplayOriginal
)

const (
	PriorityNone PriorityPolicy = iota
	PriorityOverflow
	PriorityPinned
	PriorityPrioritized
)

const (
	retentionTexts = "limits interest workqueue"
	discardTexts   = "old new"
	storageTexts   = "file memory"
	compressTexts  = "none s2"
	persistTexts   = "default async"
	deliverTexts   = "all last new by_start_sequence by_start_time last_per_subject"
	ackTexts       = "none all explicit flow_control"
	replayTexts    = "instant original"
	priorityTexts  = "none overflow pinned_client prioritized"
)

// word returns the i-th word of list, "" if there is none.
func word(list string, i int) string {
	start := 0
	for p := 0; p <= len(list); p++ {
		if p < len(list) && list[p] != ' ' {
			continue
		}
		if i == 0 {
			return list[start:p]
		}
		i--
		start = p + 1
	}
	return ""
}

func marshalEnum(list string, v uint8) ([]byte, error) {
	w := word(list, int(v))
	if w == "" {
		return nil, fmt.Errorf("can not marshal %d", v)
	}
	return json.Marshal(w)
}

func unmarshalEnum(list string, b []byte, v *uint8) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil && s != "" {
		for i := 0; ; i++ {
			w := word(list, i)
			if w == "" {
				break
			}
			if w == s {
				*v = uint8(i)
				return nil
			}
		}
	}
	return fmt.Errorf("can not unmarshal %q", b)
}

func (v Retention) String() string               { return word(retentionTexts, int(v)) }
func (v Retention) MarshalJSON() ([]byte, error) { return marshalEnum(retentionTexts, uint8(v)) }
func (v *Retention) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(retentionTexts, b, (*uint8)(v))
}
func (v Discard) String() string                   { return word(discardTexts, int(v)) }
func (v Discard) MarshalJSON() ([]byte, error)     { return marshalEnum(discardTexts, uint8(v)) }
func (v *Discard) UnmarshalJSON(b []byte) error    { return unmarshalEnum(discardTexts, b, (*uint8)(v)) }
func (v Storage) String() string                   { return word(storageTexts, int(v)) }
func (v Storage) MarshalJSON() ([]byte, error)     { return marshalEnum(storageTexts, uint8(v)) }
func (v *Storage) UnmarshalJSON(b []byte) error    { return unmarshalEnum(storageTexts, b, (*uint8)(v)) }
func (v Compression) String() string               { return word(compressTexts, int(v)) }
func (v Compression) MarshalJSON() ([]byte, error) { return marshalEnum(compressTexts, uint8(v)) }
func (v *Compression) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(compressTexts, b, (*uint8)(v))
}
func (v PersistMode) String() string               { return word(persistTexts, int(v)) }
func (v PersistMode) MarshalJSON() ([]byte, error) { return marshalEnum(persistTexts, uint8(v)) }
func (v *PersistMode) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(persistTexts, b, (*uint8)(v))
}
func (v DeliverPolicy) String() string               { return word(deliverTexts, int(v)) }
func (v DeliverPolicy) MarshalJSON() ([]byte, error) { return marshalEnum(deliverTexts, uint8(v)) }
func (v *DeliverPolicy) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(deliverTexts, b, (*uint8)(v))
}
func (v AckPolicy) String() string                  { return word(ackTexts, int(v)) }
func (v AckPolicy) MarshalJSON() ([]byte, error)    { return marshalEnum(ackTexts, uint8(v)) }
func (v *AckPolicy) UnmarshalJSON(b []byte) error   { return unmarshalEnum(ackTexts, b, (*uint8)(v)) }
func (v ReplayPolicy) String() string               { return word(replayTexts, int(v)) }
func (v ReplayPolicy) MarshalJSON() ([]byte, error) { return marshalEnum(replayTexts, uint8(v)) }
func (v *ReplayPolicy) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(replayTexts, b, (*uint8)(v))
}
func (v PriorityPolicy) String() string               { return word(priorityTexts, int(v)) }
func (v PriorityPolicy) MarshalJSON() ([]byte, error) { return marshalEnum(priorityTexts, uint8(v)) }
func (v *PriorityPolicy) UnmarshalJSON(b []byte) error {
	return unmarshalEnum(priorityTexts, b, (*uint8)(v))
}
