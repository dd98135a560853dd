package subjidx

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// ID names a subject in this index. It is stable while the subject has an entry and is not given to another subject before
// Epoch changes.
type ID = uint32

// NoID is no id.
const NoID ID = 1<<32 - 1

// Entry is what is known about a subject. The pointer is valid until the next Put.
type Entry struct {
	First, Last uint64 // sequences; bounds only while the flag below is set
	Msgs        uint64
	key         uint32
	hash        uint32
	size        uint16
	Flags       Flags
	dead        bool
}

// Flags of an entry.
type Flags uint8

// The flags: the sequence is a bound (First a lower, Last an upper one) until the owner looks it up.
const (
	FirstStale Flags = 1 << iota
	LastStale
)

const (
	slabShift = 9
	slabSize  = 1 << slabShift
	keyShift  = 16
	keyChunk  = 1 << keyShift
	// MaxSubject is the longest subject an index takes.
	MaxSubject = keyChunk - 1
)

// Index is an index of subjects. Create it with New.
type Index struct {
	seed   maphash.Seed
	slots  []uint32 // id+1; 0 = empty
	slabs  [][]Entry
	next   ID // never used before
	free   []ID
	dead   []ID // deleted since the last recycling
	keys   [][]byte
	waste  int // key bytes of dead entries
	live   int
	epoch  uint32
	sorted []ID // by subject; may hold dead ones
	recent []ID // not in sorted yet
	inSort bool // recent is in order
}

// New returns an empty index.
func New() *Index { return &Index{seed: maphash.MakeSeed()} }

// Len returns the number of subjects.
func (x *Index) Len() int { return x.live }

// Epoch changes when ids of deleted subjects may be used again.
func (x *Index) Epoch() uint32 { return x.epoch }

// MaxID returns an upper bound of the ids in use.
func (x *Index) MaxID() ID { return x.next }

// At returns the entry with an id that is in use.
func (x *Index) At(id ID) *Entry { return &x.slabs[id>>slabShift][id%slabSize] }

// Key returns the subject of an id; borrowed, not to be changed. Nil if the subject was deleted.
func (x *Index) Key(id ID) []byte {
	if id >= x.next {
		return nil
	}
	e := x.At(id)
	if e.dead {
		return nil
	}
	return x.key(e)
}

func (x *Index) key(e *Entry) []byte {
	o := e.key % keyChunk
	return x.keys[e.key>>keyShift][o : o+uint32(e.size) : o+uint32(e.size)]
}

func (x *Index) hash(subject []byte) uint32 { return uint32(maphash.Bytes(x.seed, subject)) }

// Get finds a subject; NoID and nil if it has no entry.
func (x *Index) Get(subject []byte) (ID, *Entry) {
	if len(x.slots) == 0 {
		return NoID, nil
	}
	h := x.hash(subject)
	m := uint32(len(x.slots) - 1)
	for i := h & m; ; i = (i + 1) & m {
		id := x.slots[i]
		if id == 0 {
			return NoID, nil
		}
		if e := x.At(id - 1); e.hash == h && bytes.Equal(x.key(e), subject) {
			return id - 1, e
		}
	}
}

// Put finds a subject, adding an entry with zero counts if it has none. len(subject) <= MaxSubject.
func (x *Index) Put(subject []byte) (ID, *Entry) {
	if id, e := x.Get(subject); e != nil {
		return id, e
	}
	if (x.live+1)*8 > len(x.slots)*5 {
		x.grow()
	}
	h := x.hash(subject)
	id := x.alloc()
	e := x.At(id)
	*e = Entry{key: x.addKey(subject), size: uint16(len(subject)), hash: h}
	x.place(id, h)
	x.live++
	x.recent = append(x.recent, id)
	x.inSort = false
	return id, e
}

func (x *Index) place(id ID, h uint32) {
	m := uint32(len(x.slots) - 1)
	i := h & m
	for x.slots[i] != 0 {
		i = (i + 1) & m
	}
	x.slots[i] = id + 1
}

func (x *Index) grow() {
	old := x.slots
	x.slots = make([]uint32, max(8, 2*len(old)))
	for _, id := range old {
		if id != 0 {
			x.place(id-1, x.At(id-1).hash)
		}
	}
}

func (x *Index) alloc() ID {
	if n := len(x.free); n > 0 {
		id := x.free[n-1]
		x.free = x.free[:n-1]
		return id
	}
	id := x.next
	x.next++
	k := int(id >> slabShift)
	if k == len(x.slabs) {
		var slab []Entry
		if k > 0 {
			slab = make([]Entry, 0, slabSize)
		}
		x.slabs = append(x.slabs, slab)
	}
	x.slabs[k] = append(x.slabs[k], Entry{})
	return id
}

// addKey stores a subject and returns where.
func (x *Index) addKey(subject []byte) uint32 {
	k := len(x.keys) - 1
	if k < 0 || len(x.keys[k])+len(subject) > keyChunk {
		x.keys = append(x.keys, nil)
		k++
		if k > 0 {
			x.keys[k] = make([]byte, 0, keyChunk)
		}
	}
	at := uint32(k)<<keyShift + uint32(len(x.keys[k]))
	x.keys[k] = append(x.keys[k], subject...)
	return at
}

// Delete removes the entry of an id.
func (x *Index) Delete(id ID) {
	e := x.At(id)
	if e.dead {
		return
	}
	m := uint32(len(x.slots) - 1)
	i := e.hash & m
	for x.slots[i] != id+1 {
		i = (i + 1) & m
	}
	// Close the gap: move back what would no longer be found.
	for j := (i + 1) & m; x.slots[j] != 0; j = (j + 1) & m {
		home := x.At(x.slots[j]-1).hash & m
		if (j-home)&m >= (j-i)&m {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
	e.dead = true
	x.live--
	x.waste += int(e.size)
	x.dead = append(x.dead, id)
	if len(x.dead) > 1024 && len(x.dead) > x.live {
		x.recycle()
	}
}

// recycle frees the ids and keys of deleted subjects.
func (x *Index) recycle() {
	isDead := func(id ID) bool { return x.At(id).dead }
	x.sorted = slices.DeleteFunc(x.sorted, isDead)
	x.recent = slices.DeleteFunc(x.recent, isDead)
	old := x.keys
	x.keys = nil
	for _, list := range [][]ID{x.sorted, x.recent} {
		for _, id := range list {
			e := x.At(id)
			o := e.key % keyChunk
			e.key = x.addKey(old[e.key>>keyShift][o : o+uint32(e.size)])
		}
	}
	x.free = append(x.free, x.dead...)
	x.dead = x.dead[:0]
	x.waste = 0
	x.epoch++
	if want := max(8, x.live*4); len(x.slots) > want*4 {
		n := 8
		for n < want {
			n *= 2
		}
		x.slots = make([]uint32, n)
		for _, list := range [][]ID{x.sorted, x.recent} {
			for _, id := range list {
				x.place(id, x.At(id).hash)
			}
		}
	}
}

// Clear removes all subjects; ids start again.
func (x *Index) Clear() {
	*x = Index{seed: x.seed, epoch: x.epoch + 1}
}
