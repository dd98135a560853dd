package account

import (
	"time"

	"github.com/nats-io/jwt/v2"

	"ramjet/proto/base/clock"
)

// activation is the import claim of a JWT, with the token that may activate it.
type activation struct {
	claim   *jwt.Import
	clock   clock.Clock
	exports *Claims // of the exporting account
}

// check reports whether the token in the claim lets importer use e, and until when (reference/auth.md,
// section 7): issued by the exporting account or one of its signing keys, for the importing account,
// in time, and not revoked.
func (a *activation) check(e *Export, importer *Account) (v validity, ok bool) {
	if a == nil || a.claim == nil || a.claim.Token == "" {
		return v, false
	}
	im := *a.claim
	vr := jwt.CreateValidationResults()
	im.Validate(importer.Name(), vr)
	if vr.IsBlocking(true) {
		return v, false
	}
	act, err := jwt.DecodeActivationClaims(im.Token)
	if err != nil {
		return v, false
	}
	if act.IssuerAccount != "" {
		if act.IssuerAccount != e.Account.Name() || a.exports == nil {
			return v, false
		}
		if _, known := a.exports.Signer(act.Issuer, false); !known {
			return v, false
		}
	}
	vr = jwt.CreateValidationResults()
	act.Validate(vr)
	if vr.IsBlocking(true) {
		return v, false
	}
	if act.Expires != 0 {
		end := time.Unix(act.Expires, 0)
		if !a.clock.Now().Before(end) {
			return v, false
		}
		v.expires = end.UnixNano()
	}
	return v, !revoked(e.revoked, act.Subject, act.IssuedAt)
}

// revoked reports whether what was issued to key at issued (unix seconds) is in list, where `*` is everybody.
func revoked(list map[string]int64, key string, issued int64) bool {
	for _, k := range [...]string{jwt.All, key} {
		if at, ok := list[k]; ok && at >= issued {
			return true
		}
	}
	return false
}
