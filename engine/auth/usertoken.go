package auth

import (
	"crypto/sha256"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/account"
)

// userToken is a decoded user JWT whose signature is verified: immutable but for last.
type userToken struct {
	text    string
	user    *jwt.UserClaims
	problem error // why its contents are not valid, whatever the time
	// last is what it granted last, to be granted again as long as the account's JWT is the same.
	last atomic.Pointer[userGrant]
}

// userGrant is what the checks made of a userToken: immutable.
type userGrant struct {
	claims *account.Claims
	scope  *jwt.UserScope            // nil: limits are those of the JWT itself
	limits *jwt.UserPermissionLimits // of the JWT or, with a scope, of its template
	user   *User
}

// decodeUser decodes and verifies a user JWT.
func decodeUser(text string) (*userToken, error) {
	uc, err := jwt.DecodeUserClaims(text)
	if err != nil {
		return nil, err
	}
	t := &userToken{text: text, user: uc}
	vr := jwt.CreateValidationResults()
	uc.Validate(vr)
	if errs := vr.Errors(); len(errs) > 0 {
		t.problem = errors.Join(errs...)
	}
	return t, nil
}

// userTokens shares decoded JWTs, with users and permissions, among the connections that present the
// same one. It keeps none alive: an entry goes when the last connection does, so that it is bounded by
// the connections there are. Any goroutine; mu is a leaf.
type userTokens struct {
	mu     sync.Mutex
	byText map[[sha256.Size]byte]weak.Pointer[userToken]
}

func newUserTokens() *userTokens {
	return &userTokens{byText: make(map[[sha256.Size]byte]weak.Pointer[userToken])}
}

// get returns the decoded form of text.
func (s *userTokens) get(text string) (*userToken, error) {
	id := sha256.Sum256([]byte(text))
	if t := s.find(id); t != nil {
		return t, nil
	}
	t, err := decodeUser(text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.byText[id].Value(); other != nil {
		return other, nil // decoded at the same time
	}
	w := weak.Make(t)
	s.byText[id] = w
	runtime.AddCleanup(t, func(id [sha256.Size]byte) { s.drop(id, w) }, id)
	return t, nil
}

func (s *userTokens) find(id [sha256.Size]byte) *userToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byText[id].Value()
}

// drop forgets the entry w of id, unless another took its place.
func (s *userTokens) drop(id [sha256.Size]byte, w weak.Pointer[userToken]) {
	s.mu.Lock()
	if s.byText[id] == w {
		delete(s.byText, id)
	}
	s.mu.Unlock()
}
