package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"

	"github.com/cespare/xxhash/v2"

	"ramjet/store/vfs"
)

// A journal file is a slot with a fixed name; what it holds is said by its header, so that recycling changes no
// directory entry. Header, 4 KiB, little endian: magic, version u32, pad u32, file number u64, number of the file
// before u64, salt u64, start position u64 (which is where the file before ends), size u64, oldest live number u64,
// checksum u64. The header is there twice, so that one bad sector does not hide the records; the first copy that verifies counts.
// Between the copies is the mark (mark.go).
const (
	fileMagic     = "RAMJETJL"
	formatVersion = 1
	fileHeaderLen = 4096
	headerSum     = 64
	headerCopy    = 2048 // offset of the second copy
	damagedSuffix = ".damaged"
	suffix        = ".jnl"
)

// file is one journal file. Guarded by Log.mu; what describes it does not change once it has a handle.
type file struct {
	slot   int // number in the name
	number uint64
	prev   uint64 // number of the file before; 0 = none
	salt   uint64
	start  Pos   // position of the first byte after the header
	size   int64 // bytes of the file, header included
	f      vfs.File

	high Pos             // nothing was written from here on; owner: who holds Log.turn, and Open. 0: not known
	low  Pos             // nobody needs what lies before; as the file says when it is opened
	end  Pos             // position after the last record; set when the file is left
	left bool            // takes no more records
	bad  bool            // a write or sync failed: never used again
	live map[GroupID]Pos // groups with live records here: position after their last one
}

func (f *file) capacity() int64      { return f.size - fileHeaderLen }
func (f *file) offset(pos Pos) int64 { return int64(pos-f.start) + fileHeaderLen }
func (f *file) limit() Pos           { return f.start + Pos(f.capacity()) }

// remaining returns the bytes that can still be appended at p, the head.
func (f *file) remaining(p Pos) int64 {
	if f.left {
		return 0
	}
	return int64(f.limit() - p)
}

func slotName(dir string, slot int) string {
	return path.Join(dir, fmt.Sprintf("%08d%s", slot, suffix))
}

// putFileHeader encodes the header; oldest is the oldest file that is still needed.
func putFileHeader(b []byte, f *file, oldest uint64) {
	clear(b[:fileHeaderLen])
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	for i, v := range []uint64{f.number, f.prev, f.salt, uint64(f.start), uint64(f.size), oldest} {
		binary.LittleEndian.PutUint64(b[16+8*i:], v)
	}
	sumHeader(b)
	copy(b[headerCopy:], b[:headerSum+8])
	putMark(b[markAt:], f)
}

func sumHeader(b []byte) { binary.LittleEndian.PutUint64(b[headerSum:], xxhash.Sum64(b[:headerSum])) }

var (
	errNotJournal = errors.New("journal: not a journal file")
	errVersion    = errors.New("journal: file was written by a newer version")
)

// parseFileHeader decodes a header. A file that was prepared but never used is all zeros: number 0, no error.
func parseFileHeader(b []byte, f *file) (oldest uint64, err error) {
	if len(b) < fileHeaderLen {
		return 0, errNotJournal
	}
	if isZero(b[:fileHeaderLen]) {
		f.number = 0
		return 0, nil
	}
	page := b
	if !headerOK(b) {
		b = b[headerCopy:]
	}
	if !headerOK(b) {
		return 0, errNotJournal
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return 0, fmt.Errorf("%w: version %d, this build reads %d", errVersion, v, formatVersion)
	}
	f.number = binary.LittleEndian.Uint64(b[16:])
	f.prev = binary.LittleEndian.Uint64(b[24:])
	f.salt = binary.LittleEndian.Uint64(b[32:])
	f.start = Pos(binary.LittleEndian.Uint64(b[40:]))
	f.size = int64(binary.LittleEndian.Uint64(b[48:]))
	oldest = binary.LittleEndian.Uint64(b[56:])
	if f.number == 0 || f.prev >= f.number || f.size < fileHeaderLen+commitLen || f.size > maxFileSize {
		return 0, errNotJournal
	}
	parseMark(page[markAt:], f)
	return oldest, nil
}

func headerOK(b []byte) bool {
	return string(b[:8]) == fileMagic && binary.LittleEndian.Uint64(b[headerSum:]) == xxhash.Sum64(b[:headerSum])
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// createFile makes a new slot: blocks written once (a full disk shows now, later overwrites change no metadata),
// data and name synced before anybody relies on it.
func createFile(fs vfs.FS, dir string, slot int, size int64) (*file, error) {
	name := slotName(dir, slot)
	h, err := fs.Create(name)
	if err != nil {
		return nil, err
	}
	if err = h.Preallocate(size, true); err == nil {
		err = h.Sync()
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		_ = h.Close()
		_ = fs.Remove(name) // give the blocks back; the slot is made again when there is room
		return nil, err
	}
	return &file{slot: slot, size: size, f: h}, nil
}
