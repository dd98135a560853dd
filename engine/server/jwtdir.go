package server

import (
	"container/list"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"ramjet/proto/base/clock"
	"ramjet/store/vfs"
)

const (
	jwtSuffix     = ".jwt"
	deletedSuffix = ".deleted"
	maxJWT        = 1 << 20 // bytes of a token
)

// errDirFull: the directory has as many JWTs as it may have.
var errDirFull = errors.New("the directory of JWTs has reached its limit")

// jwtDir keeps the JWTs of accounts in files `<account>.jwt` of a directory that no other server uses: all of them, or as a cache
// the ones used last. Files are replaced atomically and synced. Any goroutine; mu is held while a file is read or written.
type jwtDir struct {
	jwtDirOptions
	mu    sync.Mutex
	index map[string]*jwtFile
	used  *list.List // of *jwtFile, longest ago first
	hash  [sha256.Size]byte
}

type jwtDirOptions struct {
	fs    vfs.FS
	dir   string
	clk   clock.Clock
	limit int           // JWTs at most, 0 = any number
	ttl   time.Duration // since a JWT was used last, 0 = until it expires
	cache bool          // the one used longest ago makes room
	hard  bool          // what is removed is gone, else it stays as `.deleted`
}

// jwtFile is what is known of a file without reading it.
type jwtFile struct {
	account string
	id      string // jti
	issued  int64
	sum     [sha256.Size]byte
	ends    time.Time // zero = never
	place   *list.Element
}

// openJWTDir makes the directory if need be and reads what is there. A file that is no account's JWT is left alone and told as a warning.
func openJWTDir(o jwtDirOptions) (d *jwtDir, warnings []string, err error) {
	d = &jwtDir{jwtDirOptions: o, index: make(map[string]*jwtFile), used: list.New()}
	if err := errors.Join(d.fs.MkdirAll(d.dir), d.fs.SyncDir(path.Dir(d.dir))); err != nil {
		return nil, nil, err
	}
	names, err := d.fs.List(d.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		account, ok := strings.CutSuffix(name, jwtSuffix)
		if !ok {
			continue
		}
		b, err := vfs.ReadFile(d.fs, d.dir+"/"+name, maxJWT)
		if err == nil {
			var c *jwt.AccountClaims
			if c, err = accountJWT(account, string(b)); err == nil {
				d.note(c, b)
				continue
			}
		}
		warnings = append(warnings, fmt.Sprintf("JWT file %s left out: %v", name, err))
	}
	d.expire()
	return d, warnings, nil
}

// accountJWT decodes the JWT of an account.
func accountJWT(account, token string) (*jwt.AccountClaims, error) {
	if !nkeys.IsValidPublicAccountKey(account) {
		return nil, errors.New("not an account")
	}
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, err
	}
	if c.Subject != account {
		return nil, errors.New("subject does not match jwt content")
	}
	return c, nil
}

// file requires a valid account name.
func (d *jwtDir) file(account string) string { return d.dir + "/" + account + jwtSuffix }

// note puts a JWT into the index. Requires mu, or that d is not in use yet.
func (d *jwtDir) note(c *jwt.AccountClaims, token []byte) {
	d.forget(c.Subject)
	f := &jwtFile{account: c.Subject, id: c.ID, issued: c.IssuedAt, sum: sha256.Sum256(token)}
	switch {
	case d.ttl > 0:
		f.ends = d.clk.Now().Add(d.ttl)
	case c.Expires != 0:
		f.ends = time.Unix(c.Expires, 0)
	}
	d.index[f.account], f.place = f, d.used.PushBack(f)
	d.mix(&f.sum)
}

// forget takes a JWT out of the index. Requires mu.
func (d *jwtDir) forget(account string) {
	if f := d.index[account]; f != nil {
		delete(d.index, account)
		d.used.Remove(f.place)
		d.mix(&f.sum)
	}
}

// mix adds a sum to the hash of all, or takes it away.
func (d *jwtDir) mix(sum *[sha256.Size]byte) {
	for i := range d.hash {
		d.hash[i] ^= sum[i]
	}
}

// load returns the JWT of an account, "" when there is none.
func (d *jwtDir) load(account string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	f := d.index[account]
	if f == nil {
		return "", nil
	}
	b, err := vfs.ReadFile(d.fs, d.file(account), maxJWT)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			d.forget(account) // taken away by hand
			return "", nil
		}
		return "", err
	}
	if sha256.Sum256(b) != f.sum { // changed by hand, or damaged
		c, err := accountJWT(account, string(b))
		if err != nil {
			return "", fmt.Errorf("JWT file of account %s: %w", account, err)
		}
		d.note(c, b)
		f = d.index[account]
	}
	d.used.MoveToBack(f.place)
	if d.ttl > 0 {
		f.ends = d.clk.Now().Add(d.ttl)
	}
	return string(b), nil
}

// save keeps a JWT, with newer only when it was issued later than the one that is there; changed says whether it is another one.
func (d *jwtDir) save(c *jwt.AccountClaims, token string, newer bool) (changed bool, err error) {
	if len(token) > maxJWT {
		return false, errors.New("the JWT is too long")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	f := d.index[c.Subject]
	switch {
	case f != nil && (f.sum == sha256.Sum256([]byte(token)) || newer && (f.id == c.ID || f.issued > c.IssuedAt)):
		return false, nil
	case f == nil && d.limit > 0 && len(d.index) >= d.limit:
		if !d.cache {
			return false, errDirFull
		}
		if err := d.drop(d.used.Front().Value.(*jwtFile).account, true); err != nil {
			return false, err
		}
	}
	if err := vfs.WriteAtomic(d.fs, d.file(c.Subject), []byte(token)); err != nil {
		return false, err
	}
	d.note(c, []byte(token))
	return true, nil
}

// remove deletes the JWT of an account, if there is one.
func (d *jwtDir) remove(account string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index[account] == nil {
		return nil
	}
	return d.drop(account, d.hard)
}

// drop requires mu.
func (d *jwtDir) drop(account string, hard bool) error {
	var err error
	if name := d.file(account); hard {
		err = d.fs.Remove(name)
	} else {
		err = d.fs.Rename(name, name+deletedSuffix)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.forget(account)
	return d.fs.SyncDir(d.dir)
}

// expire removes what has ended. A file that cannot be removed is tried again the next time. Requires mu.
func (d *jwtDir) expire() {
	now := d.clk.Now()
	for _, f := range d.index {
		if !f.ends.IsZero() && !now.Before(f.ends) {
			_ = d.drop(f.account, true)
		}
	}
}

// list returns the accounts, sorted.
func (d *jwtDir) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	names := make([]string, 0, len(d.index))
	for name := range d.index {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sum returns the hash of everything, in which the order does not count (reference/auth.md, section 6.1).
func (d *jwtDir) sum() [sha256.Size]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	return d.hash
}
