package crypt

import (
	"crypto/cipher"

	"github.com/klauspost/compress/s2"
)

// Codec turns blocks into their stored form and back. The zero value stores them as they are.
type Codec struct {
	aead     cipher.AEAD
	random   Random
	compress bool
	cipher   Cipher
}

// Stored form: flags u8, [nonce, ] body [with tag].
const (
	flagS2     = 1 << 0
	flagSealed = 1 << 1
	// MaxBlock is the largest block, uncompressed.
	MaxBlock = 256 << 20
)

// NewCodec returns a codec; key is ignored with NoCipher.
func NewCodec(c Cipher, key []byte, compress bool, random Random) (*Codec, error) {
	out := &Codec{compress: compress, random: random, cipher: c}
	if c != NoCipher {
		if len(key) != KeyLen {
			return nil, ErrKey
		}
		var err error
		if out.aead, err = c.aead(key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Plain reports that blocks are stored as they are, so that they may be read without the codec.
func (c *Codec) Plain() bool { return c == nil || (!c.compress && c.aead == nil) }

// Cipher returns the cipher in use.
func (c *Codec) Cipher() Cipher {
	if c == nil {
		return NoCipher
	}
	return c.cipher
}

// Append appends the stored form of block. where is authenticated with it, not stored.
func (c *Codec) Append(dst, block, where []byte) []byte {
	flags := byte(0)
	if c.compress && len(block) > 64 {
		z := s2.Encode(nil, block)
		if len(z) < len(block)-len(block)/16 {
			flags |= flagS2
			block = z
		}
	}
	if c.aead == nil {
		return append(append(dst, flags), block...)
	}
	flags |= flagSealed
	dst = append(dst, flags)
	at := len(dst)
	dst = append(dst, make([]byte, c.aead.NonceSize())...)
	nonce := dst[at:]
	c.random(nonce)
	return c.aead.Seal(dst, nonce, block, append([]byte{flags}, where...))
}

// Open returns the block of a stored form; it may alias stored. Memory is bounded by the size the block says it has, at most limit.
func (c *Codec) Open(stored, where []byte, limit int) ([]byte, error) {
	if len(stored) == 0 {
		return nil, ErrCorrupt
	}
	flags, body := stored[0], stored[1:]
	if flags&^(flagS2|flagSealed) != 0 {
		return nil, ErrCorrupt
	}
	if flags&flagSealed != 0 {
		if c.aead == nil {
			return nil, ErrKey
		}
		n := c.aead.NonceSize()
		if len(body) < n {
			return nil, ErrCorrupt
		}
		var err error
		if body, err = c.aead.Open(nil, body[:n], body[n:], append([]byte{flags}, where...)); err != nil {
			return nil, ErrCorrupt
		}
	} else if c.aead != nil {
		return nil, ErrCorrupt // an attacker must not be able to strip the encryption
	}
	if flags&flagS2 == 0 {
		if len(body) > limit {
			return nil, ErrCorrupt
		}
		return body, nil
	}
	n, err := s2.DecodedLen(body)
	if err != nil || n > min(limit, MaxBlock) {
		return nil, ErrCorrupt
	}
	out, err := s2.Decode(make([]byte, n), body)
	if err != nil {
		return nil, ErrCorrupt
	}
	return out, nil
}
