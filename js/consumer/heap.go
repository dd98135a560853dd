package consumer

// heap is a min-heap of deadlines of slab entries, at most one per entry. The zero value is empty.
type heap struct {
	items []heapItem
	pos   []int32 // by id: index in items plus one, 0 = absent
}

type heapItem struct {
	at int64
	id int32
}

// min returns the earliest deadline; ok is false if there is none.
func (h *heap) min() (at int64, id int32, ok bool) {
	if len(h.items) == 0 {
		return 0, 0, false
	}
	return h.items[0].at, h.items[0].id, true
}

func (h *heap) has(id int32) bool { return int(id) < len(h.pos) && h.pos[id] != 0 }

// set adds id or moves it to another deadline.
func (h *heap) set(id int32, at int64) {
	for int(id) >= len(h.pos) {
		h.pos = append(h.pos, 0)
	}
	i := int(h.pos[id]) - 1
	if i < 0 {
		i = len(h.items)
		h.items = append(h.items, heapItem{})
	}
	h.place(i, heapItem{at, id})
}

func (h *heap) remove(id int32) {
	if !h.has(id) {
		return
	}
	i := int(h.pos[id]) - 1
	h.pos[id] = 0
	last := h.items[len(h.items)-1]
	h.items = h.items[:len(h.items)-1]
	if i < len(h.items) {
		h.place(i, last)
	}
}

func (h *heap) clear() {
	for _, it := range h.items {
		h.pos[it.id] = 0
	}
	h.items = h.items[:0]
}

// place puts it at i or where it belongs from there.
func (h *heap) place(i int, it heapItem) {
	for i > 0 {
		up := (i - 1) / 2
		if h.items[up].at <= it.at {
			break
		}
		h.put(i, h.items[up])
		i = up
	}
	for {
		down := 2*i + 1
		if down >= len(h.items) {
			break
		}
		if r := down + 1; r < len(h.items) && h.items[r].at < h.items[down].at {
			down = r
		}
		if h.items[down].at >= it.at {
			break
		}
		h.put(i, h.items[down])
		i = down
	}
	h.put(i, it)
}

func (h *heap) put(i int, it heapItem) {
	h.items[i] = it
	h.pos[it.id] = int32(i) + 1
}
