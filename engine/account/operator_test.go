package account

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/engine/config"
)

func operatorJWT(t *testing.T, by issuer, change func(*jwt.OperatorClaims)) string {
	t.Helper()
	oc := jwt.NewOperatorClaims(by.public)
	if change != nil {
		change(oc)
	}
	s, err := oc.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOperatorRules(t *testing.T) {
	op, sys, signer := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateAccount), newIssuer(t, nkeys.CreateOperator)
	user, err := jwt.NewUserClaims(newIssuer(t, nkeys.CreateUser).public).Encode(sys)
	if err != nil {
		t.Fatal(err)
	}
	bearer := jwt.NewUserClaims(newIssuer(t, nkeys.CreateUser).public)
	bearer.BearerToken = true
	bearerToken, err := bearer.Encode(sys)
	if err != nil {
		t.Fatal(err)
	}
	version := func(v [3]int) func(*jwt.OperatorClaims) {
		return func(oc *jwt.OperatorClaims) { oc.AssertServerVersion = fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
	}
	c := compatible
	for _, tt := range []struct {
		name   string
		claims func(*jwt.OperatorClaims)
		change func(*config.Options)
		want   string // "" = valid
	}{
		{name: "plain"},
		{name: "same version", claims: version(c)},
		{name: "older", claims: version([3]int{c[0], c[1] - 1, 99})},
		{name: "update", claims: version([3]int{c[0], c[1], c[2] + 1}), want: "expected update version"},
		{name: "minor", claims: version([3]int{c[0], c[1] + 1, 0}), want: "expected minor version"},
		{name: "major", claims: version([3]int{c[0] + 1, 0, 0}), want: "expected major version"},
		{name: "no version", claims: func(oc *jwt.OperatorClaims) { oc.AssertServerVersion = "x" }, want: "got error instead"},
		{name: "another system account", claims: func(oc *jwt.OperatorClaims) { oc.SystemAccount = sys.public },
			change: func(o *config.Options) { o.SystemAccount = "A" }, want: "system_account in config and operator JWT must be identical"},
		{name: "of the operator", claims: func(oc *jwt.OperatorClaims) { oc.SystemAccount = sys.public }},
		{name: "the same", claims: func(oc *jwt.OperatorClaims) { oc.SystemAccount = sys.public },
			change: func(o *config.Options) { o.SystemAccount = sys.public }},
		{name: "sentinel", change: func(o *config.Options) { o.DefaultSentinel = bearerToken }},
		{name: "sentinel that signs", change: func(o *config.Options) { o.DefaultSentinel = user }, want: "default sentinel must be a bearer token"},
		{name: "no sentinel", change: func(o *config.Options) { o.DefaultSentinel = "x" }, want: "default sentinel JWT not valid"},
		{name: "not an operator", change: func(o *config.Options) { o.Operators = []string{user} }, want: "operator JWT is not valid"},
		{name: "resolver of the operator", claims: func(oc *jwt.OperatorClaims) { oc.AccountServerURL = "http://127.0.0.1:1/jwt/v1/" },
			change: func(o *config.Options) { o.Resolver = nil }},
	} {
		o := &config.Options{Operators: []string{operatorJWT(t, op, tt.claims)}, Resolver: &config.ResolverOptions{Type: "mem"}}
		if tt.change != nil {
			tt.change(o)
		}
		config.Baseline(o)
		err := ApplyOperator(o)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.name == "of the operator" && o.SystemAccount != sys.public {
			t.Errorf("system account %s", o.SystemAccount)
		}
		if tt.name == "resolver of the operator" && (o.Resolver == nil || o.Resolver.URL != "http://127.0.0.1:1/jwt/v1/accounts") {
			t.Errorf("%+v", o.Resolver)
		}
	}
	if err := ApplyOperator(&config.Options{DefaultSentinel: bearerToken}); err == nil || !strings.Contains(err.Error(), "default sentinel requires operators") {
		t.Error(err)
	}
	o := &config.Options{Operators: []string{operatorJWT(t, op, func(oc *jwt.OperatorClaims) {
		oc.StrictSigningKeyUsage = true
		oc.SigningKeys.Add(signer.public)
	})}}
	if trust, err := Trusts(o); err != nil || len(trust.Keys) != 1 || !trust.Keys[signer.public] {
		t.Error(trust, err)
	}
	if trust, err := Trusts(&config.Options{}); trust != nil || err != nil {
		t.Error("trust without operator", trust, err)
	}
	if _, err := Trusts(&config.Options{TrustedKeys: []string{"x"}}); err == nil || !strings.Contains(err.Error(), "valid public operator nkey") {
		t.Error(err)
	}
}
