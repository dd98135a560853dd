package header

// field is where a field stands in a block: the line from start to end, which excludes its CRLF, with
// the value from value on.
type field struct{ start, value, end int }

// find returns the first field named key at or after from; ok is false if there is none. from must be
// the index of a CRLF or before it.
func find(block []byte, key string, from int) (f field, ok bool) {
	if key == "" {
		return field{}, false
	}
	for {
		i := indexCRLF(block[from:])
		if i < 0 {
			return field{}, false
		}
		f.start = from + i + len(crlf)
		colon := f.start + len(key)
		if colon < len(block) && block[colon] == ':' && string(block[f.start:colon]) == key {
			break
		}
		from = f.start
	}
	f.value = f.start + len(key) + 1
	f.end = len(block)
	if i := indexCRLF(block[f.value:]); i >= 0 {
		f.end = f.value + i
	}
	for f.value < f.end && block[f.value] == ' ' {
		f.value++
	}
	return f, true
}

// Get returns the value of the first field named key; nil if there is none. An empty value is not nil.
func Get(block []byte, key string) []byte {
	f, ok := find(block, key, 0)
	if !ok {
		return nil
	}
	return block[f.value:f.end:f.end]
}

// Has reports whether block has a field named key.
func Has(block []byte, key string) bool {
	_, ok := find(block, key, 0)
	return ok
}
