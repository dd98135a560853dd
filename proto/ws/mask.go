package ws

import "encoding/binary"

// Mask applies key to b in place, as if b started at position pos of the payload, and returns the
// position after b (only its value modulo 4 matters). Masking twice restores b (RFC 6455, 5.3).
func Mask(b []byte, key [4]byte, pos int) int {
	next := (pos + len(b)) & 3
	// Rotate the key so that its first byte belongs to b[0]; then whole words need no index.
	k := binary.LittleEndian.Uint32(key[:])
	if r := uint(pos&3) * 8; r != 0 {
		k = k>>r | k<<(32-r)
	}
	w := uint64(k)<<32 | uint64(k)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b[0:8], binary.LittleEndian.Uint64(b[0:8])^w)
		binary.LittleEndian.PutUint64(b[8:16], binary.LittleEndian.Uint64(b[8:16])^w)
		binary.LittleEndian.PutUint64(b[16:24], binary.LittleEndian.Uint64(b[16:24])^w)
		binary.LittleEndian.PutUint64(b[24:32], binary.LittleEndian.Uint64(b[24:32])^w)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b[:8], binary.LittleEndian.Uint64(b[:8])^w)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k >> (uint(i&3) * 8))
	}
	return next
}
