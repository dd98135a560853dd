package conf

import "strconv"

// Kind is the type of a value.
type Kind uint8

// The kinds of values.
const (
	String Kind = iota
	Int
	Float
	Bool
	Time // 2006-01-02T15:04:05Z only; the text is in Str
	Array
	Map
)

var kindNames = [...]string{"string", "integer", "float", "boolean", "date", "array", "map"}

func (k Kind) String() string { return kindNames[k] }

// Pos is a place in a file; Line and Col count from 1, Col in bytes.
type Pos struct {
	File      string
	Line, Col int
}

// Value is one value. Only the field of its kind is set.
type Value struct {
	Kind  Kind
	Bool  bool
	Int   int64
	Float float64
	Str   string
	Items []*Value
	Map   *Object
	Pos   Pos
	// FromVar says that the value was taken from a variable; it then keeps the position of the
	// definition inside, while Pos is the place of use.
	FromVar bool

	nodes int // values in this tree, variables expanded
}

// Entry is one key of a map. Pos is the first character of the key, after the quote if quoted.
type Entry struct {
	Key   string
	Pos   Pos
	Value *Value
	// Used says that a variable was replaced by this entry, so that the key need not be known.
	Used bool
}

// Object is a map in the order of definition. A key given again replaces the entry, in its old place.
type Object struct {
	Entries []*Entry
	byKey   map[string]int
}

// Get returns the entry with exactly this key, or nil.
func (o *Object) Get(key string) *Entry {
	if o == nil {
		return nil
	}
	if i, ok := o.byKey[key]; ok {
		return o.Entries[i]
	}
	return nil
}

func (o *Object) put(e *Entry) {
	if i, ok := o.byKey[e.Key]; ok {
		o.Entries[i] = e
		return
	}
	if o.byKey == nil {
		o.byKey = make(map[string]int)
	}
	o.byKey[e.Key] = len(o.Entries)
	o.Entries = append(o.Entries, e)
}

// Tree is a parsed file with everything it includes.
type Tree struct {
	Root *Object
	// Files are the names of all files read, the first one being the main file.
	Files []string
}

// Text shows a scalar as it would be written, and the kind of others.
func (v *Value) Text() string {
	switch v.Kind {
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case Bool:
		return strconv.FormatBool(v.Bool)
	case Array, Map:
		return v.Kind.String()
	}
	return v.Str
}
