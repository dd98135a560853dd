package store

// Filter selects messages by subject: a message passes when its subject matches any of the patterns; no patterns pass
// everything. It is immutable after it was first used; a store may keep what it compiled in Compiled (owner: the shard
// of the stream).
type Filter struct {
	Patterns []string
	Compiled any
}

// All reports that everything passes.
func (f *Filter) All() bool {
	return f == nil || len(f.Patterns) == 0 || (len(f.Patterns) == 1 && f.Patterns[0] == ">")
}

// Purge selects what a purge removes. Zero: everything.
type Purge struct {
	Filter *Filter
	Below  uint64 // only sequences below this; 0 = no bound
	Keep   uint64 // keep the newest so many that match; not together with Below
}
