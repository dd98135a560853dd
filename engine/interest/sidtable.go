package interest

import "ramjet/proto/subject"

// SidTable holds the subscriptions of one connection by sid: eight to fourteen bytes each, and
// nothing when empty. Owner: the connection's loop. The zero value is ready.
type SidTable struct{ t *table }

// Len returns the number of subscriptions.
func (x *SidTable) Len() int {
	if x.t == nil {
		return 0
	}
	return x.t.n
}

// Get returns the subscription with that sid, or nil. sid is borrowed.
func (x *SidTable) Get(sid []byte) *Sub {
	if x.t == nil {
		return nil
	}
	key := subject.View(sid)
	s, _, _ := x.t.find(hashOf(formSID, key), formSID, key)
	return s
}

// Put adds s and returns true, or leaves the table as it is when its sid is taken.
func (x *SidTable) Put(s *Sub) bool {
	h := hashSID(s)
	if x.t == nil {
		x.t = newTable(1)
	}
	if old, _, _ := x.t.find(h, formSID, s.SID()); old != nil {
		return false
	}
	if x.t.full() {
		x.t = x.t.grown(hashSID)
	}
	x.t.put(h, s)
	return true
}

// Delete removes and returns the subscription with that sid, or returns nil. sid is borrowed.
func (x *SidTable) Delete(sid []byte) *Sub {
	if x.t == nil {
		return nil
	}
	key := subject.View(sid)
	h := hashOf(formSID, key)
	s, b, j := x.t.find(h, formSID, key)
	if s == nil {
		return nil
	}
	x.t.drop(h, b, j)
	switch {
	case x.t.n == 0:
		x.t = nil
	case x.t.sparse():
		x.t = x.t.resized(x.t.n*2, hashSID)
	}
	return s
}

// Range calls fn for each subscription until it returns false; fn must not change the table. The
// order is not defined.
func (x *SidTable) Range(fn func(*Sub) bool) {
	if x.t != nil {
		x.t.each(fn)
	}
}
