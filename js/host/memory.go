package host

import "time"

// Memory that a shard keeps because it is likely to be needed again: frames of streams that shrank or are gone, and what was
// written lately, for readers. What nobody needed for ageEvery is let go.
const (
	ageEvery   = 5 * time.Second
	cacheBytes = 64 << 20  // of written frames of all streams that are in use
	cacheLeast = 256 << 10 // of one stream
	cacheMost  = 2 << 20
)

// armAge makes sure that age is called soon.
func (s *Shard) armAge() {
	if !s.ageTimer.Armed() {
		s.ageTimer.Owner = s
		s.wheel.Arm(&s.ageTimer, s.now+int64(ageEvery))
	}
}

// age lets go of memory that was not needed since the last call; it comes back as long as there is some.
func (s *Shard) age() {
	freed, left := s.in.age()
	freed += s.pool.Age() + s.batches.Age()
	dropped, kept := s.h.journal.Age()
	freed, left = freed+dropped, left+kept
	inUse := 0
	for st := range s.stores {
		if st.InUse() {
			inUse++
		}
	}
	limit := min(max(cacheBytes/max(inUse, 1), cacheLeast), cacheMost)
	left += s.pool.Bytes() + s.batches.Bytes()
	for st := range s.stores {
		n, kept := st.Age(limit)
		freed, left = freed+n, left+kept
	}
	s.h.freed(freed)
	if left > 0 {
		s.armAge()
	}
}

// freed tells the process that so many bytes are garbage.
func (h *Host) freed(n int) {
	if n > 0 && h.env.Freed != nil {
		h.env.Freed(n)
	}
}
