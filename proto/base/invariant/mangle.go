package invariant

// Poison is the byte that Mangle writes.
const Poison = 0xCC

// Mangled reports whether b consists of Poison only. It works in every build; tests use it.
func Mangled(b []byte) bool {
	for _, c := range b {
		if c != Poison {
			return false
		}
	}
	return true
}
