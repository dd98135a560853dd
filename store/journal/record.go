package journal

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// GroupID names the owner of a run of records: a raft group, an R1 stream, an R1 consumer. It is persistent
// and never reused. 0 is the journal itself.
type GroupID uint64

// Pos is a position in the journal: bytes since the volume was created, file headers not counted. Positions only grow.
type Pos uint64

// Kind is the kind of a record.
type Kind uint8

// The record kinds. Their numbers are on disk.
const (
	KindEntry      Kind = 1  // raft entries
	KindHardState  Kind = 2  // raft hard state
	KindTruncate   Kind = 3  // truncation of a raft log
	KindSnapshot   Kind = 4  // snapshot mark of a group
	KindStream     Kind = 5  // R1 stream command
	KindConsumer   Kind = 6  // R1 consumer command
	KindReference  Kind = 7  // reference to bytes in a segment
	KindCheckpoint Kind = 8  // checkpoint of a group
	KindCatalog    Kind = 9  // creation, update or deletion of an asset
	kindCommit     Kind = 32 // closes a batch; payload: records, synced position
	kindPad        Kind = 33 // fills the end of a file
)

// Flags of a record.
const (
	// FlagRewritten marks a copy of an older live record of the group, made to free a file: replay gives it again
	// with the same index, after records with higher ones.
	FlagRewritten uint8 = 1 << 0
)

// Record is one record. On replay Payload is borrowed until the call returns.
type Record struct {
	Group   GroupID
	Kind    Kind
	Flags   uint8
	Index   uint64 // raft index, or the group's own counter; replay shows gaps by it
	Term    uint64
	Payload []byte
	// Own, when set, hands Payload over: it is not copied, and Own is called (on the committer) once it was
	// written and is no longer needed.
	Own func()
	// Essential records are accepted from the reserve when the disk is full: acks, deletes, purges, releases.
	Essential bool
	// Final says that the group ends here: what it has before is not rewritten any more, so no copy of it comes after this record.
	Final bool
}

// Record header on disk, little endian: payload length u32, magic u16, kind u8, flags u8, checksum u64, group u64,
// index u64, term u64. Records start at multiples of 8.
const (
	headerLen   = 40
	recordMagic = 0x4a52 // "RJ"
	align       = 8
	commitLen   = headerLen + 16
)

// size returns the bytes a record with a payload of n bytes takes.
func size(n int) int64 { return int64(headerLen+n+align-1) &^ (align - 1) }

// putHeader encodes the header of a record at pos in a file with the given salt.
func putHeader(b []byte, salt uint64, pos Pos, r *Record) {
	binary.LittleEndian.PutUint32(b, uint32(len(r.Payload)))
	binary.LittleEndian.PutUint16(b[4:], recordMagic)
	b[6] = byte(r.Kind)
	b[7] = r.Flags
	binary.LittleEndian.PutUint64(b[16:], uint64(r.Group))
	binary.LittleEndian.PutUint64(b[24:], r.Index)
	binary.LittleEndian.PutUint64(b[32:], r.Term)
	binary.LittleEndian.PutUint64(b[8:], checksum(b, salt, pos, r.Payload))
}

// resum renews the checksum of an encoded record that moves to a file with another salt.
func resum(header []byte, salt uint64, pos Pos, payload []byte) {
	binary.LittleEndian.PutUint64(header[8:], checksum(header, salt, pos, payload))
}

// checksum covers salt, position, header (without itself) and payload: a record left over from an earlier use of
// the file, or in the wrong place, does not verify.
func checksum(header []byte, salt uint64, pos Pos, payload []byte) uint64 {
	var pre [48]byte
	binary.LittleEndian.PutUint64(pre[:], salt)
	binary.LittleEndian.PutUint64(pre[8:], uint64(pos))
	copy(pre[16:24], header[:8])
	copy(pre[24:48], header[16:40])
	if len(payload) == 0 {
		return xxhash.Sum64(pre[:])
	}
	var d xxhash.Digest
	d.ResetWithSeed(xxhash.Sum64(pre[:]))
	_, _ = d.Write(payload)
	return d.Sum64()
}

// parse decodes the record at the start of b (the rest of the file from pos on). ok is false when it does not
// verify. r.Payload aliases b.
func parse(b []byte, salt uint64, pos Pos, r *Record) (n int64, ok bool) {
	if len(b) < headerLen || binary.LittleEndian.Uint16(b[4:]) != recordMagic {
		return 0, false
	}
	length := int64(binary.LittleEndian.Uint32(b))
	n = (headerLen + length + align - 1) &^ (align - 1)
	if n > int64(len(b)) {
		return 0, false
	}
	payload := b[headerLen : headerLen+length]
	if binary.LittleEndian.Uint64(b[8:]) != checksum(b, salt, pos, payload) {
		return 0, false
	}
	*r = Record{
		Kind:    Kind(b[6]),
		Flags:   b[7],
		Group:   GroupID(binary.LittleEndian.Uint64(b[16:])),
		Index:   binary.LittleEndian.Uint64(b[24:]),
		Term:    binary.LittleEndian.Uint64(b[32:]),
		Payload: payload,
	}
	return n, true
}

// putCommit encodes the payload of a commit record: how many records the batch has and up to where the log was
// synced when it was written.
func putCommit(b []byte, records uint64, synced Pos) {
	binary.LittleEndian.PutUint64(b, records)
	binary.LittleEndian.PutUint64(b[8:], uint64(synced))
}

func parseCommit(payload []byte) (records uint64, synced Pos, ok bool) {
	if len(payload) != commitLen-headerLen {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(payload), Pos(binary.LittleEndian.Uint64(payload[8:])), true
}
