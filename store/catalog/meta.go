package catalog

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"

	"ramjet/store/vfs"
)

// Kind is the kind of an asset. The numbers are on disk.
type Kind uint8

// The kinds.
const (
	Account  Kind = 1
	Stream   Kind = 2
	Consumer Kind = 3
)

// Meta is the metadata of an asset.
type Meta struct {
	Kind Kind
	Name string
	Key  []byte // sealed encryption key, see store/crypt; empty: not encrypted
	Body []byte // of the host: configuration, ids
}

// Meta file: magic 6, version u8, kind u8, then name, key and body, each with its length as uvarint; checksum u64 of all before.
const (
	metaMagic   = "RJMETA"
	metaVersion = 1
	maxMeta     = 16 << 20
)

// ErrCorrupt is returned for metadata that does not verify.
var ErrCorrupt = errors.New("catalog: metadata does not verify")

// AppendMeta appends the encoding of m.
func AppendMeta(dst []byte, m *Meta) []byte {
	at := len(dst)
	dst = append(append(dst, metaMagic...), metaVersion, byte(m.Kind))
	for _, part := range [][]byte{[]byte(m.Name), m.Key, m.Body} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[at:]))
}

// ParseMeta reads the encoding b, all of it. The slices of m alias b.
func ParseMeta(b []byte, m *Meta) error {
	n := len(b) - 8
	if n < 8 || string(b[:6]) != metaMagic || b[6] != metaVersion || binary.LittleEndian.Uint64(b[n:]) != xxhash.Sum64(b[:n]) {
		return ErrCorrupt
	}
	var parts [3][]byte
	rest := b[8:n]
	for i := range parts {
		v, k := binary.Uvarint(rest)
		if k <= 0 || v > uint64(len(rest)-k) {
			return ErrCorrupt
		}
		parts[i], rest = rest[k:k+int(v)], rest[k+int(v):]
	}
	if len(rest) > 0 || b[7] < byte(Account) || b[7] > byte(Consumer) {
		return ErrCorrupt
	}
	*m = Meta{Kind: Kind(b[7]), Name: string(parts[0]), Key: parts[1], Body: parts[2]}
	return nil
}

// ReadMeta reads the metadata in dir.
func ReadMeta(fsys vfs.FS, dir string) (*Meta, error) {
	b, err := vfs.ReadFile(fsys, dir+"/"+metaName, maxMeta)
	if err != nil {
		return nil, err
	}
	m := &Meta{}
	return m, ParseMeta(b, m)
}
