package subject

// Collide reports whether some literal subject matches both a and b: the test for overlapping
// stream subjects, imports and permissions. Both must be Valid; either may have wildcards.
func Collide(a, b string) bool {
	for {
		at, arest, amore := Next(a)
		bt, brest, bmore := Next(b)
		switch {
		case at == "" || bt == "":
			return false
		case at == ">" || bt == ">":
			return true
		case at == "*" || bt == "*":
		case at != bt:
			return false
		}
		if !amore || !bmore {
			return amore == bmore
		}
		a, b = arest, brest
	}
}

// Intersect returns the pattern of the literal subjects that both a and b match; ok is false when there
// are none. Both must be Valid. It allocates: for subscriptions and configuration.
func Intersect(a, b string) (both string, ok bool) {
	if !Collide(a, b) {
		return "", false
	}
	out := make([]byte, 0, max(len(a), len(b)))
	for {
		at, arest, amore := Next(a)
		bt, brest, bmore := Next(b)
		switch {
		case at == ">":
			return string(append(out, b...)), true
		case bt == ">":
			return string(append(out, a...)), true
		case at == "*":
			out = append(out, bt...)
		default:
			out = append(out, at...)
		}
		if !amore || !bmore {
			return string(out), true
		}
		out = append(out, Sep)
		a, b = arest, brest
	}
}
