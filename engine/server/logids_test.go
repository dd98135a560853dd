package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLogIDs holds docs/log-ids.md to the source: every warning, error and fatal line has an id, every id
// has a row with meaning and action, and no row is left over.
func TestLogIDs(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		ids, bad := scanLogCalls(rel, src)
		for _, id := range ids {
			used[id] = rel
		}
		for _, b := range bad {
			t.Error(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "log-ids.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "RJ-") {
			continue
		}
		id := strings.TrimSpace(cells[1])
		if documented[id] {
			t.Errorf("%s has two rows", id)
		}
		documented[id] = true
		if strings.TrimSpace(cells[2]) == "" || strings.TrimSpace(cells[3]) == "" {
			t.Errorf("%s: meaning or action is empty", id)
		}
		if used[id] == "" {
			t.Errorf("%s is documented but not used", id)
		}
	}
	for id, where := range used {
		if !documented[id] {
			t.Errorf("%s (%s) has no row in docs/log-ids.md", id, where)
		}
	}
	if len(used) < 10 {
		t.Errorf("only %d ids found", len(used))
	}
}

var logID = regexp.MustCompile(`^RJ-[A-Z]\d{3}$`)

// scanLogCalls returns the ids in src, and its calls Logf(engine.Warn|Error|Fatal, "", ...).
func scanLogCalls(name string, src []byte) (ids, bad []string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil // does not build: other tests say so
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, _ := strconv.Unquote(lit.Value); logID.MatchString(s) {
				ids = append(ids, s)
			}
		}
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		if fn, ok := call.Fun.(*ast.SelectorExpr); !ok || fn.Sel.Name != "Logf" {
			return true
		}
		lv, ok := call.Args[0].(*ast.SelectorExpr)
		if !ok || lv.Sel.Name != "Warn" && lv.Sel.Name != "Error" && lv.Sel.Name != "Fatal" {
			return true
		}
		if lit, ok := call.Args[1].(*ast.BasicLit); ok {
			if s, _ := strconv.Unquote(lit.Value); !logID.MatchString(s) {
				bad = append(bad, fset.Position(call.Pos()).String()+": "+lv.Sel.Name+" without an id")
			}
		}
		return true
	})
	return ids, bad
}

func TestScanLogCallsDetects(t *testing.T) {
	src := `package x
func f() { l.Logf(engine.Warn, "", "x"); l.Logf(engine.Info, "", "x"); l.Logf(engine.Error, "RJ-X001", "x") }`
	ids, bad := scanLogCalls("x.go", []byte(src))
	if len(bad) != 1 || len(ids) != 1 {
		t.Errorf("got %q %q", ids, bad)
	}
}
