package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"ramjet/proto/conf"
)

var update = flag.Bool("update", false, "write the golden files")

// loadText loads a text as if it were a file named c.conf.
func loadText(text string) (*Options, []string, error) {
	tree, err := conf.Parse("c.conf", text, conf.Env{ReadFile: readInclude, Getenv: func(string) (string, bool) { return "", false }})
	if err != nil {
		return nil, nil, parseError("c.conf", err)
	}
	o := &Options{Log: LogOptions{Time: true}}
	d := decodeTree(o, tree)
	var warnings []string
	for _, w := range d.warnings {
		warnings = append(warnings, w.Error())
	}
	if len(d.errors) > 0 {
		return nil, warnings, &ErrorList{d.errors}
	}
	Baseline(o)
	if err := Validate(o); err != nil {
		return o, warnings, err
	}
	return o, warnings, nil
}

// report is what somebody sees of a broken configuration.
func report(text string) string {
	_, warnings, err := loadText(text)
	var b strings.Builder
	for _, w := range warnings {
		b.WriteString("warning: " + w + "\n")
	}
	if err != nil {
		b.WriteString(err.Error() + "\n")
	}
	return b.String()
}

// TestBroken compares what is said about a corpus of broken configurations: everything at once, each
// with file, line and column, what was expected, and the nearest key. Run with -update to write it anew.
func TestBroken(t *testing.T) {
	const file = "testdata/broken.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cases := strings.Split(string(data), "=== \n")[1:]
	for i, c := range cases {
		text, want, _ := strings.Cut(c, "--- \n")
		got := report(text)
		if got == "" {
			t.Errorf("case %d is not broken:\n%s", i, text)
		}
		if got != want && !*update {
			t.Errorf("case %d\n%s\ngot:\n%s\nwant:\n%s", i, text, got, want)
		}
		fmt.Fprintf(&out, "=== \n%s--- \n%s", text, got)
	}
	if len(cases) < 100 {
		t.Errorf("only %d cases", len(cases))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
