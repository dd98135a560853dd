package conf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Digest identifies what the configuration means: the SHA-256 of its JSON form with sorted keys.
// Layout, comments and the way strings are written have no influence; definitions of variables do.
func (t *Tree) Digest() (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(t.Root.plain()); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// Any returns the value as JSON libraries represent it: integers as int64, dates as strings.
func (v *Value) Any() any {
	switch v.Kind {
	case Int:
		return v.Int
	case Float:
		return v.Float
	case Bool:
		return v.Bool
	case Array:
		items := make([]any, len(v.Items))
		for i, item := range v.Items {
			items[i] = item.Any()
		}
		return items
	case Map:
		return v.Map.plain()
	}
	return v.Str
}

func (o *Object) plain() map[string]any {
	m := make(map[string]any, len(o.Entries))
	for _, e := range o.Entries {
		m[e.Key] = e.Value.Any()
	}
	return m
}
