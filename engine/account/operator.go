package account

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
)

// compatible is the version that operator JWTs may ask for at most (assert_server_version).
var compatible = [3]int{2, 15, 2}

// ApplyOperator checks what operator JWTs say against the rest of o, and takes from a single one what
// the configuration does not say: system account and resolver. Doing it twice changes nothing. Before
// config.Validate; the caller owns o.
func ApplyOperator(o *config.Options) error {
	if _, err := Trusts(o); err != nil {
		return err
	}
	var ops []*jwt.OperatorClaims
	for _, token := range o.Operators {
		op, err := decodeOperator(token)
		if err != nil {
			return err
		}
		if err := validVersion(op); err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if len(ops) == 1 {
		complete(o, ops[0])
	}
	if err := validSystemAccount(o, ops); err != nil {
		return err
	}
	return validSentinel(o)
}

func decodeOperator(token string) (*jwt.OperatorClaims, error) {
	op, err := jwt.DecodeOperatorClaims(token)
	if err != nil {
		return nil, fmt.Errorf("operator JWT is not valid: %w", err)
	}
	return op, nil
}

// complete takes from op what o does not say.
func complete(o *config.Options, op *jwt.OperatorClaims) {
	if op.SystemAccount != "" && !o.NoSystemAccount && (o.SystemAccount == "" || o.SystemAccount == System) {
		o.SystemAccount = op.SystemAccount
	}
	if o.Resolver == nil && op.AccountServerURL != "" {
		o.Resolver = &config.ResolverOptions{Type: "url", URL: strings.TrimSuffix(op.AccountServerURL, "/") + "/accounts"}
	}
}

// validSystemAccount: when operators name their system account, the configuration names no other.
func validSystemAccount(o *config.Options, ops []*jwt.OperatorClaims) error {
	named, same := false, false
	for _, op := range ops {
		named = named || op.SystemAccount != ""
		same = same || op.SystemAccount == o.SystemAccount
	}
	if named && !same && o.SystemAccount != "" && o.SystemAccount != System {
		return errors.New("system_account in config and operator JWT must be identical")
	}
	return nil
}

// Trust is who may issue account JWTs.
type Trust struct {
	// Keys are public operator keys. The value is true when accounts issued with the key must sign their
	// users with signing keys (strict_signing_key_usage).
	Keys map[string]bool
	// Strict are operators that issue accounts with signing keys only: their own keys are not in Keys.
	Strict map[string]bool
}

// Trusts returns the keys that operator and trusted_keys name, nil when o is not in operator mode. The
// error says which operator JWT is not valid. Any goroutine.
func Trusts(o *config.Options) (*Trust, error) {
	if len(o.Operators) == 0 && len(o.TrustedKeys) == 0 {
		return nil, nil
	}
	t := &Trust{Keys: make(map[string]bool), Strict: make(map[string]bool)}
	for _, k := range o.TrustedKeys {
		t.Keys[k] = false
	}
	for _, token := range o.Operators {
		op, err := decodeOperator(token)
		if err != nil {
			return nil, err
		}
		if op.StrictSigningKeyUsage {
			t.Strict[op.Subject] = true
		} else {
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
func validSentinel(o *config.Options) error {
	if o.DefaultSentinel == "" {
		return nil
	}
	if len(o.Operators) == 0 && len(o.TrustedKeys) == 0 {
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
