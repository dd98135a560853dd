package subject

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "a.b": true, "*": true, ">": true, "a.*.b": true, "a.>": true, "foo*": true, "a.b>": true, "é.ü": true, "$JS.x": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, ">.a": false, "a.>.b": false, "a b": false, "a\t": false,
		"a\r": false, "a\n.b": false, "\f": false, " ": false, "a. ": false, ">.": false, ">>": true, "**": true,
	} {
		if Valid(s) != want {
			t.Errorf("Valid(%q) = %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"a.*": true, ">": true, "foo*": false, "a.>b": false, "a*.b>": false, "a.b": false, "*.": true} {
		if HasWildcard(s) != want {
			t.Errorf("HasWildcard(%q) = %v", s, !want)
		}
	}
	if !ValidLiteral("a.b*") || ValidLiteral("a.*") || ValidLiteral("a..b") {
		t.Error("ValidLiteral")
	}
	if !ValidQueue("a.*.>") || ValidQueue("") || ValidQueue("a b") {
		t.Error("ValidQueue")
	}
}

func TestTokens(t *testing.T) {
	for s, want := range map[string][]string{"": nil, "a": {"a"}, "a.b": {"a", "b"}, "a..": {"a", "", ""}, ".": {"", ""}} {
		got := Split(nil, s)
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) || Count(s) != len(want) {
			t.Errorf("%q: tokens %q, count %d", s, got, Count(s))
		}
		for i, tok := range want {
			if Token(s, i) != tok {
				t.Errorf("Token(%q, %d) = %q", s, i, Token(s, i))
			}
		}
		if Token(s, len(want)) != "" {
			t.Errorf("%q has a token too many", s)
		}
	}
}

// matches is the oracle: a pattern as a regular expression.
func matches(literal, pattern string) bool {
	toks := strings.Split(pattern, ".")
	for i, tok := range toks {
		switch tok {
		case "*":
			toks[i] = `[^.]+`
		case ">":
			toks[i] = `[^.]+(\.[^.]+)*`
		default:
			toks[i] = regexp.QuoteMeta(tok)
		}
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(toks, `\.`) + `$`).MatchString(literal)
}

func random(r *rand.Rand, words []string, full bool) string {
	toks := make([]string, 1+r.IntN(4))
	for i := range toks {
		toks[i] = words[r.IntN(len(words))]
	}
	if full && r.IntN(4) == 0 {
		toks[len(toks)-1] = ">"
	}
	return strings.Join(toks, ".")
}

func TestMatchOracle(t *testing.T) {
	r := seeded(t)
	for range 20000 {
		lit := random(r, []string{"a", "b", "", "a*", "*", ">"}, false)
		pat := random(r, []string{"a", "b", "*", "*", "a*"}, true)
		if got := Match(lit, pat); got != matches(lit, pat) {
			t.Fatalf("Match(%q, %q) = %v", lit, pat, got)
		}
		if MatchBytes([]byte(lit), pat) != Match(lit, pat) {
			t.Fatalf("MatchBytes(%q, %q)", lit, pat)
		}
	}
}

// TestPatternOracle compares Collide and IsSubset with all literals over a small alphabet; "z" stands
// for any token that no pattern names, length 5 for any that is longer than the patterns.
func TestPatternOracle(t *testing.T) {
	r := seeded(t)
	all := []string{}
	level := []string{""}
	for range 5 {
		var next []string
		for _, p := range level {
			for _, w := range []string{"a", "b", "z"} {
				next = append(next, strings.TrimPrefix(p+"."+w, "."))
			}
		}
		all, level = append(all, next...), next
	}
	for range 600 {
		a := random(r, []string{"a", "b", "*"}, true)
		b := random(r, []string{"a", "b", "*"}, true)
		collide, subset := false, true
		for _, l := range all {
			ma, mb := Match(l, a), Match(l, b)
			collide = collide || ma && mb
			subset = subset && (!ma || mb)
		}
		if Collide(a, b) != collide || Collide(b, a) != collide {
			t.Fatalf("Collide(%q, %q) = %v", a, b, !collide)
		}
		if IsSubset(a, b) != subset {
			t.Fatalf("IsSubset(%q, %q) = %v", a, b, !subset)
		}
	}
}

func TestAllocs(t *testing.T) {
	lit, pat := []byte("orders.eu.1234.created"), "orders.*.*.>"
	if n := testing.AllocsPerRun(100, func() {
		if !MatchBytes(lit, pat) || !Valid(View(lit)) || HasWildcard(View(lit)) || !IsSubset(pat, ">") || !Collide(pat, "*.eu.>") {
			t.Fatal("wrong answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSubjects(f *testing.F) {
	for _, s := range [][2]string{{"a.b", "a.*"}, {"", ""}, {"..", ">"}, {"a.>", "a.*.>"}, {"*", "*"}, {"a b", "a\x00"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.Join(Split(nil, a), ".") != a || len(Split(nil, a)) != Count(a) {
			t.Fatalf("tokens of %q", a)
		}
		if Match(a, b) && strings.Contains("."+a+".", "..") {
			t.Fatalf("%q has an empty token and matched %q", a, b)
		}
		if !Valid(a) || !Valid(b) {
			return
		}
		if !IsSubset(a, a) || !Collide(a, a) || !IsSubset(a, ">") {
			t.Fatalf("%q against itself and >", a)
		}
		if Collide(a, b) != Collide(b, a) || IsSubset(a, b) && !Collide(a, b) {
			t.Fatalf("%q and %q", a, b)
		}
		if !HasWildcard(a) && (Match(a, b) != IsSubset(a, b) || Match(a, b) != Collide(a, b)) {
			t.Fatalf("literal %q, pattern %q", a, b)
		}
	})
}

// TestIntersect checks the intersection of patterns against every literal of a small world.
func TestIntersect(t *testing.T) {
	words := []string{"a", "b"}
	var literals []string
	var walk func(prefix string, depth int)
	walk = func(prefix string, depth int) {
		for _, w := range words {
			s := prefix + w
			literals = append(literals, s)
			if depth > 1 {
				walk(s+".", depth-1)
			}
		}
	}
	walk("", 4)
	r := seeded(t)
	for range 3000 {
		a, b := random(r, []string{"a", "b", "*"}, true), random(r, []string{"a", "b", "*"}, true)
		both, ok := Intersect(a, b)
		if ok != Collide(a, b) || ok && !Valid(both) {
			t.Fatalf("Intersect(%q, %q) = %q, %v", a, b, both, ok)
		}
		for _, l := range literals {
			if want := Match(l, a) && Match(l, b); want != (ok && Match(l, both)) {
				t.Fatalf("Intersect(%q, %q) = %q, %v: %q is in both: %v", a, b, both, ok, l, want)
			}
		}
	}
}

func TestUnplaced(t *testing.T) {
	for in, want := range map[string]string{"a.$1.b.$2": "a.*.b.*", "{{wildcard(2)}}.>": "*.>", "a.*": "a.*", "a.$": "a.$", "plain": "plain"} {
		if got := Unplaced(in); got != want {
			t.Errorf("Unplaced(%q) = %q, want %q", in, got, want)
		}
	}
}
