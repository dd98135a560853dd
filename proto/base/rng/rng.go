package rng

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/bits"
)

// Source is a pseudo-random generator (xoshiro256++ of Blackman and Vigna, 2019; period 2^256-1).
// Equal seeds give equal sequences, on every platform and for ever: simulations depend on it.
type Source struct{ s [4]uint64 }

// New returns a source seeded with seed.
func New(seed uint64) *Source {
	r := new(Source)
	r.Seed(seed)
	return r
}

// NewRandom returns a source seeded by the operating system.
func NewRandom() *Source {
	var b [32]byte
	crand.Read(b[:]) // never fails: the runtime ends the process instead
	r := new(Source)
	for i := range r.s {
		r.s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	if r.s == [4]uint64{} {
		r.Seed(0) // the one state that does not move
	}
	return r
}

// Seed starts the sequence of seed.
func (r *Source) Seed(seed uint64) {
	// splitmix64, as the authors of xoshiro advise: nearby seeds give unrelated states.
	for i := range r.s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		r.s[i] = z ^ z>>31
	}
}

// Fork returns a source of its own, seeded from this one.
func (r *Source) Fork() *Source { return New(r.Uint64()) }

// Uint64 returns 64 random bits.
func (r *Source) Uint64() uint64 {
	s := &r.s
	out := bits.RotateLeft64(s[0]+s[3], 23) + s[0]
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return out
}

// Uint64n returns a uniform number in [0, n); n must not be 0.
func (r *Source) Uint64n(n uint64) uint64 {
	if n == 0 {
		panic("rng: empty range")
	}
	// Lemire's multiplication; the rare draws that would favour small results are repeated.
	hi, lo := bits.Mul64(r.Uint64(), n)
	if lo < n {
		for limit := -n % n; lo < limit; {
			hi, lo = bits.Mul64(r.Uint64(), n)
		}
	}
	return hi
}

// Intn returns a uniform number in [0, n); n must be positive.
func (r *Source) Intn(n int) int {
	if n <= 0 {
		panic("rng: empty range")
	}
	return int(r.Uint64n(uint64(n)))
}

// Float64 returns a uniform number in [0, 1).
func (r *Source) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Shuffle permutes n items by calling swap.
func (r *Source) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, r.Intn(i+1))
	}
}

// Fill writes random bytes.
func (r *Source) Fill(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, r.Uint64())
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.Uint64())
		copy(b, last[:])
	}
}
