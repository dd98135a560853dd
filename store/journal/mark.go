package journal

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// The mark of a file bounds what recovery has to read of it. Its high position is written before any byte that lies behind it, and reaches
// the disk with the same sync: what a power cut leaves behind the mark belongs to a batch that was never synced, which is a torn tail.
// So looking for records up to the mark finds all that was ever promised. A mark that does not verify, or that records lie behind of, says nothing:
// then the whole file is read. The low position is set when nobody needs anything (a clean stop): what lies before it is not read.
//
// Mark, little endian: file number u64, high position u64, low position u64, checksum u64 (xxhash64, seeded by the salt of the file).
const (
	markAt  = 1024 // offset in the header's page
	markLen = 32

	mostWindow  = 1 << 20
	leastWindow = 4 << 10
)

// window is how far ahead of the records the mark is set: the bytes that are read for nothing, and after which it is written again.
func (f *file) window() int64 { return min(max(f.size/16, leastWindow), mostWindow) }

func putMark(b []byte, f *file) {
	binary.LittleEndian.PutUint64(b, f.number)
	binary.LittleEndian.PutUint64(b[8:], uint64(f.high))
	binary.LittleEndian.PutUint64(b[16:], uint64(f.low))
	binary.LittleEndian.PutUint64(b[24:], markSum(b, f.salt))
}

func markSum(b []byte, salt uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt)
	_, _ = d.Write(b[:24])
	return d.Sum64()
}

// parseMark sets the bounds of f from its mark. Without a valid one the high position is not known.
func parseMark(b []byte, f *file) {
	f.high, f.low = 0, 0
	if binary.LittleEndian.Uint64(b[24:]) != markSum(b, f.salt) || binary.LittleEndian.Uint64(b) != f.number {
		return
	}
	high, low := Pos(binary.LittleEndian.Uint64(b[8:])), Pos(binary.LittleEndian.Uint64(b[16:]))
	if high < f.start || high > f.limit() || low > high {
		return
	}
	f.high, f.low = high, low
}

// ahead returns the high position for a file that is written up to pos.
func (f *file) ahead(pos Pos) Pos {
	w := f.window()
	return min(f.start+Pos((int64(max(pos, f.start)-f.start)/w+1)*w), f.limit())
}

// cover makes the mark of f hold for records that end at pos, before they are written. Owner: the committer.
func (l *Log) cover(f *file, pos Pos) error {
	if pos <= f.high {
		return nil
	}
	f.high = f.ahead(pos)
	return l.writeMark(f)
}

func (l *Log) writeMark(f *file) error {
	putMark(l.mark[:], f)
	l.dirty = true
	_, err := f.f.WriteAt(l.mark[:], markAt)
	return err
}

// idle reports that no group needs anything that was appended. Requires: mu.
func (l *Log) idle() bool {
	for _, f := range l.mu.live {
		if len(f.live) > 0 {
			return false
		}
	}
	return true
}

// closeMark sets the mark to where the records end, and past all of them if nobody needs them: the next Open has nothing to read then. Owner: the
// committer, after everything was synced.
func (l *Log) closeMark() error {
	l.mu.Lock()
	f, end, idle := l.mu.live[len(l.mu.live)-1], l.mu.next, l.idle()
	l.mu.Unlock()
	if f != l.open {
		return nil
	}
	f.high = end
	if idle {
		f.low = end
	}
	return l.writeMark(f)
}

// unmarked reports that the mark of the file in use does not say yet that nobody needs anything.
func (l *Log) unmarked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open != nil && l.open.low < l.mu.next && l.idle()
}
