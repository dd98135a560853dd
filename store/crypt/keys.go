package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Cipher is an encryption algorithm. The numbers are on disk.
type Cipher uint8

// The ciphers.
const (
	NoCipher Cipher = 0
	ChaCha   Cipher = 1 // XChaCha20-Poly1305
	AES      Cipher = 2 // AES-256-GCM
)

// KeyLen is the length of all keys in bytes.
const KeyLen = 32

// Errors of this package.
var (
	ErrKey     = errors.New("crypt: wrong key")
	ErrCorrupt = errors.New("crypt: block does not verify")
	ErrCipher  = errors.New("crypt: unknown cipher")
)

// ParseCipher reads the name of a configuration: chacha, chachapoly, aes; "" is chacha.
func ParseCipher(name string) (Cipher, error) {
	switch name {
	case "", "chacha", "chachapoly":
		return ChaCha, nil
	case "aes", "aes-gcm":
		return AES, nil
	}
	return NoCipher, fmt.Errorf("%w %q", ErrCipher, name)
}

func (c Cipher) String() string {
	switch c {
	case ChaCha:
		return "chacha"
	case AES:
		return "aes"
	}
	return "none"
}

func (c Cipher) aead(key []byte) (cipher.AEAD, error) {
	switch c {
	case ChaCha:
		return chacha20poly1305.NewX(key)
	case AES:
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	return nil, ErrCipher
}

// Derive returns the key that seals the keys of an asset: HMAC-SHA256 of the server's key over account and context (stream, or
// stream.consumer).
func Derive(serverKey []byte, account, context string) []byte {
	h := hmac.New(sha256.New, serverKey)
	_, _ = fmt.Fprintf(h, "%d:%s%s", len(account), account, context)
	return h.Sum(nil)
}

// Random fills b; crypto/rand in production, seeded in simulations.
type Random func(b []byte)

// SystemRandom is the random source of the operating system.
func SystemRandom(b []byte) { _, _ = rand.Read(b) }

// SealKey returns the stored form of an asset's key: cipher u8, nonce, sealed key.
func SealKey(c Cipher, derived, key []byte, random Random) ([]byte, error) {
	a, err := c.aead(derived)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+a.NonceSize(), 1+a.NonceSize()+len(key)+a.Overhead())
	out[0] = byte(c)
	random(out[1:])
	return a.Seal(out, out[1:1+a.NonceSize()], key, []byte("key")), nil
}

// OpenKey returns the key in a sealed form, trying the derived keys in turn, and which of them fitted. A key other than the first
// should be sealed again with the first.
func OpenKey(sealed []byte, derived ...[]byte) (key []byte, c Cipher, which int, err error) {
	if len(sealed) == 0 {
		return nil, 0, 0, ErrCorrupt
	}
	c = Cipher(sealed[0])
	for i, d := range derived {
		a, err := c.aead(d)
		if err != nil {
			return nil, 0, 0, err
		}
		if len(sealed) < 1+a.NonceSize()+a.Overhead() {
			return nil, 0, 0, ErrCorrupt
		}
		n := 1 + a.NonceSize()
		if key, err := a.Open(nil, sealed[1:n], sealed[n:], []byte("key")); err == nil {
			if len(key) != KeyLen {
				return nil, 0, 0, ErrCorrupt
			}
			return key, c, i, nil
		}
	}
	return nil, 0, 0, ErrKey
}
