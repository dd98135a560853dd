package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/proto/conf"
)

// compatible is the version that operator JWTs may ask for at most (assert_server_version).
var compatible = [3]int{2, 15, 2}

// jwtStart is how every token begins: base64 of `{"`.
const jwtStart = "eyJ"

// operators decodes operator: each entry is a token, or the path of a file that contains one, bare or
// between dashed lines. Options keeps the tokens.
func operators(d *decoder, o *Options, e *conf.Entry) {
	list, ok := d.stringList(e)
	if !ok {
		return
	}
	var tokens []string
	for _, s := range list {
		text := []byte(s)
		if !strings.HasPrefix(s, jwtStart) {
			var err error
			if text, err = os.ReadFile(s); err != nil {
				d.errorf(e.Pos, "error reading the operator JWT: %v", err)
				continue
			}
		}
		token, err := jwt.ParseDecoratedJWT(text)
		if err == nil {
			_, err = jwt.DecodeOperatorClaims(token)
		}
		if err != nil {
			d.errorf(e.Pos, "operator JWT is not valid: %v", err)
			continue
		}
		tokens = append(tokens, token)
	}
	o.Operators = tokens
}

// baselineOperator takes from the JWT of a single operator what the configuration does not say.
func baselineOperator(o *Options) {
	if len(o.Operators) != 1 {
		return
	}
	op, err := jwt.DecodeOperatorClaims(o.Operators[0])
	if err != nil {
		return // Validate says so
	}
	if !o.NoSystemAccount {
		orElse(&o.SystemAccount, op.SystemAccount)
	}
	if o.Resolver == nil && op.AccountServerURL != "" {
		o.Resolver = &ResolverOptions{Type: "url", URL: strings.TrimSuffix(op.AccountServerURL, "/") + "/accounts"}
	}
}

// Trust is who may issue account JWTs.
type Trust struct {
	// Keys are public operator keys. The value is true when accounts issued with the key must sign their
	// users with signing keys (strict_signing_key_usage).
	Keys map[string]bool
}

// Trusts returns the keys that operator and trusted_keys name, nil when o is not in operator mode. The
// error says which operator JWT is not valid. Any goroutine.
func Trusts(o *Options) (*Trust, error) {
	if !operatorMode(o) {
		return nil, nil
	}
	t := &Trust{Keys: make(map[string]bool)}
	for _, k := range o.TrustedKeys {
		t.Keys[k] = false
	}
	for _, token := range o.Operators {
		op, err := jwt.DecodeOperatorClaims(token)
		if err != nil {
			return nil, fmt.Errorf("operator JWT is not valid: %w", err)
		}
		if !op.StrictSigningKeyUsage {
			t.Keys[op.Subject] = false
		}
		for _, k := range op.SigningKeys {
			t.Keys[k] = op.StrictSigningKeyUsage
		}
	}
	for k := range t.Keys {
		if !nkeys.IsValidPublicOperatorKey(k) {
			return nil, fmt.Errorf("trusted Keys %q are required to be a valid public operator nkey", k)
		}
	}
	return t, nil
}

// validOperatorClaims checks what operator JWTs say against the rest of o.
func validOperatorClaims(o *Options) error {
	if _, err := Trusts(o); err != nil {
		return err
	}
	named, same := false, false
	for _, token := range o.Operators {
		op, err := jwt.DecodeOperatorClaims(token)
		if err != nil {
			return err
		}
		if err := validVersion(op); err != nil {
			return err
		}
		named = named || op.SystemAccount != ""
		same = same || op.SystemAccount == o.SystemAccount
	}
	if named && !same && o.SystemAccount != "" && o.SystemAccount != DefaultSystemAccount {
		return errors.New("system_account in config and operator JWT must be identical")
	}
	return nil
}

// validVersion refuses an operator that asks for a newer server.
func validVersion(op *jwt.OperatorClaims) error {
	major, minor, update, err := jwt.ParseServerVersion(op.AssertServerVersion)
	if err != nil {
		return fmt.Errorf("operator %s expects version %s got error instead: %w", op.Subject, op.AssertServerVersion, err)
	}
	want := [...]int{major, minor, update}
	for i, name := range [...]string{"major", "minor", "update"} {
		if want[i] > compatible[i] {
			return fmt.Errorf("operator %s expected %s version %d > server %s version %d", op.Subject, name, want[i], name, compatible[i])
		}
		if want[i] < compatible[i] {
			return nil
		}
	}
	return nil
}

// validSentinel checks default_sentinel: the user of connections without credentials signs nothing. A
// user whose limits come from a scoped signing key may turn out to be a bearer.
func validSentinel(o *Options) error {
	if o.DefaultSentinel == "" {
		return nil
	}
	if !operatorMode(o) {
		return errors.New("default sentinel requires operators and accounts")
	}
	user, err := jwt.DecodeUserClaims(o.DefaultSentinel)
	switch {
	case err != nil:
		return errors.New("default sentinel JWT not valid")
	case user.BearerToken, user.IssuerAccount != "" && user.HasEmptyPermissions():
		return nil
	}
	return errors.New("default sentinel must be a bearer token")
}
