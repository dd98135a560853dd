package interest

// Stats are the figures of /subsz. Index.Stats fills what the index knows, Cache.Stats the rest; the
// reader adds them up over accounts and loops.
type Stats struct {
	Subscriptions             uint32
	CacheSize                 uint32
	Inserts, Removes, Matches uint64
	CacheHits                 uint64
	MaxFanout                 uint32
	AvgFanout                 float64 // over CacheSize cached results
}

// Add adds o to t.
func (t *Stats) Add(o Stats) {
	if n := t.CacheSize + o.CacheSize; n > 0 {
		t.AvgFanout = (t.AvgFanout*float64(t.CacheSize) + o.AvgFanout*float64(o.CacheSize)) / float64(n)
	}
	t.Subscriptions += o.Subscriptions
	t.CacheSize += o.CacheSize
	t.Inserts += o.Inserts
	t.Removes += o.Removes
	t.Matches += o.Matches
	t.CacheHits += o.CacheHits
	t.MaxFanout = max(t.MaxFanout, o.MaxFanout)
}

// HitRate returns the share of matches answered from a cache, 0 to 1.
func (t *Stats) HitRate() float64 {
	if t.Matches == 0 {
		return 0
	}
	return float64(t.CacheHits) / float64(t.Matches)
}

// Stats returns the subscriptions, insertions and removals of x. Any goroutine.
func (x *Index) Stats() Stats {
	return Stats{
		Subscriptions: uint32(max(x.count.Load(), 0)),
		Inserts:       x.inserted.Load(),
		Removes:       x.removed.Load(),
	}
}
