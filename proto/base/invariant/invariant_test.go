package invariant

import "testing"

// panics reports whether fn panics.
func panics(fn func()) (did bool) {
	defer func() { did = recover() != nil }()
	fn()
	return
}

// TestAssertions expects a panic exactly in builds with the tag.
func TestAssertions(t *testing.T) {
	var closed, open CloseChecker
	closed.Close()
	var mine, foreign Owner
	mine.AssertOwner()
	mine.AssertOwner()
	done := make(chan struct{})
	go func() { foreign.Bind(); close(done) }()
	<-done
	for _, c := range []struct {
		name string
		fn   func()
	}{
		{"check", func() { Check(false, "x") }},
		{"double close", closed.Close},
		{"use after close", closed.AssertOpen},
		{"not closed", open.AssertClosed},
		{"foreign owner", foreign.AssertOwner},
	} {
		if got := panics(c.fn); got != On {
			t.Errorf("%s: panic %v, invariants %v", c.name, got, On)
		}
	}
	for _, c := range []struct {
		name string
		fn   func()
	}{
		{"check", func() { Check(true, "x") }},
		{"open", open.AssertOpen},
		{"closed", closed.AssertClosed},
		{"own", mine.AssertOwner},
		{"rebound", func() { foreign.Bind(); foreign.AssertOwner() }},
		{"released", func() { foreign.Release(); foreign.AssertOwner() }},
	} {
		if panics(c.fn) {
			t.Errorf("%s panicked", c.name)
		}
	}
}

func TestMangle(t *testing.T) {
	for n := range 70 {
		b := make([]byte, n+1)
		Mangle(b[:n])
		if n > 0 && Mangled(b[:n]) != On {
			t.Errorf("%d bytes: mangled %v, invariants %v", n, !On, On)
		}
		if b[n] != 0 {
			t.Errorf("%d bytes: wrote over the end", n)
		}
	}
}
