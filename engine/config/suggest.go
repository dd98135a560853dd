package config

import (
	"slices"
	"strings"
)

// nearest returns the candidate that key was probably meant to be, or "".
func nearest(key string, candidates []string) string {
	key = strings.ToLower(key)
	if len(key) > 64 {
		return ""
	}
	best, limit := "", max(1, len(key)/3)+1
	for _, c := range candidates {
		if len(key) >= 4 && (strings.HasPrefix(c, key) || strings.HasPrefix(key, c) && len(c) >= 4) && best == "" {
			best, limit = c, min(limit, 3)
			continue
		}
		if d := distance(key, c); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	before, prev := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// hint is the end of a message about an unknown key.
func hint(key string, candidates []string) string {
	if c := nearest(key, candidates); c != "" {
		return " (did you mean \"" + c + "\"?)"
	}
	if len(candidates) > 0 && len(candidates) <= 12 {
		names := slices.Clone(candidates)
		slices.Sort(names)
		return " (expected one of: " + strings.Join(names, ", ") + ")"
	}
	return ""
}
