package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"ramjet/store/consumer"
	"ramjet/store/crypt"
	"ramjet/store/stream"
	"ramjet/store/vfs"
)

// CheckOptions of Check.
type CheckOptions struct {
	// Codec returns what the files of an asset are encoded with. Nil: nothing is encrypted.
	Codec func(account string, m *Meta) (*crypt.Codec, error)
	// Progress is told about each file: its directory and bytes. May be nil.
	Progress func(dir string, bytes int64)
}

// Report is what Check found.
type Report struct {
	Streams, Consumers, Segments int
	Msgs                         uint64
	Bytes                        int64
	Problems                     []string // one line each
	Leftovers                    []string // harmless: unreferenced files, interrupted creations and deletions
	Quarantined                  int
}

// Check verifies the metadata, states and segments of all assets below base without changing anything. The directory must not be in use.
// The error tells that the directory itself cannot be read.
func Check(fsys vfs.FS, base string, o CheckOptions) (*Report, error) {
	r := &Report{}
	accounts, err := fsys.List(base + "/" + accountsDir)
	if err != nil {
		return nil, err
	}
	if q, err := fsys.List(base + "/" + quarantineDir); err == nil {
		r.Quarantined = len(q)
	}
	for _, a := range accounts {
		dir := base + "/" + accountsDir + "/" + a
		account, known := Unescape(a)
		if !known && !strings.Contains(a, "%~") {
			r.problem(dir, errors.New("unknown directory"))
			continue
		}
		for _, s := range r.assets(fsys, dir) {
			r.stream(fsys, account, dir+"/"+s, &o)
		}
	}
	return r, nil
}

func (r *Report) problem(what string, err error) {
	r.Problems = append(r.Problems, fmt.Sprintf("%s: %v", what, err))
}

// assets lists a directory of assets without leftovers.
func (r *Report) assets(fsys vfs.FS, dir string) (out []string) {
	names, err := fsys.List(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.problem(dir, err)
		}
		return nil
	}
	for _, n := range names {
		if strings.HasPrefix(n, newPrefix) || strings.HasPrefix(n, gonePrefix) {
			r.Leftovers = append(r.Leftovers, dir+"/"+n)
			continue
		}
		out = append(out, n)
	}
	return out
}

// meta reads and checks the metadata of an asset.
func (r *Report) meta(fsys vfs.FS, account, dir string, kind Kind, o *CheckOptions) (*crypt.Codec, bool) {
	m, err := ReadMeta(fsys, dir)
	if err == nil && (m.Kind != kind || Escape(m.Name) != path.Base(dir)) {
		err = fmt.Errorf("%w: it belongs to %q", ErrCorrupt, m.Name)
	}
	var codec *crypt.Codec
	if err == nil && o.Codec != nil {
		codec, err = o.Codec(account, m)
	} else if err == nil && len(m.Key) > 0 {
		err = errors.New("encrypted, and no key was given")
	}
	if err != nil {
		r.problem(dir, err)
		return nil, false
	}
	return codec, true
}

func (r *Report) stream(fsys vfs.FS, account, dir string, o *CheckOptions) {
	r.Streams++
	codec, ok := r.meta(fsys, account, dir, Stream, o)
	if ok {
		progress := func(n int64) {
			if o.Progress != nil {
				o.Progress(dir, n)
			}
		}
		rep, err := stream.Check(fsys, dir, codec, progress)
		if err != nil {
			r.problem(dir, err)
		} else {
			r.Segments += rep.Segments
			r.Msgs += rep.Msgs
			r.Bytes += rep.Bytes
			for _, p := range rep.Problems {
				r.problem(p.File, fmt.Errorf("messages %d to %d: %s", p.From, p.To, p.Reason))
			}
			for _, n := range rep.NotReferenced {
				if n != metaName && n != consumersDir {
					r.Leftovers = append(r.Leftovers, dir+"/"+n)
				}
			}
		}
	}
	for _, n := range r.assets(fsys, dir+"/"+consumersDir) {
		r.Consumers++
		k := dir + "/" + consumersDir + "/" + n
		codec, ok := r.meta(fsys, account, k, Consumer, o)
		if !ok {
			continue
		}
		_, err := consumer.Load(fsys, k+"/"+stateName, codec)
		if errors.Is(err, fs.ErrNotExist) {
			if _, serr := fsys.Stat(k + "/" + savedName); errors.Is(serr, fs.ErrNotExist) {
				continue // none was written yet
			}
		}
		if err != nil {
			r.problem(k+"/"+stateName, err)
		}
	}
}
