package journal

import (
	"strings"

	"ramjet/store/vfs"
)

// Report is what Check found.
type Report struct {
	Files, Spare   int    // in use; kept for reuse
	Records, Bytes uint64 // that verify, payloads counted
	Problems       []Damage
}

// Check verifies the journal in dir without changing anything, by the judgement of recovery: a torn tail, which nobody was
// promised anything about, is no problem. progress, if not nil, is called after each file with its size. The journal must not be in use.
// The error tells that it cannot be read, or was written by a newer version.
func Check(fsys vfs.FS, dir string, progress func(bytes int64)) (*Report, error) {
	rep := &Report{}
	l := &Log{fs: readOnly{fsys}, dir: dir}
	l.o.OnDamage = func(d Damage) { rep.Problems = append(rep.Problems, d) }
	s := &scanner{l: l, replay: func(r *Record, _ Pos) error {
		rep.Records++
		rep.Bytes += uint64(len(r.Payload))
		return nil
	}}
	defer s.close()
	if err := s.open(); err != nil {
		return nil, err
	}
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if strings.HasSuffix(n, damagedSuffix) {
			rep.Problems = append(rep.Problems, Damage{Reason: n + " was put aside because its header does not verify"})
		}
	}
	rep.Files, rep.Spare = len(l.mu.live), len(l.mu.spare)
	for i, f := range l.mu.live {
		var next *file
		if i+1 < len(l.mu.live) {
			next = l.mu.live[i+1]
		}
		if err := s.file(f, next); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(f.size)
		}
	}
	return rep, nil
}

// readOnly opens files for reading only.
type readOnly struct{ vfs.FS }

func (r readOnly) OpenRW(path string) (vfs.File, error) { return r.Open(path) }
