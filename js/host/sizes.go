package host

import "ramjet/store/vfs"

// sizes are what JetStream takes of its volume beside messages. On a small volume they are small: a journal of 64 MiB files, with the next one
// ready, would leave nothing of 100 MiB.
type sizes struct {
	first, file int64 // bytes of the first and of a full-grown journal file; 0 the journal's default
	files       int   // live ones before publishers wait for checkpoints; 0 the default
	reserve     int64 // kept for checkpoints on a full disk, see catalog.HoldReserve; less than a journal file, which must not take it
}

const (
	fileShare  = 12       // a journal file is at most this part of the volume
	leastFile  = 3 << 19  // but not smaller: it holds at least one record of the largest payload
	mostFile   = 64 << 20 // the journal's default
	mostFirst  = 8 << 20  // likewise
	mostFiles  = 64       // likewise
	leastFiles = 4
)

func sizesFor(fsys vfs.FS, o *Options) sizes {
	z := sizes{file: o.JournalFile, files: o.JournalFiles, reserve: mostFirst / 2}
	_, total, err := fsys.Space(o.Dir)
	if err != nil || total == 0 || total > fileShare*mostFile*mostFiles {
		return z
	}
	if z.file == 0 {
		z.file = mostFile
	}
	z.file = min(z.file, max(int64(total/fileShare), leastFile))
	z.first = min(mostFirst, z.file)
	z.reserve = z.first / 2
	if z.files == 0 {
		z.files = mostFiles
	}
	z.files = min(z.files, max(int(int64(total)/2/z.file), leastFiles))
	return z
}
