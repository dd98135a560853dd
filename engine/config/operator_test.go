package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

type issuer struct {
	nkeys.KeyPair
	public string
}

func newIssuer(t *testing.T, create func() (nkeys.KeyPair, error)) issuer {
	t.Helper()
	kp, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return issuer{kp, public}
}

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

// TestOperatorForms: inline, file, file with decoration; Options holds the token each time.
func TestOperatorForms(t *testing.T) {
	op, sys := newIssuer(t, nkeys.CreateOperator), newIssuer(t, nkeys.CreateAccount)
	token := operatorJWT(t, op, func(oc *jwt.OperatorClaims) { oc.SystemAccount = sys.public })
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain.jwt", token)
	decorated := write("op.jwt", "-----BEGIN TEST OPERATOR JWT-----\n"+token+"\n------END TEST OPERATOR JWT------\n")
	for _, value := range []string{token, plain, decorated, "[ " + decorated + " ]"} {
		o, _, err := loadText("operator: " + value + "\nresolver: MEM")
		if err != nil {
			t.Fatal(err)
		}
		Baseline(o)
		if len(o.Operators) != 1 || o.Operators[0] != token || o.SystemAccount != sys.public {
			t.Errorf("%s: %q %s", value, o.Operators, o.SystemAccount)
		}
		if err := Validate(o); err != nil {
			t.Error(err)
		}
		if err := Unsupported(o); err != nil {
			t.Error(err)
		}
		trust, err := Trusts(o)
		if strict, ok := trust.Keys[op.public]; err != nil || !ok || strict || len(trust.Keys) != 1 {
			t.Error(trust, err)
		}
	}
	for value, want := range map[string]string{
		write("empty", ""):         "operator JWT is not valid",
		token[:len(token)-9]:       "operator JWT is not valid",
		filepath.Join(dir, "none"): "error reading the operator JWT",
	} {
		if _, _, err := loadText("operator: " + value + "\nresolver: MEM"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
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
		change func(*Options)
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
			change: func(o *Options) { o.SystemAccount = "A" }, want: "system_account in config and operator JWT must be identical"},
		{name: "the same", claims: func(oc *jwt.OperatorClaims) { oc.SystemAccount = sys.public },
			change: func(o *Options) { o.SystemAccount = sys.public }},
		{name: "sentinel", change: func(o *Options) { o.DefaultSentinel = bearerToken }},
		{name: "sentinel that signs", change: func(o *Options) { o.DefaultSentinel = user }, want: "default sentinel must be a bearer token"},
		{name: "no sentinel", change: func(o *Options) { o.DefaultSentinel = "x" }, want: "default sentinel JWT not valid"},
		{name: "not an operator", change: func(o *Options) { o.Operators = []string{user} }, want: "operator JWT is not valid"},
		{name: "resolver of the operator", claims: func(oc *jwt.OperatorClaims) { oc.AccountServerURL = "http://127.0.0.1:1/jwt/v1/" },
			change: func(o *Options) { o.Resolver = nil }},
	} {
		o := &Options{Operators: []string{operatorJWT(t, op, tt.claims)}, Resolver: &ResolverOptions{Type: "mem"}}
		if tt.change != nil {
			tt.change(o)
		}
		Baseline(o)
		err := Validate(o)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.name == "resolver of the operator" && (o.Resolver == nil || o.Resolver.URL != "http://127.0.0.1:1/jwt/v1/accounts") {
			t.Errorf("%+v", o.Resolver)
		}
	}
	if err := Validate(&Options{DefaultSentinel: bearerToken}); err == nil || !strings.Contains(err.Error(), "default sentinel requires operators") {
		t.Error(err)
	}
	o := &Options{Operators: []string{operatorJWT(t, op, func(oc *jwt.OperatorClaims) {
		oc.StrictSigningKeyUsage = true
		oc.SigningKeys.Add(signer.public)
	})}}
	if trust, err := Trusts(o); err != nil || len(trust.Keys) != 1 || !trust.Keys[signer.public] {
		t.Error(trust, err)
	}
	if trust, err := Trusts(&Options{}); trust != nil || err != nil {
		t.Error("trust without operator", trust, err)
	}
	if _, err := Trusts(&Options{TrustedKeys: []string{"x"}}); err == nil || !strings.Contains(err.Error(), "valid public operator nkey") {
		t.Error(err)
	}
}
