package consumer

// The flow control window, in bytes.
const (
	flowFirst = 2 << 20
	flowMax   = 32 << 20

	fcIDLen    = 4
	fcAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// flowControl keeps the bytes on the way below a window that grows with each answer.
type flowControl struct {
	on      bool
	window  int
	out     int    // bytes sent and not known to have arrived
	covered int    // of out, what the outstanding request covers
	waiting bool   // a request is outstanding
	subject []byte // of the outstanding request
}

func (f *flowControl) init(on bool) { *f = flowControl{on: on, window: flowFirst} }

func (f *flowControl) reset() { f.init(f.on) }

// closed reports whether delivery has to stop.
func (f *flowControl) closed() bool { return f.on && f.out > f.window }

// sent notes a delivery; true: a request has to be sent now.
func (f *flowControl) sent(size int) bool {
	if !f.on {
		return false
	}
	f.out += size
	if !f.waiting {
		return f.out > f.window/2
	}
	if f.out-f.covered >= f.window {
		f.covered += size // the answer must open the window
	}
	return false
}

// idle reports whether no request is outstanding.
func (f *flowControl) idle() bool { return f.on && !f.waiting }

func (f *flowControl) asked() { f.waiting, f.covered = true, f.out }

// stalled returns the subject of the request without answer, nil if there is none. It may have got lost: heartbeats name it
// whether or not the delivery waits for it already.
func (f *flowControl) stalled() []byte {
	if !f.waiting {
		return nil
	}
	return f.subject
}

// answered takes the answer; false if it is not that of the outstanding request.
func (f *flowControl) answered(subject []byte) bool {
	if !f.waiting || string(subject) != string(f.subject) {
		return false
	}
	f.window = min(2*f.window, flowMax)
	f.out = max(f.out-f.covered, 0)
	f.waiting, f.covered = false, 0
	return true
}

// bucket limits the rate in bytes.
type bucket struct {
	rate  float64 // bytes per nanosecond; 0 = unlimited
	burst float64
	have  float64
	at    int64 // when have was right
	due   int64 // when the message at hand may go; 0 = nothing waits
}

func (b *bucket) init(bps uint64, burst int, now int64) {
	*b = bucket{rate: float64(bps) / 8 / 1e9, burst: float64(max(burst, 1)), have: float64(max(burst, 1)), at: now}
}

// admit reports whether size bytes may go now, and else notes when.
func (b *bucket) admit(now int64, size int) bool {
	if b.rate == 0 {
		return true
	}
	if now > b.at {
		b.have = min(b.burst, b.have+float64(now-b.at)*b.rate)
		b.at = now
	}
	need := min(float64(size), b.burst)
	if b.have >= need {
		return true
	}
	b.due = now + max(int64((need-b.have)/b.rate)+1, 1)
	return false
}

func (b *bucket) spend(size int) {
	if b.rate != 0 {
		b.have -= float64(size)
	}
}
