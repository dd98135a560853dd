package rng

// IDLen is the length of a NUID in bytes.
const IDLen = prefixLen + seqLen

const (
	prefixLen = 12
	seqLen    = 10
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	maxSeq  = 839299365868340224 // 62^10
	minStep = 33
	maxStep = 333
)

// NUID makes identifiers in the form of NATS: 12 random base62 characters, then a 10-digit base62
// sequence that starts at random and grows by a random step. A new prefix is drawn when the sequence
// is used up. Create it with NewNUID.
type NUID struct {
	src    *Source
	prefix [prefixLen]byte
	seq    uint64
	step   uint64
}

// NewNUID returns a generator that draws from src, which it owns from then on.
func NewNUID(src *Source) *NUID {
	g := &NUID{src: src}
	g.renew()
	return g
}

func (g *NUID) renew() {
	for i := range g.prefix {
		g.prefix[i] = base62[g.src.Intn(len(base62))]
	}
	g.seq = g.src.Uint64n(maxSeq)
	g.step = minStep + g.src.Uint64n(maxStep-minStep)
}

// AppendNext appends a new identifier of IDLen characters.
func (g *NUID) AppendNext(dst []byte) []byte {
	g.seq += g.step
	if g.seq >= maxSeq {
		g.renew()
	}
	dst = append(dst, g.prefix[:]...)
	var digits [seqLen]byte
	for i, v := seqLen-1, g.seq; i >= 0; i-- {
		digits[i] = base62[v%62]
		v /= 62
	}
	return append(dst, digits[:]...)
}

// Next returns a new identifier.
func (g *NUID) Next() string {
	var b [IDLen]byte
	return string(g.AppendNext(b[:0]))
}
