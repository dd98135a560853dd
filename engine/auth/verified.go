package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// maxVerified bounds the remembered passwords: about 100 bytes each.
const maxVerified = 8192

// verified remembers which passwords bcrypt has accepted, so that a reconnect storm, or the recheck
// of all connections after a reload, costs one bcrypt per user instead of one per connection.
//
// What is kept is HMAC-SHA-256 of hash and password under a random key of this process: it is of no
// use outside the process, failures are never kept (guessing stays as slow as bcrypt makes it), and a
// changed hash makes a different entry, so a reload needs no invalidation. Who can read the memory of
// the process could also read the passwords as they arrive.
type verified struct {
	key [32]byte
	mu  sync.Mutex
	// Two generations approximate least recently used: entries are put into young; when that is half
	// of the bound it becomes old and old is forgotten. A hit in old moves to young.
	young, old map[[32]byte]struct{}
}

func newVerified() *verified {
	v := &verified{young: make(map[[32]byte]struct{})}
	// Read never fails (crypto/rand ends the process instead).
	rand.Read(v.key[:])
	return v
}

func (v *verified) id(hash, password string) (id [32]byte) {
	m := hmac.New(sha256.New, v.key[:])
	m.Write([]byte(hash))
	m.Write([]byte{0}) // a hash has no NUL: the pair is unambiguous
	m.Write([]byte(password))
	m.Sum(id[:0])
	return id
}

// has reports whether put was called for the pair not long ago. Any goroutine.
func (v *verified) has(hash, password string) bool {
	id := v.id(hash, password)
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.young[id]; ok {
		return true
	}
	if _, ok := v.old[id]; !ok {
		return false
	}
	v.add(id)
	return true
}

// put remembers a pair that bcrypt accepted. Any goroutine.
func (v *verified) put(hash, password string) {
	id := v.id(hash, password)
	v.mu.Lock()
	v.add(id)
	v.mu.Unlock()
}

func (v *verified) add(id [32]byte) {
	if len(v.young) >= maxVerified/2 {
		v.old, v.young = v.young, make(map[[32]byte]struct{})
	}
	v.young[id] = struct{}{}
}
