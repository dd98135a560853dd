package journal

import (
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"

	"ramjet/proto/base/clock"
	"ramjet/store/vfs"
)

// Open recovers the journal in dir and starts its committer. replay gets every record that is not provably
// unneeded, in order, with the position after it; the owner of a group ignores what its own state already covers (by
// Index). Damage is reported through OnDamage before the records that follow it are replayed. An error of replay ends Open.
func Open(fs vfs.FS, dir string, o Options, replay func(r *Record, pos Pos) error) (*Log, error) {
	o.setDefaults()
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	l := &Log{fs: fs, dir: dir, o: o, kick: make(chan struct{}, 1), prepare: make(chan struct{}, 1), made: make(chan struct{}, 1), stop: make(chan struct{})}
	l.mu.cur = &batch{}
	l.mu.released = map[GroupID]Pos{}
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := fs.SyncDir(path.Dir(dir)); err != nil {
		return nil, err
	}
	s := &scanner{l: l, replay: replay}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	if err := s.tidy(); err != nil {
		s.close()
		return nil, err
	}
	if err := s.run(); err != nil {
		s.close()
		return nil, err
	}
	if err := s.begin(); err != nil {
		s.close()
		return nil, err
	}
	if o.Stepped {
		poke(l.prepare)
		return l, nil
	}
	l.done.Add(2)
	go l.run()
	go l.runPreparer()
	return l, nil
}

// scanner reads back the files of a journal.
type scanner struct {
	l        *Log
	replay   func(r *Record, pos Pos) error
	all      []*file
	bad      []*file // may hold records, but the header does not verify
	buf      []byte
	base     Pos    // where data begins
	data     []byte // of the last file, as far as it is believed
	unproven bool   // records lie after that
	proven   Pos    // up to where the last file was synced, as far as it says so itself
	end      Pos
}

func (s *scanner) close() {
	for _, f := range s.all {
		_ = f.f.Close()
	}
}

// open opens every slot, sorts the files into the chain of live ones and spare ones.
func (s *scanner) open() error {
	l := s.l
	names, err := l.fs.List(l.dir)
	if err != nil {
		return err
	}
	var used []*file
	oldest := map[uint64]uint64{}
	for _, name := range names {
		base, aside := strings.CutSuffix(name, damagedSuffix)
		slot, err := strconv.Atoi(strings.TrimSuffix(base, suffix))
		if err != nil || !strings.HasSuffix(base, suffix) {
			continue
		}
		l.mu.slots = max(l.mu.slots, slot+1)
		if aside {
			continue
		}
		f := &file{slot: slot, live: map[GroupID]Pos{}}
		if f.f, err = l.fs.OpenRW(path.Join(l.dir, name)); err != nil {
			return err
		}
		s.all = append(s.all, f)
		if f.size, err = f.f.Size(); err != nil {
			return err
		}
		actual := f.size
		n, err := readFull(f.f, l.header[:], 0)
		if err != nil {
			return err
		}
		clear(l.header[n:]) // shorter: the power was cut while it was made
		old, err := parseFileHeader(l.header[:], f)
		switch {
		case errors.Is(err, errVersion):
			return err // never touch what a newer version wrote
		case err != nil || (f.number > 0 && f.size > actual):
			s.bad = append(s.bad, f)
			if l.o.OnDamage != nil {
				l.o.OnDamage(Damage{Reason: "header of " + name + " does not verify"})
			}
		case f.number > 0:
			used = append(used, f)
			oldest[f.number] = old
			l.mu.number = max(l.mu.number, f.number)
		default:
			l.mu.spare = append(l.mu.spare, f)
		}
	}
	chain, missing := chainOf(used, oldest)
	inChain := map[*file]bool{}
	for _, f := range chain {
		inChain[f] = true
	}
	for _, f := range used {
		if !inChain[f] {
			l.mu.spare = append(l.mu.spare, f)
		}
	}
	if missing != 0 && l.o.OnDamage != nil {
		l.o.OnDamage(Damage{File: missing, Reason: fmt.Sprintf("file number %d is missing", missing)})
	}
	if len(chain) == 0 && l.o.Expected && l.o.OnDamage != nil {
		l.o.OnDamage(Damage{Reason: "no file of the journal is there"})
	}
	l.mu.live = chain
	return nil
}

// tidy puts files aside whose header does not verify, or that are shorter than it says: neither happens by a power cut, so they may hold
// records that nobody can read now, and nothing else touches them. It removes spare files that are too small for every record that can be
// appended: the options changed, or the power was cut while they were made.
func (s *scanner) tidy() error {
	l := s.l
	for _, f := range s.bad {
		name := slotName(l.dir, f.slot)
		if err := l.fs.Rename(name, name+damagedSuffix); err != nil {
			return err
		}
		_ = f.f.Close()
	}
	if len(s.bad) > 0 {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	keep := l.mu.spare[:0]
	for _, f := range l.mu.spare {
		if f.size >= l.o.FirstSize {
			keep = append(keep, f)
			continue
		}
		if err := l.fs.Remove(slotName(l.dir, f.slot)); err != nil {
			return err
		}
		_ = f.f.Close()
	}
	l.mu.spare = keep
	return nil
}

// chainOf follows the newest file back to the oldest one still needed. missing is the number of a file that the chain
// needs and that is not there, 0 if it is complete.
func chainOf(used []*file, oldest map[uint64]uint64) (chain []*file, missing uint64) {
	byNumber := map[uint64]*file{}
	var f *file
	for _, u := range used {
		byNumber[u.number] = u
		if f == nil || u.number > f.number {
			f = u
		}
	}
	if f == nil {
		return nil, 0
	}
	need := oldest[f.number]
	if f.low >= f.start && f.low > 0 {
		need = max(need, f.number) // nobody needs what lies before
	}
	for {
		chain = append(chain, f)
		prev := byNumber[f.prev]
		if f.prev == 0 || f.prev < need {
			break
		}
		if prev == nil {
			missing = f.prev
			// What is older than the hole is still worth reading: the newest file below it.
			for n, u := range byNumber {
				if n < f.prev && n >= need && (prev == nil || n > prev.number) {
					prev = u
				}
			}
			if prev == nil {
				break
			}
		}
		f = prev
	}
	sort.Slice(chain, func(i, j int) bool { return chain[i].number < chain[j].number })
	return chain, missing
}

// run verifies and replays the chain.
func (s *scanner) run() error {
	live := s.l.mu.live
	for i, f := range live {
		var next *file
		if i+1 < len(live) {
			next = live[i+1]
		}
		if err := s.file(f, next); err != nil {
			return err
		}
	}
	return nil
}

// file replays one file; next is the one after it in the chain.
func (s *scanner) file(f, next *file) error {
	base, end, ends := max(f.start, f.low), f.limit(), false
	if next != nil && next.prev == f.number && next.start <= f.limit() {
		end, ends = next.start, true
		base = min(base, end)
	}
	upto := end
	if !ends && f.high != 0 {
		upto = min(f.high+Pos(f.window()), end)
	}
	data, err := s.read(f, base, upto)
	if err != nil {
		return err
	}
	good, holes := judge(data, f.salt, base, ends)
	if !ends && upto < end && base+Pos(good) > f.high {
		// What it says is not true: it was not written, or is an old one.
		if data, err = s.read(f, base, end); err != nil {
			return err
		}
		good, holes = judge(data, f.salt, base, ends)
	}
	s.base, s.data, s.proven, s.unproven = base, data[:good], base, false
	f.end, f.left = base+Pos(good), true
	s.end = f.end
	if ends {
		f.end, s.end = end, end
	}
	var last Pos // after the last record that is not the journal's own
	for p := int64(0); p < good; {
		if len(holes) > 0 && holes[0].from == p {
			if s.l.o.OnDamage != nil {
				s.l.o.OnDamage(Damage{File: f.number, Pos: f.start + Pos(p), Length: holes[0].to - p, Group: holes[0].group, Reason: "record does not verify"})
			}
			p, holes = holes[0].to, holes[1:]
			continue
		}
		var r Record
		n, ok := parse(data[p:], f.salt, base+Pos(p), &r)
		if !ok {
			return fmt.Errorf("journal: file %d changed while it was read", f.number)
		}
		p += n
		if r.Kind >= kindCommit {
			if _, synced, ok := parseCommit(r.Payload); ok && r.Kind == kindCommit {
				if up := min(synced, base+Pos(p)); up > s.proven {
					s.proven = up
					s.unproven = last > up
				}
			}
			continue
		}
		pos := f.start + Pos(p)
		last, s.unproven = pos, true
		f.live[r.Group] = pos
		if s.replay != nil {
			if err := s.replay(&r, pos); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns what f holds between two positions, less if the file ends. The buffer is used again for the next file.
func (s *scanner) read(f *file, from, to Pos) ([]byte, error) {
	n := int(to - from)
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	n, err := readFull(f.f, s.buf[:n], f.offset(from))
	return s.buf[:n], err
}

// hole is a range of a file's data that was once durable and does not verify.
type hole struct {
	from, to int64
	group    GroupID
}

// judge is the one function that tells a torn tail from damage; recovery and the scrubber use it. It returns up to where
// data is to be believed, and the holes before that. complete says that a later file proves all of data.
//
//   - A bad record with a valid commit record somewhere after it that says "synced beyond here", or in a complete file,
//     was once durable: a hole.
//   - Otherwise everything from the last commit record before it on was never acknowledged as durable: the tail is cut
//     there.
//
// data lies at position base of a file with the given salt.
func judge(data []byte, salt uint64, base Pos, complete bool) (good int64, holes []hole) {
	var r Record
	committed := int64(0) // after the last commit record
	proven := int64(-1)   // what the commit records prove; looked up at the first bad record
	for p := int64(0); p < int64(len(data)); {
		n, ok := parse(data[p:], salt, base+Pos(p), &r)
		if ok {
			p += n
			if r.Kind == kindCommit {
				committed = p
			}
			continue
		}
		resume := int64(-1)
		if !complete && proven < 0 {
			proven = provenUpTo(data, p, salt, base)
		}
		if complete || proven > p {
			resume = nextValid(data, p+align, salt, base)
			if resume < 0 && complete {
				resume = int64(len(data))
			}
		}
		if resume < 0 {
			break
		}
		holes = append(holes, hole{p, resume, suspect(data, p, resume)})
		p = resume
		committed = max(committed, p)
	}
	if complete {
		return int64(len(data)), holes
	}
	// Holes behind the cut belong to what is cut.
	for len(holes) > 0 && holes[len(holes)-1].from >= committed {
		holes = holes[:len(holes)-1]
	}
	return committed, holes
}

// provenUpTo returns up to where the commit records after the bad one at p say that the log was synced; 0 = they say nothing.
func provenUpTo(data []byte, p int64, salt uint64, base Pos) (upTo int64) {
	var r Record
	for q := p + align; q+commitLen <= int64(len(data)); q += align {
		if Kind(data[q+6]) != kindCommit || le32(data[q:]) != commitLen-headerLen {
			continue
		}
		if _, ok := parse(data[q:], salt, base+Pos(q), &r); !ok {
			continue
		}
		if _, synced, ok := parseCommit(r.Payload); ok && synced > base {
			upTo = max(upTo, min(int64(synced-base), q))
		}
	}
	return upTo
}

// nextValid returns the offset of the first record that verifies at or after p, -1 if there is none.
func nextValid(data []byte, p int64, salt uint64, base Pos) int64 {
	var r Record
	for ; p+headerLen <= int64(len(data)); p += align {
		if _, ok := parse(data[p:], salt, base+Pos(p), &r); ok {
			return p
		}
	}
	return -1
}

// suspect names the group of a damaged record when its header is consistent with where the next valid record starts.
func suspect(data []byte, from, to int64) GroupID {
	if from+headerLen > int64(len(data)) {
		return 0
	}
	h := data[from : from+headerLen]
	if h[4] != recordMagic&0xff || h[5] != recordMagic>>8 || size(int(le32(h))) != to-from {
		return 0
	}
	return GroupID(le64(h[16:]))
}

// readFull reads until p is full or the file ends.
func readFull(f vfs.File, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		k, err := f.ReadAt(p[n:], off+int64(n))
		n += k
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
