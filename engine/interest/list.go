package interest

import "slices"

// list is the subscriptions to one subject, when there are several. A published list is immutable;
// a longer one may share its arrays, which readers of the shorter never look at beyond its length.
type list struct {
	plain, queue []*Sub
	dead         int  // removed ones still in the arrays
	remote       bool // some are of links to other servers
}

// lazyRemoval is the length from which a removed subscription stays in the arrays until a quarter
// is dead: mass disconnects from one subject would copy the array once for each otherwise.
const lazyRemoval = 32

func (l *list) len() int  { return len(l.plain) + len(l.queue) }
func (l *list) live() int { return l.len() - l.dead }

// with returns l plus s. Only the newest list of an entry may be extended.
func (l *list) with(s *Sub) *list {
	n := *l
	if s.HasQueue() {
		n.queue = append(n.queue, s)
	} else {
		n.plain = append(n.plain, s)
	}
	n.remote = n.remote || s.Remote()
	return &n
}

// contains reports that s is in l. It is trusted of long lists.
func (l *list) contains(s *Sub) bool {
	return l.len() > lazyRemoval || slices.Contains(l.plain, s) || slices.Contains(l.queue, s)
}

// without returns l after s, whose inserted flag is cleared already, was removed.
func (l *list) without() *list {
	n := *l
	n.dead++
	if n.len() > lazyRemoval && n.dead*4 <= n.len() {
		return &n
	}
	n = list{plain: live(nil, l.plain), queue: live(nil, l.queue)}
	for _, s := range n.plain {
		n.remote = n.remote || s.Remote()
	}
	for _, s := range n.queue {
		n.remote = n.remote || s.Remote()
	}
	return &n
}

// first returns a live subscription of l, which has one.
func (l *list) first() *Sub {
	for _, part := range [2][]*Sub{l.plain, l.queue} {
		for _, s := range part {
			if s.inserted() {
				return s
			}
		}
	}
	return nil
}

// live appends the subscriptions of src that are still inserted to dst.
func live(dst, src []*Sub) []*Sub {
	for _, s := range src {
		if s.inserted() {
			dst = append(dst, s)
		}
	}
	return dst
}
