package jstest

// Reduce drops operations as long as the rest still fails, first many at once, then few: what is left fails and is short.
func Reduce[T any](ops []T, fails func([]T) bool) []T {
	for size := max(len(ops)/2, 1); ; size /= 2 {
		for again := true; again; {
			again = false
			for from := 0; from < len(ops); {
				rest := append(append([]T(nil), ops[:from]...), ops[min(from+size, len(ops)):]...)
				if fails(rest) {
					ops, again = rest, true
					continue
				}
				from += size
			}
		}
		if size <= 1 {
			return ops
		}
	}
}
