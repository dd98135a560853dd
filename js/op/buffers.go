package op

const (
	keepBuffer  = 1 << 20 // larger ones are not used again
	keepBuffers = 4 << 20 // bytes of all that wait
)

// Buffers keeps the memory of batches for those to come, of whatever stream: a stream that is not busy holds none. The zero value is ready; with
// nil nothing is kept. Owner: one shard.
type Buffers struct {
	list   [][]byte
	bytes  int
	unused int // fewest that waited since the last Age
}

func (s *Buffers) get() []byte {
	if s == nil || len(s.list) == 0 {
		return nil
	}
	n := len(s.list) - 1
	b := s.list[n]
	s.list[n] = nil
	s.list = s.list[:n]
	s.bytes -= cap(b)
	s.unused = min(s.unused, n)
	return b
}

func (s *Buffers) put(b []byte) {
	if s == nil || cap(b) == 0 || cap(b) > keepBuffer || s.bytes+cap(b) > keepBuffers {
		return
	}
	s.list = append(s.list, b[:0])
	s.bytes += cap(b)
}

// Bytes returns what is kept.
func (s *Buffers) Bytes() int { return s.bytes }

// Age lets go of what nobody needed since the last call and returns its bytes.
func (s *Buffers) Age() int {
	n := min(s.unused, len(s.list))
	freed := 0
	for _, b := range s.list[:n] {
		freed += cap(b)
	}
	keep := copy(s.list, s.list[n:])
	clear(s.list[keep:])
	s.list, s.unused = s.list[:keep], keep
	s.bytes -= freed
	return freed
}
