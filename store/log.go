package store

// Filter selects messages by subject. It belongs to one user of one stream store (a consumer, a request) and may be kept
// between calls: the store remembers in it what it found out. Owner: the shard of the stream.
type Filter struct {
	Subjects []string // wildcards allowed; any of them matches; none = every message
	Memo     any      // scratch of the store; set to nil when Subjects change
}

// All reports whether f selects every message. A nil filter does.
func (f *Filter) All() bool {
	if f == nil || len(f.Subjects) == 0 {
		return true
	}
	for _, s := range f.Subjects {
		if s == ">" {
			return true
		}
	}
	return false
}

// PurgeSpec says what to purge: messages that match Filter, below BelowSeq (0 = no bound), except the newest Keep of them.
type PurgeSpec struct {
	Filter   *Filter
	BelowSeq uint64
	Keep     uint64
}

// Totals is what a stream store knows about one subject.
type Totals struct {
	First, Last uint64 // sequences
	Msgs        uint64
}
