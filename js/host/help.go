package host

import (
	"fmt"
	"runtime/debug"
)

// helpMost is how many waiting items a helper handles itself.
const helpMost = 8

// Helper lets a loop handle the few messages that it brought to an idle shard by itself at the end of its turn: that is quicker than to
// wake the shard's goroutine, which may need another thread, and costs less. What takes longer is left to the shard, and with
// it every write to a file that might (loopsWrite). It belongs to one loop, that names it in its messages.
type Helper struct{ shards []*Shard }

func (h *Helper) add(s *Shard) { h.shards = append(h.shards, s) }

// Pending reports whether there is something to do.
func (h *Helper) Pending() bool { return len(h.shards) > 0 }

// Run ends a turn of the loop.
func (h *Helper) Run() {
	for i, s := range h.shards {
		s.help()
		h.shards[i] = nil
	}
	h.shards = h.shards[:0]
}

// help does a turn of the shard, if it is a short one and nobody else does it.
func (s *Shard) help() {
	n, slow := s.in.waiting()
	if n == 0 {
		return // they are handled already
	}
	if n > helpMost || slow > 0 || !s.owner.TryLock() {
		s.poke()
		return
	}
	defer func() {
		if v := recover(); v != nil {
			// The shard is in an unknown state. On its own goroutine this would have ended the process too.
			stack := debug.Stack()
			go func() { panic(fmt.Sprintf("%v\n%s", v, stack)) }()
			select {}
		}
	}()
	s.helped = true
	s.step(false)
	s.helped = false
	s.owner.Unlock()
	if n, _ := s.in.waiting(); n > 0 {
		s.poke()
	}
}
