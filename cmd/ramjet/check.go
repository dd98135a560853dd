package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ramjet/engine/config"
	"ramjet/store/catalog"
	"ramjet/store/crypt"
	"ramjet/store/journal"
	"ramjet/store/vfs"
)

// Exit codes of check.
const (
	checkGood    = 0
	checkDamaged = 1
	checkFailed  = 2 // nothing can be said
)

const checkUsage = `Usage: ramjet check [options] [DIR]

Verifies a JetStream store that no server is using, without changing it: journal, metadata, states, and every message.
DIR is the store directory (the value of store_dir, or "jetstream" below it).

Options:
  -c FILE   take directory and encryption keys from a server's configuration
  -json     print the report as JSON
  -q        no progress

Exit code: 0 all is well, 1 damage was found, 2 the store could not be checked.
`

// checkReport is what check prints.
type checkReport struct {
	Dir         string   `json:"dir"`
	Journal     journals `json:"journal"`
	Streams     int      `json:"streams"`
	Consumers   int      `json:"consumers"`
	Segments    int      `json:"segments"`
	Messages    uint64   `json:"messages"`
	Bytes       int64    `json:"bytes"`
	Quarantined int      `json:"quarantined"`
	Leftovers   []string `json:"leftovers"`
	Problems    []string `json:"problems"`
}

type journals struct {
	Files   int    `json:"files"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

// checkStore is the command check; it returns the exit code.
func checkStore(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("check", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, checkUsage) }
	conf, asJSON, quiet := f.String("c", "", ""), f.Bool("json", false, ""), f.Bool("q", false, "")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return checkGood
		}
		return checkFailed
	}
	if f.NArg() > 1 || f.NArg() == 0 && *conf == "" {
		f.Usage()
		return checkFailed
	}
	fail := func(err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return checkFailed
	}
	dir := f.Arg(0)
	var keys [][]byte
	if *conf != "" {
		o, _, err := config.Load(*conf, nil)
		if err != nil {
			return fail(err)
		}
		if j := o.JetStream; j != nil {
			for _, k := range []string{j.Key, j.PrevKey} {
				if k != "" {
					keys = append(keys, []byte(k))
				}
			}
		}
		if dir == "" {
			dir = o.StoreDir
		}
		if dir == "" {
			return fail(fmt.Errorf("%s names no store_dir: give the directory", *conf))
		}
	}
	disk := vfs.OS()
	dir, err := storeDir(disk, dir)
	if err != nil {
		return fail(err)
	}
	unlock, err := disk.Lock(dir + "/lock")
	if err != nil {
		return fail(fmt.Errorf("%s is in use by a server, or cannot be locked: %w", dir, err))
	}
	defer unlock()
	bar := &progress{w: io.Discard}
	if !*quiet && !*asJSON && isTerminal(stderr) {
		bar = &progress{w: stderr, total: vfs.SizeBelow(disk, dir), start: time.Now()}
	}
	rep, err := verify(disk, dir, keys, bar.add)
	bar.clear()
	if err != nil {
		return fail(err)
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(rep)
	} else {
		err = rep.print(stdout)
	}
	switch {
	case err != nil:
		return fail(err)
	case len(rep.Problems) > 0:
		return checkDamaged
	}
	return checkGood
}

// storeDir returns the directory of JetStream's files in or at dir.
func storeDir(disk vfs.FS, dir string) (string, error) {
	dir = filepath.ToSlash(filepath.Clean(dir))
	for _, d := range []string{dir + "/jetstream", dir} {
		for _, part := range []string{"/accounts", "/journal"} {
			if i, err := disk.Stat(d + part); err == nil && i.IsDir() {
				return d, nil
			}
		}
	}
	if _, err := disk.List(dir); err != nil {
		return "", err
	}
	return "", fmt.Errorf("%s holds no JetStream data", dir)
}

// verify checks journal and assets in dir.
func verify(disk vfs.FS, dir string, keys [][]byte, progress func(bytes int64)) (*checkReport, error) {
	rep := &checkReport{Dir: dir, Leftovers: []string{}, Problems: []string{}}
	j, err := journal.Check(disk, dir+"/journal", progress)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		rep.Problems = append(rep.Problems, dir+"/journal: there is no journal")
	case err != nil:
		return nil, err
	default:
		rep.Journal = journals{j.Files, j.Records, j.Bytes}
		for _, d := range j.Problems {
			rep.Problems = append(rep.Problems, fmt.Sprintf("%s/journal: file %d, position %d, %d bytes, group %d: %s", dir, d.File, d.Pos, d.Length, d.Group, d.Reason))
		}
	}
	c, err := catalog.Check(disk, dir, catalog.CheckOptions{Codec: codecs(keys), Progress: func(_ string, n int64) { progress(n) }})
	if err != nil {
		return nil, err
	}
	rep.Streams, rep.Consumers, rep.Segments, rep.Messages, rep.Bytes = c.Streams, c.Consumers, c.Segments, c.Msgs, c.Bytes
	rep.Quarantined = c.Quarantined
	if _, err := disk.Stat(dir + "/clean"); err != nil && rep.Journal.Files == 0 && c.Segments > 0 && len(rep.Problems) == 0 {
		rep.Problems = append(rep.Problems, dir+"/journal: no file is in use, and the last stop was not clean")
	}
	rep.Leftovers = append(rep.Leftovers, c.Leftovers...)
	rep.Problems = append(rep.Problems, c.Problems...)
	return rep, nil
}

// codecs returns what opens the files of assets that were written with one of keys.
func codecs(keys [][]byte) func(account string, m *catalog.Meta) (*crypt.Codec, error) {
	return func(account string, m *catalog.Meta) (*crypt.Codec, error) {
		if len(m.Key) == 0 {
			return nil, nil
		}
		if len(keys) == 0 {
			return nil, errors.New("encrypted: give the server's configuration with -c")
		}
		var derived [][]byte
		for _, k := range keys {
			derived = append(derived, crypt.Derive(k, account, m.Name))
		}
		key, cipher, _, err := crypt.OpenKey(m.Key, derived...)
		if err != nil {
			return nil, err
		}
		return crypt.NewCodec(cipher, key, false, crypt.SystemRandom)
	}
}

// print writes the report for people.
func (r *checkReport) print(w io.Writer) error {
	p := &printer{w: w}
	p.line("store:       %s", r.Dir)
	p.line("journal:     %s, %s, %s", count(r.Journal.Files, "file"), count(r.Journal.Records, "record"), inBytes(int64(r.Journal.Bytes)))
	p.line("streams:     %s with %s, %s, %s", count(r.Streams, "stream"), count(r.Consumers, "consumer"), count(r.Segments, "segment"), inBytes(r.Bytes))
	p.line("messages:    %d in segments; what came after the last checkpoint is in the journal", r.Messages)
	if r.Quarantined > 0 {
		p.line("quarantine:  %s in %s/quarantine, each with its reason", count(r.Quarantined, "entry"), r.Dir)
	}
	if n := len(r.Leftovers); n > 0 {
		p.line("leftovers:   %s of interrupted work, removed by the server at its start", count(n, "file"))
		for _, l := range r.Leftovers {
			p.line("  %s", l)
		}
	}
	if len(r.Problems) == 0 {
		p.line("result:      no damage")
		return p.err
	}
	p.line("result:      %s", count(len(r.Problems), "problem"))
	for _, l := range r.Problems {
		p.line("  %s", l)
	}
	return p.err
}

// printer keeps the first error of several lines.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// count is "1 file", "2 files", "3 entries".
func count[N int | uint64](n N, what string) string {
	switch {
	case n == 1:
	case what == "entry":
		what = "entries"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func inBytes(n int64) string {
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", v, [...]string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// isTerminal reports that w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}
