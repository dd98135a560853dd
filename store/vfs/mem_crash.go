package vfs

import "maps"

// NameRule says when a changed directory entry is durable.
type NameRule uint8

// The rules, as in the power-cut scenarios: strict leans on nothing but SyncDir.
const (
	NamesStrict  NameRule = iota // after SyncDir of the directory
	NamesOrdered                 // after any later sync of anything (a journaling file system's habit)
)

// SetNameRule chooses the rule; the default is NamesStrict.
func (m *Mem) SetNameRule(r NameRule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rule = r
}

// Crash says what of the unsynced state survives a power cut. Rand returns a number in [0, n).
type Crash struct {
	Rand func(n int) int
	Keep int  // percent of unsynced blocks and directory changes that survive, each by chance
	Torn bool // a surviving block may hold only a prefix of whole sectors of the new content
}

const sector = 512

// CrashClone returns the file system as a restart after a power cut now would find it. m goes on unchanged.
func (m *Mem) CrashClone(c Crash) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Rand == nil {
		c.Keep = 0
	}
	out := NewMem()
	out.limit, out.rule = m.limit, m.rule
	seen := map[*memNode]*memNode{}
	out.root = c.clone(m.root, seen)
	out.used = treeSize(out.root)
	return out
}

func (c *Crash) keep() bool { return c.Keep > 0 && c.Rand(100) < c.Keep }

func (c *Crash) clone(n *memNode, seen map[*memNode]*memNode) *memNode {
	if done := seen[n]; done != nil {
		return done
	}
	out := &memNode{}
	seen[n] = out
	if n.dir != nil {
		out.dir = map[string]*memNode{}
		for name, child := range c.durableEntries(n) {
			out.dir[name] = c.clone(child, seen)
		}
		return out
	}
	out.data = c.durableData(n)
	out.durableSize = int64(len(out.data))
	return out
}

// durableEntries undoes the pending changes of a directory, then redoes those that survive, in order.
func (c *Crash) durableEntries(n *memNode) map[string]*memNode {
	entries := n.undone()
	for _, op := range n.pending {
		if !c.keep() {
			continue
		}
		if op.remove != "" {
			delete(entries, op.remove)
		}
		if op.add != "" {
			entries[op.add] = op.node
		}
	}
	return entries
}

// undone returns the entries as of the last SyncDir.
func (n *memNode) undone() map[string]*memNode {
	if len(n.pending) == 0 {
		return maps.Clone(n.dir)
	}
	return maps.Clone(n.durable)
}

// durableData returns the content a crash leaves.
func (c *Crash) durableData(n *memNode) []byte {
	size := n.durableSize
	if int64(len(n.data)) != size && c.keep() {
		size = int64(len(n.data))
	}
	data := make([]byte, size)
	copy(data, n.data)
	for b, old := range n.before {
		start := b * memBlock
		if start >= size {
			continue
		}
		block := data[start:min(start+memBlock, size)]
		from := 0 // first byte that falls back to the old content
		if c.keep() {
			from = len(block)
			if c.Torn {
				from = min(len(block), c.Rand(memBlock/sector+1)*sector)
			}
		}
		for i := from; i < len(block); i++ {
			block[i] = 0
			if i < len(old) {
				block[i] = old[i]
			}
		}
	}
	return data
}
