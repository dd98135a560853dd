package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ramjet/store/crypt"
	"ramjet/store/journal"
)

const (
	sealedIndexes = 1 << 24 // records under one key: random nonces of 12 bytes stay unique
	keepSealed    = 1 << 20 // a larger buffer is not used again
)

// sealer encrypts what a stream or consumer of an encrypted store puts into the journal. Keys are derived from the one of the stream, by
// group and range of indexes; group, index, kind and flags are authenticated with each record, so that none can take the place of another.
// The zero value leaves records as they are. Owner: who owns the asset.
type sealer struct {
	cipher crypt.Cipher
	key    []byte // of the stream; nil: not encrypted
	group  journal.GroupID
	epoch  uint64
	codec  *crypt.Codec // of group and epoch
}

// errSealed is why a record can not be read. It was proven whole by the checksum of the journal.
var errSealed = errors.New("a journal record can not be decrypted")

func (x *sealer) use(g journal.GroupID, index uint64) error {
	epoch := index / sealedIndexes
	if x.codec != nil && x.group == g && x.epoch == epoch {
		return nil
	}
	codec, err := crypt.NewCodec(x.cipher, crypt.Derive(x.key, "journal", fmt.Sprintf("%d.%d", g, epoch)), false, crypt.SystemRandom)
	x.codec, x.group, x.epoch = codec, g, epoch
	return err
}

// where is what is authenticated with a record. A copy that the journal rewrites is the same record.
func where(r *journal.Record) []byte {
	var b [18]byte
	binary.LittleEndian.PutUint64(b[:], uint64(r.Group))
	binary.LittleEndian.PutUint64(b[8:], r.Index)
	b[16], b[17] = byte(r.Kind), r.Flags&^journal.FlagRewritten
	return b[:]
}

// seal replaces the payload of r by its stored form in buf, which it returns for the next time.
func (x *sealer) seal(r *journal.Record, buf []byte) ([]byte, error) {
	if x.key == nil {
		return buf, nil
	}
	if err := x.use(r.Group, r.Index); err != nil {
		return buf, err
	}
	buf = x.codec.Append(buf[:0], r.Payload, where(r))
	r.Payload = buf
	if cap(buf) > keepSealed {
		return nil, nil
	}
	return buf, nil
}

// open replaces the payload of a record by what was sealed.
func (x *sealer) open(r *journal.Record) error {
	if x.key == nil {
		return nil
	}
	if err := x.use(r.Group, r.Index); err != nil {
		return err
	}
	plain, err := x.codec.Open(r.Payload, where(r), len(r.Payload))
	if err != nil {
		return fmt.Errorf("%w: record %d: %v", errSealed, r.Index, err)
	}
	r.Payload = plain
	return nil
}

// journalize seals a record with x and appends it to the journal, which copies it.
func (s *Shard) journalize(x *sealer, r journal.Record) (journal.Pos, error) {
	var err error
	if s.sealed, err = x.seal(&r, s.sealed); err != nil {
		return 0, err
	}
	return s.h.journal.Append(r)
}
