package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOperatorForms: inline, file, file with decoration; Options holds the token each time.
func TestOperatorForms(t *testing.T) {
	const token = "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJPIn0.c2ln-_s"
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
		if len(o.Operators) != 1 || o.Operators[0] != token {
			t.Errorf("%s: %q", value, o.Operators)
		}
		if err := Validate(o); err != nil {
			t.Error(err)
		}
		if err := Unsupported(o); err != nil {
			t.Error(err)
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
