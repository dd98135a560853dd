package subject

import (
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
	"testing"
)

func TestTransform(t *testing.T) {
	for _, c := range []struct{ source, dest, in, want string }{
		{"a", "b", "a", "b"},
		{"a.*", "b.$1", "a.x", "b.x"},
		{"*.*", "$2.{{wildcard(1)}}", "x.y", "y.x"},
		{"*.*", "{{ Wildcard( 2 ) }}.k", "x.y", "y.k"},
		{"a.*.>", "b.>", "a.x.y.z", "b.y.z"},
		{">", "pre.>", "x.y", "pre.x.y"},
		{"", "pre.>", "x.y", "pre.x.y"},
		{"a.>", ">", "a.x.y", "x.y"},
		{"a.*.>", "$JS.$1.>", "a.x.y", "$JS.x.y"},
		{"*", "a.{{split(1,-)}}.z", "-x--y-", "a.x.y.z"},
		{"*", "{{split(1, ab)}}", "1ab2abab3", "1.2.3"},
		{"*", "{{Split(1,)}}", "xyé", "x.y.é"},
		{"*", "{{splitfromleft(1,2)}}", "12345", "12.345"},
		{"*", "{{SplitFromLeft(1,5)}}", "12345", "12345"},
		{"*", "{{splitFromRight(1,2)}}", "12345", "123.45"},
		{"*", "{{splitfromright(1,-2)}}", "12345", "12345"},
		{"*", "{{slicefromleft(1,2)}}", "12345", "12.34.5"},
		{"*", "{{slicefromleft(1,2)}}", "1234", "12.34"},
		{"*", "{{SliceFromRight(1,2)}}", "12345", "1.23.45"},
		{"*", "{{slicefromright(1,2)}}", "1234", "12.34"},
		{"*", "{{slicefromright(1,0)}}", "1234", "1234"},
		{"*", "{{left(1,3)}}.{{right(1,2)}}", "12345", "123.45"},
		{"*", "{{left(1,9)}}.{{Right(1,9)}}", "12345", "12345.12345"},
		{"*", "x.{{partition(0)}}.{{random(0)}}", "q", "x.0.0"},
		{"a", "x.{{random(1)}}", "a", "x.0"},
		{"*", "a.$x.$", "q", "a.$x.$"},
		{"*.b", "{{wildcard(0)}}", "q.b", "q"},
	} {
		tr, err := NewTransform(c.source, c.dest)
		if err != nil {
			t.Errorf("%s -> %s: %v", c.source, c.dest, err)
			continue
		}
		if got, ok := tr.Map(c.in, 1); got != c.want || !ok {
			t.Errorf("%s -> %s: %s became %q, %v, want %q", c.source, c.dest, c.in, got, ok, c.want)
		}
		if _, ok := tr.Map(c.in+".more.more.more.more", 1); ok && !strings.Contains(tr.Source(), ">") {
			t.Errorf("%s matched too much", c.source)
		}
	}
}

func TestPartition(t *testing.T) {
	bucket := func(s string, n uint32) string {
		h := fnv.New32a()
		_, _ = h.Write([]byte(s))
		return strconv.Itoa(int(h.Sum32() % n))
	}
	for _, c := range []struct{ source, dest, in, want string }{
		{"*.*", "p.{{partition(10)}}", "foo.bar", "p." + bucket("foo.bar", 10)},
		{"*.*", "p.{{partition(7,2,1)}}", "foo.bar", "p." + bucket("barfoo", 7)},
		{"a.b", "p.{{Partition(5)}}", "a.b", "p." + bucket("a.b", 5)},
	} {
		tr, err := NewTransform(c.source, c.dest)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := tr.Map(c.in, 0); got != c.want {
			t.Errorf("%s: %s, want %s", c.dest, got, c.want)
		}
	}
	tr, _ := NewTransform("a", "{{random(4)}}.{{random(4)}}")
	seen := map[string]int{}
	for i := range 1600 {
		s, _ := tr.Map("a", uint64(i))
		seen[s]++
	}
	if len(seen) != 16 {
		t.Errorf("random pairs: %v", seen)
	}
}

func TestTransformErrors(t *testing.T) {
	const pre = "invalid mapping destination: "
	for _, c := range []struct {
		source, dest string
		strict       bool
		want         string
	}{
		{"a.>", "b", false, "invalid subject"},
		{"a", "b.>", false, "invalid subject"},
		{"a.*", "b.*", false, "invalid subject"},
		{"a..b", "c", false, "invalid subject"},
		{"a", "", false, "invalid subject"},
		{"a.*", "{{nope(1)}}", false, pre + "unknown function in {{nope(1)}}"},
		{"a.*", "{{wildcard}}", false, pre + "unknown function in {{wildcard}}"},
		{"a.*", "{{wILDCARD(1)}}", false, pre + "unknown function in {{wILDCARD(1)}}"},
		{"a.*", "$2", false, pre + "wildcard index out of range in $2: [2]"},
		{"a.*", "{{split(2,-)}}", false, pre + "wildcard index out of range in {{split(2,-)}}: [2]"},
		{"a", "$1", false, pre + "wildcard index out of range in $1"},
		{"a", "{{left(1,2)}}", false, pre + "wildcard index out of range in {{left(1,2)}}"},
		{"a.*", "{{wildcard()}}", false, pre + "not enough arguments passed to the function in {{wildcard()}}"},
		{"a.*", "{{split(1)}}", false, pre + "not enough arguments passed to the function in {{split(1)}}"},
		{"a.*", "{{random(1,2)}}", false, pre + "not enough arguments passed to the function in {{random(1,2)}}"},
		{"a.*", "{{wildcard(1,2)}}", false, pre + "too many arguments passed to the function in {{wildcard(1,2)}}"},
		{"a.*", "{{left(1,2,3)}}", false, pre + "too many arguments passed to the function in {{left(1,2,3)}}"},
		{"a.*", "{{wildcard(x)}}", false, pre + "function argument is invalid or in the wrong format in {{wildcard(x)}}"},
		{"a.*", "{{partition()}}", false, pre + "function argument is invalid or in the wrong format in {{partition()}}"},
		{"a.*", "{{partition(2147483648,1)}}", false, pre + "function argument is invalid or in the wrong format in {{partition(2147483648,1)}}"},
		{"a.*", "{{split(1,a b)}}", false, pre + "function argument is invalid or in the wrong format in {{split(1,a b)}}"},
		{"a.*", "{{partition(3,1)}}", true, pre + "the only mapping function allowed for import transforms is {{Wildcard()}} in {{partition(3,1)}}"},
		{"a.*.*", "b.$1", true, pre + "not using all of the token wildcard(s) in b.$1"},
	} {
		_, err := compile(c.source, c.dest, c.strict)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s -> %s: %v, want %s", c.source, c.dest, err, c.want)
		}
		var me *MappingError
		if errors.As(err, &me) != errors.Is(err, ErrBadMapping) {
			t.Errorf("%s -> %s: class of %v", c.source, c.dest, err)
		}
	}
	for _, bad := range []string{"a..b", "a b", "x.>.y", "a.", "a\tb.$1"} {
		if err := ValidDest(bad); !errors.Is(err, ErrBadToken) {
			t.Errorf("ValidDest(%q) = %v", bad, err)
		}
	}
	if err := ValidDest("a.{{split(1, -)}}.>"); err != nil {
		t.Error(err)
	}
}

func TestReverse(t *testing.T) {
	tr, err := NewImportTransform("a.*.b.*.*", "x.$3.$1.{{wildcard(2)}}")
	if err != nil {
		t.Fatal(err)
	}
	rev := tr.Reverse()
	if rev == nil {
		t.Fatal("no reverse")
	}
	there, _ := tr.Map("a.1.b.2.3", 0)
	if back, ok := rev.Map(there, 0); !ok || back != "a.1.b.2.3" {
		t.Errorf("%s came back as %q", there, back)
	}
	for _, c := range [][2]string{{"a.*", "b"}, {"a.*", "b.{{left(1,2)}}"}} {
		tr, err := NewTransform(c[0], c[1])
		if err != nil || tr.Reverse() != nil {
			t.Errorf("%v: reverse %v, %v", c, tr, err)
		}
	}
	if r, _ := NewTransform("a.>", "b.>"); r.Reverse() == nil || r.Reverse().Dest() != "a.>" {
		t.Error("reverse of a.> -> b.>")
	}
}

func mapTable(t testing.TB, cluster string, ms ...Mapping) *Table {
	t.Helper()
	tb, err := NewTable(ms, cluster)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// shares maps subj n times and returns how often what came out, in percent.
func shares(t *testing.T, tb *Table, subj string) map[string]int {
	r := seeded(t)
	got := map[string]int{}
	for range 10000 {
		out, mapped, ok := tb.Map([]byte(subj), nil, r.Uint64())
		switch {
		case !ok:
			got["(dropped)"]++
		case !mapped:
			got["(as is)"]++
		default:
			got[string(out)]++
		}
	}
	for k, n := range got {
		got[k] = (n + 50) / 100
	}
	return got
}

func TestTableWeights(t *testing.T) {
	for _, c := range []struct {
		m       Mapping
		cluster string
		subj    string
		want    map[string]int
	}{
		{Mapping{"c", []Dest{{"c", 30, ""}, {"d", 30, ""}}}, "", "c", map[string]int{"c": 30, "d": 30, "(dropped)": 40}},
		{Mapping{"a", []Dest{{"b", 30, ""}}}, "", "a", map[string]int{"b": 30, "a": 70}},
		{Mapping{"a.*", []Dest{{"b.$1", 20, ""}, {"c.$1", 20, ""}}}, "", "a.x", map[string]int{"b.x": 20, "c.x": 20, "a.x": 60}},
		{Mapping{"a", []Dest{{"b", 100, ""}}}, "", "a", map[string]int{"b": 100}},
		{Mapping{"a", []Dest{{"b", 0, ""}}}, "", "a", map[string]int{"a": 100}},
		{Mapping{"a", nil}, "", "a", map[string]int{"(as is)": 100}},
		{Mapping{"a", []Dest{{"b", 100, ""}, {"east", 50, "E"}}}, "E", "a", map[string]int{"east": 50, "a": 50}},
		{Mapping{"a", []Dest{{"b", 100, ""}, {"east", 50, "E"}}}, "W", "a", map[string]int{"b": 100}},
		{Mapping{"a", []Dest{{"east", 50, "E"}}}, "W", "a", map[string]int{"(as is)": 100}},
		{Mapping{"a.>", []Dest{{"b.>", 50, ""}}}, "", "a.x.y", map[string]int{"b.x.y": 50, "a.x.y": 50}},
	} {
		got := shares(t, mapTable(t, c.cluster, c.m), c.subj)
		for k := range c.want {
			if d := got[k] - c.want[k]; d < -3 || d > 3 {
				t.Errorf("%+v on %q: %v, want %v", c.m, c.cluster, got, c.want)
				break
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%+v on %q: %v, want %v", c.m, c.cluster, got, c.want)
		}
	}
}

func TestTableOrder(t *testing.T) {
	to := func(s string) []Dest { return []Dest{{s, 100, ""}} }
	tb := mapTable(t, "", Mapping{"a.b", to("first")}, Mapping{"a.*", to("second")}, Mapping{"a.c", to("third")},
		Mapping{"*.d", to("fourth")}, Mapping{"first", to("again")}, Mapping{"a.b", to("replaced")})
	for in, want := range map[string]string{"a.b": "replaced", "a.c": "second", "a.d": "second", "x.d": "fourth", "x": "x", "a..": "a.."} {
		out, mapped, ok := tb.Map([]byte(in), nil, 5)
		if string(out) != want || mapped == (in == want) || !ok {
			t.Errorf("%s became %s, %v, %v", in, out, mapped, ok)
		}
	}
	var sources []string
	tb.Sources(func(s string) { sources = append(sources, s) })
	if tb.Len() != 5 || strings.Join(sources, " ") != "a.b a.* a.c *.d first" {
		t.Errorf("sources %v", sources)
	}
}

func TestTableErrors(t *testing.T) {
	_, err := NewTable([]Mapping{
		{"a b", []Dest{{"x", 1, ""}}},
		{"b", []Dest{{"x", 1, ""}, {"x", 1, ""}}},
		{"c", []Dest{{"x", 101, ""}}},
		{"d", []Dest{{"x", 60, ""}, {"y", 60, ""}}},
		{"e", []Dest{{"x y", 60, ""}}},
		{"f.*", []Dest{{"$2", 60, ""}}},
		{"ok", []Dest{{"x", 60, ""}, {"y", 60, "C"}}},
	}, "")
	want := `Error adding mapping for "a b" : invalid subject
Error adding mapping for "b" : duplicate entry for "x"
Error adding mapping for "c" : individual weights need to be <= 100
Error adding mapping for "d" : total weight needs to be <= 100
Error adding mapping for "e" : invalid mapping destination: invalid transform
Error adding mapping for "f.*" : invalid mapping destination: wildcard index out of range in $2: [2]`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestMapAllocs(t *testing.T) {
	tb := mapTable(t, "", Mapping{"orders.*.*", []Dest{{"p.{{partition(9,1,2)}}.{{split(1,-)}}.$2.{{random(5)}}.{{slicefromright(2,2)}}", 50, ""}}},
		Mapping{"lit", []Dest{{"other", 100, ""}}})
	scratch := make([]byte, 0, 256)
	rnd := uint64(0)
	for _, in := range [][]byte{[]byte("orders.a-b.12345"), []byte("lit"), []byte("none")} {
		if n := testing.AllocsPerRun(200, func() { rnd++; tb.Map(in, scratch, rnd) }); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

func FuzzTransform(f *testing.F) {
	for _, s := range [][3]string{{"a.*", "b.$1", "a.x"}, {"*", "{{split(1,-)}}", "a-b"}, {">", "a.>", "x.y"}, {"*.*", "{{partition(3,2,1)}}", "a.b"},
		{"*", "{{ slicefromleft( 1 , 3 ) }}", "abcdefgh"}, {"*", "{{right(1,2)}}.{{random(-3)}}", "éé"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, source, dest, in string) {
		tr, err := NewTransform(source, dest)
		if err != nil {
			var me *MappingError
			if err != ErrBadSubject && !errors.As(err, &me) {
				t.Fatalf("error %T", err)
			}
			return
		}
		out, ok := tr.Map(in, 7)
		again := tr.Apply([]byte("x"), in, 7) // whatever in is: no panic
		if ok && "x"+out != string(again) {
			t.Fatalf("%q and %q", out, again)
		}
		if r := tr.Reverse(); r != nil && ok && Valid(in) && Valid(out) {
			if back, ok := r.Map(out, 0); !ok || back != in {
				t.Fatalf("%q -> %q: %q to %q back %q", source, dest, in, out, back)
			}
		}
	})
}

func BenchmarkMap(b *testing.B) {
	tb := mapTable(b, "", Mapping{"orders.*.*", []Dest{{"p.{{partition(9,1,2)}}.$1.$2", 100, ""}}})
	scratch, in := make([]byte, 0, 256), []byte("orders.eu.12345")
	b.ReportAllocs()
	for range b.N {
		tb.Map(in, scratch, 1)
	}
}
