package backup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"

	"ramjet/store"
)

// A record of a block: length (4 bytes, with a flag), sequence (8, with flags), time (8), length of the subject (2),
// subject, length of the header (4, if flagged), header, payload, checksum (8); little endian. The checksum is of
// sequence, time, subject, header and payload.
const (
	recHead      = 22
	recMin       = recHead + sumLen
	recMax       = 32 << 20
	recHasHeader = 1 << 31
	seqErased    = 1 << 63 // the sequence is used up
	seqTombstone = 1 << 62 // an earlier message was deleted
)

// blockRecords takes what is in a block.
type blockRecords interface {
	record(r *store.Rec) error
	removed(seq uint64, erased bool) error
}

// blockReader takes blocks in pieces of any size. It holds one record at most.
type blockReader struct {
	out  blockRecords
	name string // "" between two blocks
	sum  hash.Hash64
	buf  []byte // an incomplete record
	at   int64  // offset in the block
	rec  store.Rec
	got  [sumLen]byte
}

func (r *blockReader) start(name string, sum hash.Hash64) {
	r.name, r.sum, r.buf, r.at = name, sum, r.buf[:0], 0
}

// damaged returns an error that says where it is.
func (r *blockReader) damaged(err error, what string) error {
	return fmt.Errorf("%w: %s in %s at offset %d", err, what, r.name, r.at)
}

func (r *blockReader) feed(piece []byte) error {
	b := piece
	if len(r.buf) > 0 {
		r.buf = append(r.buf, piece...)
		b = r.buf
	}
	for len(b) >= recHead {
		if r.at == 0 && string(b[:3]) == "cmp" { // nats-server, too, takes no record of such a length
			return r.damaged(ErrUnsupported, "compression")
		}
		n := int(binary.LittleEndian.Uint32(b) &^ recHasHeader)
		if n < recMin || n > recMax {
			return r.damaged(ErrDamaged, fmt.Sprintf("record of %d bytes", n))
		}
		if len(b) < n {
			break
		}
		if err := r.parse(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		r.at += int64(n)
	}
	r.buf = append(r.buf[:0], b...)
	return nil
}

// close ends the block.
func (r *blockReader) close() error {
	if len(r.buf) > 0 {
		return r.damaged(ErrDamaged, "incomplete record")
	}
	r.name = ""
	return nil
}

func (r *blockReader) parse(b []byte) error {
	le := binary.LittleEndian
	sub := recHead + int(le.Uint16(b[20:]))
	body, end := sub, len(b)-sumLen
	hasHeader := le.Uint32(b)&recHasHeader != 0
	if hasHeader {
		body += 4
	}
	if body > end {
		return r.damaged(ErrDamaged, "record too short for its subject")
	}
	r.sum.Reset()
	r.sum.Write(b[4:20])
	r.sum.Write(b[recHead:sub])
	r.sum.Write(b[body:end])
	if !bytes.Equal(r.sum.Sum(r.got[:0]), b[end:]) {
		return r.damaged(ErrChecksum, "record")
	}
	seq := le.Uint64(b[4:])
	switch {
	case seq&seqTombstone != 0:
		return r.out.removed(seq&^(seqTombstone|seqErased), false)
	case seq == 0 || seq&seqErased != 0:
		return r.out.removed(seq&^seqErased, true)
	}
	rec := &r.rec
	*rec = store.Rec{Seq: seq, Time: int64(le.Uint64(b[12:])), Subject: b[recHead:sub:sub], Payload: b[body:end:end]}
	if hasHeader {
		n := uint64(le.Uint32(b[sub:]))
		if n > uint64(end-body) {
			return r.damaged(ErrDamaged, "record too short for its header")
		}
		split := body + int(n)
		rec.Payload = b[split:end:end]
		if n > 0 {
			rec.Header = b[body:split:split]
		}
	}
	return r.out.record(rec)
}
