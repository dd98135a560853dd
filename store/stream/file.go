package stream

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"ramjet/store/crypt"
	"ramjet/store/msgtab"
	"ramjet/store/vfs"
)

// Segment file: header, then records as they are (plain), or chunks of encoded records; when sealed a footer: summary, index,
// trailer. Offsets of records do not count the header, and in encoded files count decoded bytes.
//
// Header, 64 bytes little endian: magic 8, version u16, flags u16, zero u32, id u64, salt u64, first sequence u64, zero, checksum u64.
// Chunk: magic u32, stored length u32, decoded length u32, offset u32, checksum u64 over salt, header and stored bytes; stored bytes.
const (
	headerLen    = 64
	chunkLen     = 24
	chunkMagic   = 0x4b4e4843 // "CHNK"
	fileVersion  = 1
	flagEncoded  = 1
	segMagic     = "RJSEGMNT"
	segSuffix    = ".seg"
	StateName    = "state" // of the state file
	previousName = "state.prev"
	nextName     = "state.tmp" // what vfs.WriteAtomic uses too
)

func segName(dir string, id uint64) string { return fmt.Sprintf("%s/%016x%s", dir, id, segSuffix) }

// parseSegName returns the id of a segment file.
func parseSegName(name string) (id uint64, ok bool) {
	hex, ok := strings.CutSuffix(name, segSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	return id, err == nil
}

func putHeader(id, salt, first uint64, encoded bool) []byte {
	b := make([]byte, headerLen)
	copy(b, segMagic)
	binary.LittleEndian.PutUint16(b[8:], fileVersion)
	if encoded {
		binary.LittleEndian.PutUint16(b[10:], flagEncoded)
	}
	binary.LittleEndian.PutUint64(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], salt)
	binary.LittleEndian.PutUint64(b[32:], first)
	binary.LittleEndian.PutUint64(b[56:], xxhash.Sum64(b[:56]))
	return b
}

type fileHeader struct {
	id, salt, first uint64
	encoded         bool
}

func parseHeader(b []byte) (h fileHeader, ok bool) {
	if len(b) < headerLen || string(b[:8]) != segMagic || binary.LittleEndian.Uint16(b[8:]) != fileVersion ||
		binary.LittleEndian.Uint64(b[56:]) != xxhash.Sum64(b[:56]) {
		return h, false
	}
	h.id = binary.LittleEndian.Uint64(b[16:])
	h.salt = binary.LittleEndian.Uint64(b[24:])
	h.first = binary.LittleEndian.Uint64(b[32:])
	h.encoded = binary.LittleEndian.Uint16(b[10:])&flagEncoded != 0
	return h, true
}

// chunk is a block of an encoded file.
type chunk struct {
	off, n uint32 // decoded
	pos    int64  // of the chunk header in the file
	stored uint32
}

// where is what an encoded block is authenticated with: the file and the place in it.
func where(id uint64, off uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, id), off)
}

// appendChunk appends a chunk.
func appendChunk(dst []byte, codec *crypt.Codec, id, salt uint64, off uint32, block []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, chunkLen)...)
	dst = codec.Append(dst, block, where(id, off))
	h := dst[at:]
	binary.LittleEndian.PutUint32(h, chunkMagic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(h)-chunkLen))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(block)))
	binary.LittleEndian.PutUint32(h[12:], off)
	binary.LittleEndian.PutUint64(h[16:], chunkSum(h, salt))
	return dst
}

func chunkSum(h []byte, salt uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt)
	_, _ = d.Write(h[:16])
	_, _ = d.Write(h[chunkLen:])
	return d.Sum64()
}

// parseChunk verifies the chunk at the start of b; n is 0 if it is none.
func parseChunk(b []byte, salt uint64) (c chunk, n int) {
	if len(b) < chunkLen || binary.LittleEndian.Uint32(b) != chunkMagic {
		return c, 0
	}
	c.stored = binary.LittleEndian.Uint32(b[4:])
	c.n = binary.LittleEndian.Uint32(b[8:])
	c.off = binary.LittleEndian.Uint32(b[12:])
	n = chunkLen + int(c.stored)
	if n > len(b) || binary.LittleEndian.Uint64(b[16:]) != chunkSum(b[:n], salt) {
		return c, 0
	}
	return c, n
}

// file is what a store knows about the file of a segment. Fields of the owner come first; the writer's last.
type file struct {
	id      uint64
	name    string
	encoded bool
	queued  uint32      // bytes handed to the writer
	done    uint32      // bytes written
	sealed  bool        // the footer was written
	gone    atomic.Bool // not in the table any more; set by the owner, the writer then skips what it has for it
	busy    map[uint32]bool
	loading bool // the index is being read
	map_    vfs.Mapping
	mapFile vfs.File
	readers int
	extra   []mapped
	chunks  []chunk // of an encoded file, as far as written
	rewrite bool    // erased content is in an encoded file
	damaged bool    // nothing to be gained by compacting it now
	last    uint64  // use counter of the index, for eviction
	cooled  uint32  // frames before this are known to the cache

	// Owner: the writer.
	f       vfs.File
	pos     int64 // end of an encoded file
	size    int64 // allocated
	dirty   bool
	syncing bool // a checkpoint that is being saved holds f
	created bool
}

func hostOf(s *msgtab.Segment) *file { return s.Host.(*file) }

// readAll reads n bytes at off.
func readAll(f vfs.File, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	for k := 0; k < n; {
		m, err := f.ReadAt(b[k:], off+int64(k))
		k += m
		if k == n {
			break
		}
		if err != nil {
			return b[:k], err
		}
		if m == 0 {
			return b[:k], ErrCorrupt
		}
	}
	return b, nil
}
