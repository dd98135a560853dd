package netio

import "net/netip"

const (
	rateBurst = 10      // seconds of its rate that an address may use at once
	rateAddrs = 1 << 16 // addresses remembered; beyond it new ones are not limited
)

// acceptRate limits how often one address may connect: a token bucket for each, kept as the time at which it would be full again.
// IPv6 is counted by /64, which is what one customer has. Accept goroutine.
type acceptRate struct {
	step    int64 // nanoseconds that one connection costs
	full    map[netip.Addr]int64
	swept   int64
	refused int64      // since the last log line
	last    netip.Addr // refused last
}

func newAcceptRate(perSecond int) *acceptRate {
	return &acceptRate{step: int64(1e9) / int64(perSecond), full: make(map[netip.Addr]int64)}
}

// allow counts a connection from a at now, in nanoseconds that only grow, and reports whether it may be.
func (r *acceptRate) allow(a netip.Addr, now int64) bool {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	at, known := r.full[a]
	if !known && len(r.full) >= rateAddrs && !r.sweep(now) {
		return true
	}
	if at = max(at, now); at-now > rateBurst*1e9-r.step {
		r.refused++
		r.last = a
		return false
	}
	r.full[a] = at + r.step
	return true
}

// sweep forgets addresses whose bucket is full again, at most once a second, and reports whether there is room.
func (r *acceptRate) sweep(now int64) bool {
	if now-r.swept < 1e9 {
		return false
	}
	r.swept = now
	for a, at := range r.full {
		if at <= now {
			delete(r.full, a)
		}
	}
	return len(r.full) < rateAddrs
}
