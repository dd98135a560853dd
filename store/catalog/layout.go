package catalog

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"

	"ramjet/store/vfs"
)

const (
	accountsDir   = "accounts"
	consumersDir  = "consumers"
	quarantineDir = "quarantine"
	metaName      = "meta"
	stateName     = "state"
	savedName     = "saved" // beside the state of a consumer: there was one, so it must be there
	newPrefix     = ".new-"
	gonePrefix    = ".gone-"
	maxName       = 180 // bytes of an escaped name before it is shortened
	hexDigits     = "0123456789abcdef"
)

// Escape returns the directory name for the name of an account, stream or consumer: letters, digits, "-", "_" and "$" stay,
// other bytes become %xx. Long names end in a hash.
func Escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '$' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	s := b.String()
	if s == "" {
		return "%"
	}
	if len(s) > maxName {
		var d xxhash.Digest
		d.ResetWithSeed(1)
		_, _ = d.WriteString(name)
		return fmt.Sprintf("%s%%~%016x%016x", s[:maxName-40], xxhash.Sum64String(name), d.Sum64())
	}
	return s
}

// Unescape is the inverse of Escape; false for what Escape does not produce and for shortened names.
func Unescape(dir string) (name string, ok bool) {
	if dir == "%" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(dir); i++ {
		if dir[i] != '%' {
			b.WriteByte(dir[i])
			continue
		}
		if i+2 >= len(dir) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, dir[i+1]), strings.IndexByte(hexDigits, dir[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	name = b.String()
	return name, Escape(name) == dir
}

// AccountDir returns the directory of an account.
func (c *Catalog) AccountDir(account string) string {
	return c.base + "/" + accountsDir + "/" + Escape(account)
}

// StreamDir returns the directory of a stream: metadata, segments, state.
func (c *Catalog) StreamDir(account, stream string) string {
	return c.AccountDir(account) + "/" + Escape(stream)
}

// ConsumerDir returns the directory of a consumer.
func (c *Catalog) ConsumerDir(account, stream, consumer string) string {
	return c.StreamDir(account, stream) + "/" + consumersDir + "/" + Escape(consumer)
}

// ConsumerState returns the state file of a consumer.
func (c *Catalog) ConsumerState(account, stream, consumer string) string {
	return c.ConsumerDir(account, stream, consumer) + "/" + stateName
}

// StateSaved notes, durably, that the consumer in dir has a state file: from then on one that is missing was lost.
func (c *Catalog) StateSaved(account, stream, consumer string) error {
	return vfs.WriteAtomic(c.fs, c.ConsumerDir(account, stream, consumer)+"/"+savedName, nil)
}

// WithState are the files that a consumer begins with that has a state, as Save and StateSaved write them.
func WithState(state []byte) []File { return []File{{stateName, state}, {Name: savedName}} }

// HasState reports whether StateSaved was called for a consumer.
func (c *Catalog) HasState(account, stream, consumer string) bool {
	_, err := c.fs.Stat(c.ConsumerDir(account, stream, consumer) + "/" + savedName)
	return err == nil
}
