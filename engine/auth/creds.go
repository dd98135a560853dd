package auth

import (
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// ParseCredentials returns the user token and the secret key in a file of credentials. The caller wipes the key.
func ParseCredentials(b []byte) (token string, key nkeys.KeyPair, err error) {
	if token, err = jwt.ParseDecoratedJWT(b); err != nil {
		return "", nil, fmt.Errorf("credentials file malformed: %w", err)
	}
	if key, err = jwt.ParseDecoratedNKey(b); err != nil {
		return "", nil, fmt.Errorf("credentials file has malformed seed: %w", err)
	}
	return token, key, nil
}
