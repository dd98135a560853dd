package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "ramjet"

type goPackage struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// listPackages returns every package of the module.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func relative(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// checkEdge returns why pkg may not import path, or "".
func checkEdge(pkg, path string) string {
	rule := ruleFor(pkg)
	if rule == nil {
		return "no layer rule for " + pkg + ": add one to layers.go"
	}
	if rel, ours := relative(path); ours {
		if rel == pkg || allowed(rule.allow, rel) {
			return ""
		}
		return rule.reason
	}
	if allowed(rule.noStd, path) {
		return rule.reason
	}
	for _, e := range externals {
		if (path == e.path || strings.HasPrefix(path, strings.TrimSuffix(e.path, "/")+"/")) && !allowed(e.allow, pkg) {
			return e.reason
		}
	}
	return ""
}

func TestImportLayers(t *testing.T) {
	pkgs := listPackages(t)
	if len(pkgs) < 10 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	for _, p := range pkgs {
		rel, _ := relative(p.ImportPath)
		for _, imp := range p.Imports {
			if why := checkEdge(rel, imp); why != "" {
				t.Errorf("%s must not import %s: %s", rel, imp, why)
			}
		}
	}
}

// TestRuleDetectsViolations proves that the checker can fail.
func TestRuleDetectsViolations(t *testing.T) {
	for _, c := range []struct {
		pkg, path string
		bad       bool
	}{
		{"proto/wire", "net", true},
		{"proto/wire", "time", true},
		{"proto/wire", module + "/proto/subject", false},
		{"proto/wire", module + "/engine", true},
		{"engine/link", module + "/js/host", true},
		{"engine/client", module + "/engine/cluster", true},
		{"engine/client", module + "/engine/link", false},
		{"js/stream", module + "/engine/link", true},
		{"engine/link", "github.com/panjf2000/gnet/v2/pkg/netpoll", true},
		{"engine/netio", "github.com/panjf2000/gnet/v2/pkg/netpoll", false},
		{"engine/server", "testing", true},
		{"nowhere", "fmt", true},
	} {
		if got := checkEdge(c.pkg, c.path) != ""; got != c.bad {
			t.Errorf("%s -> %s: forbidden %v, want %v", c.pkg, c.path, got, c.bad)
		}
	}
}
