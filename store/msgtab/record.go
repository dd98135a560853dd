package msgtab

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"ramjet/store"
)

// Record, little endian: length u32 (top bit: has a header block), ttl u32, checksum u64, sequence u64, time i64, length of the subject
// u16, flags u8, magic u8, [length of the header block u32], subject, header block, payload. The checksum covers everything else,
// seeded with the salt of the file and the sequence.
const (
	// HeaderLen is the size of a record without subject, header block and payload.
	HeaderLen = 36

	hasHeader   = 1 << 31
	recordMagic = 0xA7
	flagErased  = 1
	ttlNever    = 1<<32 - 1
	// MaxRecord is the largest record.
	MaxRecord = 128 << 20
)

// Size returns the bytes the record of r takes.
func Size(r *store.Rec) int {
	n := HeaderLen + len(r.Subject) + len(r.Header) + len(r.Payload)
	if len(r.Header) > 0 {
		n += 4
	}
	return n
}

// AppendRecord appends the encoding of r.
func AppendRecord(dst []byte, salt uint64, r *store.Rec) []byte {
	at := len(dst)
	n := uint32(Size(r))
	if len(r.Header) > 0 {
		n |= hasHeader
	}
	ttl := uint32(min(max(r.TTL, 0), ttlNever-1))
	if r.TTL < 0 {
		ttl = ttlNever
	}
	var h [HeaderLen]byte
	binary.LittleEndian.PutUint32(h[0:], n)
	binary.LittleEndian.PutUint32(h[4:], ttl)
	binary.LittleEndian.PutUint64(h[16:], r.Seq)
	binary.LittleEndian.PutUint64(h[24:], uint64(r.Time))
	binary.LittleEndian.PutUint16(h[32:], uint16(len(r.Subject)))
	h[35] = recordMagic
	dst = append(dst, h[:]...)
	if len(r.Header) > 0 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.Header)))
	}
	dst = append(dst, r.Subject...)
	dst = append(dst, r.Header...)
	dst = append(dst, r.Payload...)
	rec := dst[at:]
	binary.LittleEndian.PutUint64(rec[8:], sum(rec, salt, r.Seq))
	return dst
}

// sum is the checksum of an encoded record.
func sum(rec []byte, salt, seq uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt ^ seq*0x9E3779B97F4A7C15)
	_, _ = d.Write(rec[:8])
	_, _ = d.Write(rec[16:])
	return d.Sum64()
}

// View decodes the record at the start of b without verifying its checksum; the slices alias b. erased tells that the content was
// overwritten. n is 0 if the lengths do not fit.
func View(b []byte, r *store.Rec) (n int, erased bool) {
	if len(b) < HeaderLen || b[35] != recordMagic {
		return 0, false
	}
	raw := binary.LittleEndian.Uint32(b)
	n = int(raw &^ hasHeader)
	subj := int(binary.LittleEndian.Uint16(b[32:]))
	p, hdr := HeaderLen, 0
	if raw&hasHeader != 0 {
		if len(b) < HeaderLen+4 {
			return 0, false
		}
		hdr = int(binary.LittleEndian.Uint32(b[HeaderLen:]))
		p += 4
	}
	if n > len(b) || p+subj+hdr > n {
		return 0, false
	}
	r.Seq = binary.LittleEndian.Uint64(b[16:])
	r.Time = int64(binary.LittleEndian.Uint64(b[24:]))
	r.TTL = int64(binary.LittleEndian.Uint32(b[4:]))
	if r.TTL == ttlNever {
		r.TTL = -1
	}
	r.Subject = b[p : p+subj : p+subj]
	r.Header = nil
	if raw&hasHeader != 0 {
		r.Header = b[p+subj : p+subj+hdr : p+subj+hdr]
	}
	r.Payload = b[p+subj+hdr : n : n]
	return n, b[34]&flagErased != 0
}

// Verify decodes the record at the start of b and checks it; n is 0 if it does not verify.
func Verify(b []byte, salt uint64, r *store.Rec) (n int, erased bool) {
	n, erased = View(b, r)
	if n == 0 || binary.LittleEndian.Uint64(b[8:]) != sum(b[:n], salt, r.Seq) {
		return 0, false
	}
	return n, erased
}

// Erase overwrites subject, headers and payload of a verified record by noise made from seed; the record verifies afterwards, and keeps
// length, sequence and time.
func Erase(rec []byte, salt, seed uint64) {
	var r store.Rec
	if n, _ := View(rec, &r); n != len(rec) {
		return
	}
	for _, part := range [][]byte{r.Subject, r.Header, r.Payload} {
		for i := range part {
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			part[i] = byte(seed >> 32)
		}
	}
	rec[34] |= flagErased
	binary.LittleEndian.PutUint64(rec[8:], sum(rec, salt, r.Seq))
}
