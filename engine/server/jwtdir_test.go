package server

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/proto/base/clock"
	"ramjet/store/vfs"
)

// issuer makes JWTs of accounts.
type issuer struct {
	t  *testing.T
	op nkeys.KeyPair
}

// account returns the JWT of a new account, or of the one called name.
func (i issuer) account(name string, expires time.Time, title ...string) (*jwt.AccountClaims, string) {
	i.t.Helper()
	if name == "" {
		name = newNkey(i.t, nkeys.CreateAccount).public
	}
	c := jwt.NewAccountClaims(name)
	c.Name = strings.Join(title, " ")
	if !expires.IsZero() {
		c.Expires = expires.Unix()
	}
	token, err := c.Encode(i.op)
	if err != nil {
		i.t.Fatal(err)
	}
	return c, token
}

func TestJWTDir(t *testing.T) {
	mem, clk := vfs.NewMem(), clock.NewManual(time.Now())
	by := issuer{t, newNkey(t, nkeys.CreateOperator).KeyPair}
	open := func(d jwtDirOptions) *jwtDir {
		t.Helper()
		d.fs, d.dir, d.clk = mem, "/jwt", clk
		dir, warn, err := openJWTDir(d)
		if err != nil || len(warn) > 0 {
			t.Fatal(warn, err)
		}
		return dir
	}
	save := func(d *jwtDir, c *jwt.AccountClaims, token string, newer, want bool) {
		t.Helper()
		if changed, err := d.save(c, token, newer); err != nil || changed != want {
			t.Fatalf("changed %t, %v", changed, err)
		}
	}
	d := open(jwtDirOptions{limit: 2})
	ca, a := by.account("", time.Time{})
	cb, b := by.account("", clk.Now().Add(time.Hour))
	save(d, ca, a, false, true)
	save(d, ca, a, false, false)
	one := d.sum()
	save(d, cb, b, false, true)
	if cc, c := by.account("", time.Time{}); true {
		if _, err := d.save(cc, c, false); !errors.Is(err, errDirFull) {
			t.Fatalf("beyond the limit: %v", err)
		}
	}
	// A later one replaces an earlier one, an earlier one only when told so.
	clater, later := by.account(ca.Subject, time.Time{}, "later")
	clater.IssuedAt++
	save(d, clater, later, true, true)
	save(d, ca, a, true, false)
	save(d, ca, a, false, true)
	// Everything is there again after a power cut, in which nothing is lost.
	mem = mem.CrashClone(vfs.Crash{})
	d = open(jwtDirOptions{limit: 2})
	if got, err := d.load(ca.Subject); err != nil || got != a {
		t.Fatalf("%q %v", got, err)
	}
	if l := d.list(); len(l) != 2 || !slices.Contains(l, cb.Subject) {
		t.Fatal(l)
	}
	// What has expired is gone, and the hash is that of the rest.
	clk.Advance(2 * time.Hour)
	if got, err := d.load(cb.Subject); err != nil || got != "" || d.sum() != one {
		t.Fatalf("%q %v", got, err)
	}
	if err := d.remove(ca.Subject); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("/jwt")
	if err != nil || !slices.Equal(names, []string{ca.Subject + ".jwt.deleted"}) {
		t.Fatal(names, err)
	}
	if d.sum() != [32]byte{} || d.remove(ca.Subject) != nil {
		t.Fatal("still there")
	}
}

// TestJWTDirCache: the one used longest ago makes room, and what is not used ends.
func TestJWTDirCache(t *testing.T) {
	mem, clk := vfs.NewMem(), clock.NewManual(time.Now())
	by := issuer{t, newNkey(t, nkeys.CreateOperator).KeyPair}
	d, _, err := openJWTDir(jwtDirOptions{fs: mem, dir: "/jwt", clk: clk, limit: 2, cache: true, ttl: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 3 {
		c, token := by.account("", time.Time{})
		names = append(names, c.Subject)
		if _, err := d.save(c, token, false); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if got, err := d.load(names[0]); err != nil || got == "" {
				t.Fatalf("%q %v", got, err)
			}
		}
	}

	if l := d.list(); slices.Contains(l, names[1]) || len(l) != 2 {
		t.Fatalf("%v of %v", l, names)
	}
	clk.Advance(30 * time.Second)
	if got, _ := d.load(names[2]); got == "" {
		t.Fatal("gone too early")
	}
	clk.Advance(40 * time.Second)
	if l := d.list(); !slices.Equal(l, names[2:]) {
		t.Fatal(l)
	}
}

// TestJWTDirBad: what is no JWT of the account is left alone, and a full disk changes nothing.
func TestJWTDirBad(t *testing.T) {
	mem, clk := vfs.NewMem(), clock.NewManual(time.Now())
	var fault vfs.Fault
	by := issuer{t, newNkey(t, nkeys.CreateOperator).KeyPair}
	c, token := by.account("", time.Time{})
	other := newNkey(t, nkeys.CreateAccount).public
	if err := mem.MkdirAll("/jwt"); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{other + ".jwt": token, "x.jwt": token, c.Subject + ".jwt": token[:len(token)-4], "notes": "x"} {
		if err := vfs.WriteAtomic(mem, "/jwt/"+name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	d, warn, err := openJWTDir(jwtDirOptions{fs: vfs.Intercept(mem, fault.Hook), dir: "/jwt", clk: clk})
	if err != nil || len(warn) != 3 || len(d.list()) != 0 || !strings.Contains(strings.Join(warn, "\n"), "x.jwt") {
		t.Fatal(warn, err)
	}
	fault.Add(vfs.FaultRule{Op: vfs.OpWrite, Err: syscall.ENOSPC})
	if changed, err := d.save(c, token, false); changed || !errors.Is(err, syscall.ENOSPC) || len(d.list()) != 0 {
		t.Fatal(changed, err)
	}
	fault.Clear()
	if changed, err := d.save(c, token, false); !changed || err != nil {
		t.Fatal(changed, err)
	}
}
