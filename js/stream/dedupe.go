package stream

// dedupe remembers message ids for the duplicate window. Entries are in order of time, so that what is too old is at
// the head. It is part of the state of the machine.
type dedupe struct {
	fifo
	window int64 // nanoseconds; 0: off
}

// lookup returns the sequence of id if it is inside the window at now.
func (d *dedupe) lookup(id []byte, now int64) (uint64, bool) {
	if d.window == 0 {
		return 0, false
	}
	s := d.find(id)
	if s == nil || now-s.time >= d.window {
		return 0, false
	}
	return s.seq, true
}

// add remembers id.
func (d *dedupe) add(id []byte, seq uint64, time int64) {
	if d.window > 0 {
		d.push(id, seq, time)
	}
}

// expire forgets what left the window at now.
func (d *dedupe) expire(now int64) {
	for d.len() > 0 && now-d.at(d.head).time >= d.window {
		d.pop()
	}
}

// resize changes the window.
func (d *dedupe) setWindow(window, now int64) {
	d.window = window
	d.expire(now)
}
