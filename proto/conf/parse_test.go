package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// files is an Env over a map of texts.
func files(m map[string]string, vars map[string]string) Env {
	return Env{
		ReadFile: func(_, path string) (string, []byte, error) {
			t, ok := m[path]
			if !ok {
				return path, nil, errors.New("open " + path + ": no such file or directory")
			}
			return path, []byte(t), nil
		},
		Getenv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
	}
}

func asJSON(t *Tree) string {
	data, err := json.Marshal(t.Root.plain())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

var env = files(map[string]string{
	"inc":    "b = 2\nc { d = 3 }\n",
	"self":   "include self",
	"bad":    "x = [",
	"define": "NAME = value\n",
	"use":    "u = $OUTER",
}, map[string]string{
	"NUM": "22", "STR": "xyz", "TWO": "hello world", "LIST": "[1, 2, a]", "OBJ": "{a = 1}", "SELF": "$SELF", "QUOTED": "'3 x'", "REF": "$NUM", "EMPTY": "", "SIZE": "5mb",
})

// TestParse is the language by example. Facts are those of reference/config.md, section 1; all of these were
// compared with nats-server 2.15.2, except those marked own.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `{}`},
		{"# nothing\n// at all\n", `{}`},
		{"foo='1'; bar=2.2; baz=true; boo=22", `{"bar":2.2,"baz":true,"boo":22,"foo":"1"}`},
		{"a = 1\nb: 2\nc 3\nd {e 4}\nf=5", `{"a":1,"b":2,"c":3,"d":{"e":4},"f":5}`},
		{"a\n=1", `{"a":1}`},
		{"a\n{b 1}", `{"a":{"b":1}}`},
		{"a\tb", `{"a":"b"}`},
		{"a=1\na=2", `{"a":2}`},
		{"a {b=1}\na {c=2}", `{"a":{"c":2}}`},
		{"'a b'=1\n\"c d\" : 2", `{"a b":1,"c d":2}`},
		{"a{b=1}", `{"a{b":1}`},
		{"{a=1}", `{"a":1}`},
		{"{\n\"a\": 1,\n\"b\": [\"x\", \"y\"], \"c\": {\"d\": null}\n}\n", `{"a":1,"b":["x","y"],"c":{"d":"null"}}`},
		{`{"a":1,"b":[1,2]}`, `{"a":1,"b":[1,2]}`}, // own: the peer cannot read a number before ]
		{"{{a=1}}", `{"a":1}`},
		{"a=1}\nb=2", `{"a":1,"b":2}`},
		{"a=\r\n", "Parse error on line 1: 'Expected value but found new line'"},
		{"a=x\r\nb {\r\nc=1\r\n}\r\n", `{"a":"x","b":{"c":1}}`},
		{"\uFEFFa=1", `{"a":1}`}, // own

		{"a=yes;b=ON;c=True;d=no;e=off;f=FALSE;g='true';h=truex;i=t\\x72ue", `{"a":true,"b":true,"c":true,"d":false,"e":false,"f":false,"g":"true","h":"truex","i":"true"}`},
		{"a=-1;b=007;c=-0", `{"a":-1,"b":7,"c":0}`},
		{"a=8k;b=4kb;c=3Ki;d=4KIB;e=1m;f=2MB;g=1g;h=1gib;i=1t;j=1tb;k=1p;l=1pi;m=1e;n=1eb", `{"a":8000,"b":4096,"c":3072,"d":4096,"e":1000000,"f":2097152,"g":1000000000,"h":1073741824,` +
			`"i":1000000000000,"j":1099511627776,"k":1000000000000000,"l":1125899906842624,"m":1000000000000000000,"n":1152921504606846976}`},
		{"a=5k;b=-5m;c=[5k]", `{"a":5000,"b":-5000000,"c":["5k"]}`},
		{"a=3s;b=1h;c=2m30s;d=5mx;e=0x10;f=1kk;g=5e7bcd;h=1b", `{"a":"3s","b":"1h","c":"2m30s","d":"5mx","e":"0x10","f":"1kk","g":"5e7bcd","h":"1b"}`},
		{"a=127.0.0.1;b=127.0.0.1:4222;c=1:2;d=1.5.2;e=host:80;f=nats://x:y@z:1", `{"a":"127.0.0.1","b":"127.0.0.1:4222","c":"1:2","d":"1.5.2","e":"host:80","f":"nats://x:y@z:1"}`},
		{"a=0.0000001;b=-1.5;c=100000000000000000000.0", `{"a":1e-7,"b":-1.5,"c":100000000000000000000}`},
		{"a=2016-05-04T18:53:41Z", `{"a":"2016-05-04T18:53:41Z"}`},
		{"a=2016;b=2016x-05", `{"a":2016,"b":"2016x-05"}`},

		{`a="x\ty\n\"\\\x41";b='x\t'`, `{"a":"x\ty\n\"\\A","b":"x\\t"}`},
		{`a=\x41b\tc;b=x\x7Cy`, `{"a":"Ab\tc","b":"x|y"}`},
		{"a=\"x\ny\"", `{"a":"x\ny"}`},
		{"a=(\n x\n (y)\n)\nb=1", `{"a":"\n x\n (y)\n","b":1}`},
		{"a=(x\n)", `{"a":"x\n)"}`},
		{"a=b#c;d=e #f\ng=h//i", `{"a":"b#c","d":"e","g":"h//i"}`},
		{"a=#x", `{"a":"#x"}`},
		{"a=''; b=\"\"; c=,d=1", `{"a":"","b":"","c":"","d":1}`},
		{"a=", `{"a":""}`},
		{"a=foo.>;b=*.x;c=é", "{\"a\":\"foo.\\u003e\",\"b\":\"*.x\",\"c\":\"é\"}"},

		{"a=[1,2,]; b=[\n1\n2 # c\n]; c=[]; d=[{a=1}\n{b=2},{c=[x]}]", `{"a":[1,2],"b":[1,2],"c":[],"d":[{"a":1},{"b":2},{"c":["x"]}]}`},
		{"a={b=1,c=2;d=3\n e {}}", `{"a":{"b":1,"c":2,"d":3,"e":{}}}`},

		{"x=1\na=$x", `{"a":1,"x":1}`},
		{"i = 22\nn { i = 11\n f = $i }\nb = $i", `{"b":22,"i":22,"n":{"f":11,"i":11}}`},
		{"x {y=1}\na=[$x,$x]", `{"a":[{"y":1},{"y":1}],"x":{"y":1}}`},
		{"a=$NUM;b=$STR;c=$LIST;d=$OBJ;e=$QUOTED;f=$REF;g=$EMPTY;h=$SIZE", `{"a":22,"b":"xyz","c":[1,2,"a"],"d":{"a":1},"e":"3 x","f":22,"g":"","h":5242880}`},
		{"a=\"$NUM\";b='$NUM';c=x$NUM", `{"a":"$NUM","b":"$NUM","c":"x$NUM"}`},
		{"a: $2a$11$ooo;b=[$2a$10$x]", `{"a":"$2a$11$ooo","b":["$2a$10$x"]}`},

		{"a=1\ninclude inc", `{"a":1,"b":2,"c":{"d":3}}`},
		{"a { INCLUDE 'inc' }", `{"a":{"b":2,"c":{"d":3}}}`},
		{"include \"define\"\na=$NAME", `{"NAME":"value","a":"value"}`},
		{"include=1;includes=2", `{"include":1,"includes":2}`},
		{"OUTER=1\ninclude use", "error parsing include file 'use', variable reference for 'OUTER' on line 1 can not be found"},
		{"include nope", "error parsing include file 'nope', open nope: no such file or directory"},
		{"include self", "error parsing include file 'self', error parsing include file 'self', the file includes itself"},
		{"include bad", "error parsing include file 'bad', Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", but got 'EOF' instead.'"},
		{"include\nx", "Parse error on line 2: 'Expected include value but found new line'"},
		{"include {a=1}", "Parse error on line 1: 'Expected include value but found start of a map'"},

		{"foo", "config is invalid (f:1:1): key \"foo\" has no value"},
		{"a b c", "Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'c' instead.'"},
		{"a=1\n\na { b=1 c=2 }", "Parse error on line 3: 'Expected a map value terminator \",\" or a map terminator \"}\", but got 'c' instead.'"},
		{"a [1 2]", "Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", but got '2' instead.'"},
		{"a [1,,2]", "Parse error on line 1: 'Unexpected array value terminator ','.'"},
		{"= 1", "Parse error on line 1: 'Unexpected key separator '=''"},
		{"{a=1", "Parse error on line 1: 'Expected a block-level value to end with a new line, comment or EOF, but got 'EOF' instead.'"},
		{"a {", "Parse error on line 1: 'Unexpected EOF processing map.'"},
		{"a {b", "Parse error on line 1: 'Unexpected EOF processing map key.'"},
		{"a { b }", "Parse error on line 1: 'Expected value but found end of map'"},
		{"'a", "Parse error on line 1: 'Unexpected EOF.'"},
		{"a=\"x", "Parse error on line 1: 'Unexpected EOF.'"},
		{"a=(x", "Parse error on line 1: 'Unexpected EOF processing block.'"},
		{`a="\y"`, `Parse error on line 1: 'Invalid escape character 'y'. Only the following escape characters are allowed: \xXX, \t, \n, \r, \", \\.'`},
		{`a="[\x]"`, `Parse error on line 1: 'Expected two hexadecimal digits after '\x', but got ']"''`},
		{"a=x\\x\n", `Parse error on line 1: 'Expected two hexadecimal digits after '\x', but hit end of line'`},
		{"a=.5", "Parse error on line 1: 'Floats must start with a digit'"},
		{"a=1.x", "Parse error on line 1: 'Floats must have a digit after the '.', but got 'x' instead.'"},
		{"a=-x", "Parse error on line 1: 'Expected a digit but got 'x'.'"},
		{"a=-5s", "Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 's' instead.'"},
		{"a=12-05", "Parse error on line 1: 'All ISO8601 dates must be in full Zulu form.'"},
		{"a=2016-05-04", "Parse error on line 1: 'Expected 'T' in ISO8601 datetime, but found 'EOF' instead.'"},
		{"a=2016-02-30T00:00:00Z", "expected Zulu formatted DateTime, but got '2016-02-30T00:00:00Z'"},
		{"a=9223372036854775808", "integer '9223372036854775808' is out of the range"},
		{"a=20e", "integer '20' with its unit is out of the range"}, // own: the peer overflows
		{"\na=$nope", "variable reference for 'nope' on line 2 can not be found"},
		{"x=$y\ny=$x", "variable reference for 'y' on line 1 can not be found"},
		{"a=$SELF", "variable reference for 'SELF' on line 1 could not be parsed: variable reference cycle for 'SELF'"},
		{"a=$TWO", "variable reference for 'TWO' on line 1 could not be parsed: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'w' instead.'"},
	} {
		tree, err := Parse("f", c.text, env)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = asJSON(tree)
		}
		if got != c.want {
			t.Errorf("%q\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestPositions(t *testing.T) {
	tree, err := Parse("f", "a = 1\n  'B' : { c = x\n\td [ 7,\n   \"z\" ] }\ninclude inc\n", env)
	if err != nil {
		t.Fatal(err)
	}
	b := tree.Root.Get("B").Value.Map
	for _, c := range []struct {
		got  Pos
		want string
	}{
		{tree.Root.Get("a").Pos, "f:1:1"},
		{tree.Root.Get("a").Value.Pos, "f:1:5"},
		{tree.Root.Get("B").Pos, "f:2:4"},
		{b.Get("c").Pos, "f:2:11"},
		{b.Get("d").Pos, "f:3:2"},
		{b.Get("d").Value.Items[0].Pos, "f:3:6"},
		{b.Get("d").Value.Items[1].Pos, "f:4:5"},
		{tree.Root.Get("c").Pos, "inc:2:1"},
		{tree.Root.Get("c").Value.Map.Get("d").Pos, "inc:2:5"},
	} {
		if got := fmt.Sprintf("%s:%d:%d", c.got.File, c.got.Line, c.got.Col); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if strings.Join(tree.Files, " ") != "f inc" {
		t.Errorf("files %q", tree.Files)
	}
}

func TestUsedVariables(t *testing.T) {
	tree, err := Parse("f", "x=1\ny=2\na { z=3; b=$z; c=$x }", env)
	if err != nil {
		t.Fatal(err)
	}
	a := tree.Root.Get("a").Value.Map
	if !tree.Root.Get("x").Used || tree.Root.Get("y").Used || !a.Get("z").Used || a.Get("b").Used {
		t.Error("wrong marks of variables")
	}
	if v := a.Get("b").Value; !v.FromVar || v.Pos.Col != 12 {
		t.Errorf("%+v", v)
	}
}

// TestDigest: digests printed by nats-server 2.15.2 -t for the same texts.
func TestDigest(t *testing.T) {
	for text, want := range map[string]string{
		"foo = bar":                          "sha256:226e49e13d16e5e8aa0d62e58cd63361bf097d3e2b2444aa3044334628a2e8de",
		"# other form\n{ 'foo': \"bar\" }\n": "sha256:226e49e13d16e5e8aa0d62e58cd63361bf097d3e2b2444aa3044334628a2e8de",
	} {
		tree, err := Parse("f", text, env)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tree.Digest()
		if err != nil || got != want {
			t.Errorf("%q: %s %v", text, got, err)
		}
	}
}

// TestHostile: texts made to exhaust something fail early.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("a {\n", 100000)
	arrays := "a = " + strings.Repeat("[", 1000000)
	laughs := "a0 = [x,x,x,x,x,x,x,x,x,x\n]\n"
	for i := 1; i < 12; i++ {
		v := fmt.Sprintf("$a%d,", i-1)
		laughs += fmt.Sprintf("a%d = [%s\n]\n", i, strings.Repeat(v, 10))
	}
	chain := Env{ReadFile: func(_, path string) (string, []byte, error) { return path + "x", []byte("include " + path + "x"), nil }}
	vars := Env{Getenv: func(name string) (string, bool) { return "$" + name + "x", true }}
	for _, c := range []struct {
		name, text string
		env        Env
		want       string
	}{
		{"maps", deep, env, "nested more than"},
		{"arrays", arrays, env, "nested more than"},
		{"laughs", laughs, env, "more than"},
		{"includes", "include a", chain, "levels deep"},
		{"environment", "a = $b", vars, "levels deep"},
	} {
		_, err := Parse("f", c.text, c.env)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200v", c.name, err)
		}
	}
}

// FuzzParse: no panic, no reading beyond the text, positions inside it, and the same text gives the same
// tree. What was read keeps its meaning when it is written as JSON and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a=1", "a { b = [1, 2k, x] }", "include inc\na=$NUM", "x {y=1}\na=$x", "a=(\nfoo\n)\n", `a="\x41\n"`, "a=$2a$10$x", "a=1.2.3.4:5", "a=2016-05-04T18:53:41Z",
		"{ \"a\": { \"b\": [ { } ] } }", "a=-5m;b=1.5", "# c\n// d\n'k' : 'v'", "a=$SELF", "{{{", "}}}", "a\\=b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := Parse("f", text, env)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Pos.Line < 1 || e.Pos.Col < 1 || e.Pos.File == "f" && e.Pos.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%v at %+v", err, e)
			}
			return
		}
		first := asJSON(tree)
		again, err := Parse("f", text, env)
		if err != nil || asJSON(again) != first {
			t.Fatalf("second reading differs: %v", err)
		}
		for _, e := range tree.Root.Entries {
			if e.Pos.File == "f" && e.Pos.Line > strings.Count(text, "\n")+1 || e.Pos.Col < 1 {
				t.Fatalf("%q at %+v", e.Key, e.Pos)
			}
		}
		if _, err := tree.Digest(); err != nil {
			t.Fatal(err)
		}
	})
}
