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
