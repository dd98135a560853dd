package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/proto/conf"
)

// tree writes files, by their path within a new directory, and returns the directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestIncludes(t *testing.T) {
	dir := tree(t, map[string]string{
		"main.conf":      "include sub/a.conf\nauthorization { include 'sub/users.conf' }\n",
		"sub/a.conf":     "include b.conf\nport: 5000\n",
		"sub/b.conf":     "host: 127.0.0.1\n",
		"sub/users.conf": "users = [ { user: a, password: b } ]\n",
		"abs.conf":       "include \"PATH/sub/b.conf\"",
		"wrong.conf":     "port: 1\ninclude sub/wrong.conf\n",
		"sub/wrong.conf": "\n  prot: 5\n",
	})
	o, w, err := Load(filepath.Join(dir, "main.conf"), nil)
	if err != nil || len(w) > 0 || o.Port != 5000 || o.Host != "127.0.0.1" || len(o.Auth.Users) != 1 {
		t.Fatalf("%+v %v %v", o, w, err)
	}
	if !strings.HasSuffix(o.Auth.Users[0].Pos, "sub/users.conf:1:11") {
		t.Error(o.Auth.Users[0].Pos)
	}
	abs := filepath.Join(dir, "abs.conf")
	if err := os.WriteFile(abs, []byte("include \""+filepath.Join(dir, "sub/b.conf")+"\""), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, _, err := Load(abs, nil); err != nil || o.Host != "127.0.0.1" {
		t.Error(err)
	}
	_, _, err = Load(filepath.Join(dir, "wrong.conf"), nil)
	var l *ErrorList
	if !errors.As(err, &l) || len(l.Problems) != 1 || !strings.HasSuffix(err.Error(), "sub/wrong.conf:2:3: unknown field \"prot\" (did you mean \"port\"?)") {
		t.Error(err)
	}
}

func TestLoadProblems(t *testing.T) {
	dir := tree(t, map[string]string{"empty.conf": "# nothing\n", "warn.conf": "ping_interval: 5\n", "bad.conf": "a = [\n", "both.conf": "ping_interval: 5\nprot: 1\n"})
	in := func(name string) string { return filepath.Join(dir, name) }
	if _, w, err := Load(in("empty.conf"), nil); err != nil || len(w) != 1 || w[0] != in("empty.conf")+": config has no values or is empty" {
		t.Errorf("%q %v", w, err)
	}
	if o, w, err := Load(in("warn.conf"), nil); err != nil || len(w) != 1 || o.PingInterval.Seconds() != 5 {
		t.Errorf("%q %v", w, err)
	}
	if _, w, err := Load(in("both.conf"), nil); err == nil || len(w) != 1 {
		t.Errorf("%q %v", w, err)
	}
	if _, _, err := Load(in("bad.conf"), nil); err == nil || !strings.Contains(err.Error(), "Parse error on line 2: '") {
		t.Error(err)
	}
	if _, _, err := Load(in("missing.conf"), nil); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Error(err)
	}
	if o, w, err := Load("", nil); err != nil || len(w) > 0 || o.Port != 4222 || !o.Log.Time {
		t.Errorf("%+v %q %v", o, w, err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RAMJET_TEST_PORT", "5005")
	t.Setenv("RAMJET_TEST_TAGS", "[a, b\n]")
	dir := tree(t, map[string]string{"c.conf": "port: $RAMJET_TEST_PORT\nserver_tags: $RAMJET_TEST_TAGS\n"})
	o, _, err := Load(filepath.Join(dir, "c.conf"), nil)
	if err != nil || o.Port != 5005 || len(o.ServerTags) != 2 {
		t.Errorf("%+v %v", o, err)
	}
}

// TestAccountTemplates: a map below accounts that is used as a variable is not an account itself.
func TestAccountTemplates(t *testing.T) {
	o := mustLoad(t, "accounts { T { users [{user: a, password: b}] }, B: $T, P { publish: x }, C { users [{user: c, permissions: $P}] } }")
	if len(o.Accounts) != 2 || o.Accounts[0].Name != "B" || o.Accounts[0].Users[0].Account != "B" || o.Accounts[1].Name != "C" || o.Accounts[1].Users[0].Perms.Publish.Allow[0] != "x" {
		t.Errorf("%+v", o.Accounts)
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"port", "host", "http_port", "max_payload", "max_pending", "authorization"}
	for key, want := range map[string]string{"prot": "port", "PORT1": "port", "max_payolad": "max_payload", "auth": "authorization", "zzz": "", "": "", "p": "", "maxpayload": "max_payload",
		strings.Repeat("x", 1000): ""} {
		if got := nearest(key, keys); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, p := range []conf.Pos{{File: "a.conf", Line: 3, Col: 7}, {File: "C:/x:y", Line: 1, Col: 1}} {
		if got := parsePlace(where(p)); got != p {
			t.Errorf("%+v became %+v", p, got)
		}
	}
	if got := parsePlace("nothing"); got.Line != 0 {
		t.Errorf("%+v", got)
	}
}

// FuzzDecode: any text that can be parsed is decoded without a panic; what is refused has a reason; the
// number of problems is bounded; what is accepted can be validated and compared with itself.
func FuzzDecode(f *testing.F) {
	for _, file := range []string{"testdata/good.txt", "testdata/broken.txt"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(data), "=== \n")[1:] {
			text, _, _ := strings.Cut(c, "--- \n")
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") || strings.Contains(text, "_file") {
			t.Skip("reads files")
		}
		tree, err := conf.Parse("f", text, conf.Env{})
		if err != nil {
			return
		}
		o := &Options{}
		d := decodeTree(o, tree)
		if len(d.errors) > maxProblems+len(tree.Root.Entries) {
			t.Fatalf("%d problems", len(d.errors))
		}
		for _, p := range d.errors {
			if p.Msg == "" || p.Pos.Line < 1 || p.Pos.Col < 1 {
				t.Fatalf("%+v", p)
			}
		}
		if len(d.errors) > 0 {
			return
		}
		Baseline(o)
		_ = Validate(o)
		_ = Unsupported(o)
		if p := Diff(o, o); len(p.Changes())+len(p.Refused) > 0 {
			t.Fatalf("differs from itself: %+v", p)
		}
	})
}
