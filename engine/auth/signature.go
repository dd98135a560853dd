package auth

import (
	"encoding/base64"

	"github.com/nats-io/nkeys"
)

// verifySignature reports whether sig, base64 (raw URL, or standard with padding), is key's signature
// over the nonce text of INFO (reference/auth.md, section 1).
func verifySignature(key nkeys.KeyPair, nonce, sig string) bool {
	if sig == "" {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		if raw, err = base64.StdEncoding.DecodeString(sig); err != nil {
			return false
		}
	}
	return key.Verify([]byte(nonce), raw) == nil
}

// proxyKeys are the keys of proxies { trusted }.
type proxyKeys []proxyKey

type proxyKey struct {
	public string
	pair   nkeys.KeyPair
}

// signer returns the trusted key that made sig, "" for none. Proxy signatures are raw URL base64 only.
func (k proxyKeys) signer(nonce, sig string) string {
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		return ""
	}
	for _, p := range k {
		if p.pair.Verify([]byte(nonce), raw) == nil {
			return p.public
		}
	}
	return ""
}

// trusts reports whether public is one of the keys.
func (k proxyKeys) trusts(public string) bool {
	for _, p := range k {
		if p.public == public {
			return true
		}
	}
	return false
}
