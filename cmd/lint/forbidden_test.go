package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// forbidden is a call that only some packages may make.
type forbidden struct {
	pkg, name string   // imported package and function; name "" = any of names
	names     []string // several functions
	allow     []string // package patterns that may
	tests     bool     // the rule counts for tests too
	reason    string
}

var osFileCalls = []string{"Open", "OpenFile", "Create", "CreateTemp", "ReadFile", "WriteFile", "Remove", "RemoveAll", "Rename",
	"Mkdir", "MkdirAll", "MkdirTemp", "Stat", "Lstat", "ReadDir", "Truncate", "Link", "Symlink", "Chmod"}

var forbiddenCalls = []forbidden{
	{pkg: "time", names: []string{"Now", "After", "NewTimer", "NewTicker", "AfterFunc", "Tick", "Since", "Until"},
		allow:  []string{"proto/base/clock", "engine/netio", "engine/simtest", "cmd/...", "bench"},
		reason: "time comes from proto/base/clock, so that it can be simulated"},
	{pkg: "time", name: "Sleep", allow: []string{"cmd/...", "bench"}, tests: true,
		reason: "wait for the event, not for the clock"},
	{pkg: "os", names: osFileCalls,
		allow:  []string{"store/vfs", "engine/config", "engine/server", "cmd/...", "bench"},
		reason: "data files go through store/vfs"},
}

// TestForbiddenCalls walks every file of the module.
func TestForbiddenCalls(t *testing.T) {
	files := 0
	for _, p := range listPackages(t) {
		rel, _ := relative(p.ImportPath)
		names, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			files++
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, msg := range checkFile(fset, f, rel, strings.HasSuffix(name, "_test.go")) {
				t.Error(msg)
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files seen", files)
	}
}

// checkFile returns a message for each forbidden call and each exported mutable variable in f.
func checkFile(fset *token.FileSet, f *ast.File, pkg string, test bool) []string {
	var msgs []string
	imports := map[string]string{} // local name -> path
	for _, im := range f.Imports {
		path, _ := strconv.Unquote(im.Path.Value)
		local := path[strings.LastIndex(path, "/")+1:]
		if im.Name != nil {
			local = im.Name.Name
		}
		imports[local] = path
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		path, ok := imports[id.Name]
		if !ok {
			return true
		}
		for _, r := range forbiddenCalls {
			if path != r.pkg || !r.has(sel.Sel.Name) || (test && !r.tests) || allowed(r.allow, pkg) {
				continue
			}
			msgs = append(msgs, fset.Position(sel.Pos()).String()+": "+r.pkg+"."+sel.Sel.Name+": "+r.reason)
		}
		return true
	})
	if test {
		return msgs
	}
	for _, d := range f.Decls {
		gd, ok := d.(*ast.GenDecl)
		if !ok || gd.Tok != token.VAR {
			continue
		}
		for _, s := range gd.Specs {
			vs := s.(*ast.ValueSpec)
			for i, id := range vs.Names {
				if id.IsExported() && !isErrorValue(vs, i) {
					msgs = append(msgs, fset.Position(id.Pos()).String()+": exported variable "+id.Name+": state has an owner, not a package")
				}
			}
		}
	}
	return msgs
}

func (r *forbidden) has(name string) bool {
	if r.name != "" {
		return r.name == name
	}
	for _, n := range r.names {
		if n == name {
			return true
		}
	}
	return false
}

// isErrorValue reports a sentinel error: a name starting with Err, initialised once.
func isErrorValue(vs *ast.ValueSpec, i int) bool {
	return strings.HasPrefix(vs.Names[i].Name, "Err") && len(vs.Values) > i
}

// TestForbiddenDetects proves that the checker can fail.
func TestForbiddenDetects(t *testing.T) {
	src := `package x
import ("time"; "os")
var Mutable = 1
var ErrFine = os.ErrExist
func f() { time.Sleep(1); _ = time.Now(); os.Remove("a") }`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkFile(fset, f, "proto/x", false); len(got) != 4 {
		t.Errorf("want 4 findings, got %q", got)
	}
	if got := checkFile(fset, f, "proto/x", true); len(got) != 1 {
		t.Errorf("in a test want the Sleep only, got %q", got)
	}
}
