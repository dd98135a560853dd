package config

import (
	"os"
	"path/filepath"

	"ramjet/proto/conf"
)

// environment is state shared by the parts of one decoding.
type environment struct {
	names map[string]bool // users and nkeys seen
}

// Load reads file (may be ""), applies flags (may be nil) over it and fills defaults ([Baseline]).
// warnings are the lines to print as warnings. On error nothing is usable; what is wrong with the file
// is an *[ErrorList]. It reads the file, what it includes, and certificates. Any goroutine.
func Load(file string, flags *Flags) (opts *Options, warnings []string, err error) {
	o := &Options{Log: LogOptions{Time: true}}
	if file != "" {
		if warnings, err = o.load(file); err != nil {
			return nil, warnings, err
		}
	}
	if flags != nil && flags.Apply != nil {
		flags.Apply(o)
	}
	Baseline(o)
	return o, warnings, nil
}

func (o *Options) load(file string) (warnings []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &ErrorList{[]*Problem{{Msg: "error opening config file: " + err.Error()}}}
	}
	tree, err := conf.Parse(file, string(data), conf.Env{ReadFile: readInclude, Getenv: os.LookupEnv})
	if err != nil {
		return nil, parseError(file, err)
	}
	o.File = file
	if o.Digest, err = tree.Digest(); err != nil {
		return nil, err
	}
	d := decodeTree(o, tree)
	for _, w := range d.warnings {
		warnings = append(warnings, w.Error())
	}
	if len(d.errors) > 0 {
		return warnings, &ErrorList{d.errors}
	}
	return warnings, nil
}

// decodeTree fills o from a parsed file.
func decodeTree(o *Options, tree *conf.Tree) *decoder {
	d := &decoder{opts: o, env: &environment{}}
	if len(tree.Root.Entries) == 0 {
		d.warnings = append(d.warnings, &Problem{Msg: tree.Files[0] + ": config has no values or is empty"})
	}
	topBlock.decode(d, o, tree.Root)
	for _, check := range d.later {
		check()
	}
	d.errors = byPlace(d.errors, tree.Files)
	d.warnings = byPlace(d.warnings, tree.Files)
	return d
}

// parseError shows an error of the parser. Its message has the line; the file and column come before it.
func parseError(file string, err error) error {
	p := &Problem{Msg: err.Error()}
	if e, ok := err.(*conf.Error); ok {
		p.Pos = e.Pos
		if p.Pos.File == "" {
			p.Pos.File = file
		}
	}
	return &ErrorList{[]*Problem{p}}
}

// maxIncludeBytes bounds one included file.
const maxIncludeBytes = conf.MaxBytes

// readInclude reads a file that from includes. Paths are relative to the including file, absolute ones too
// if such a file exists there, as in NATS servers; else an absolute path is taken as it is.
func readInclude(from, path string) (string, []byte, error) {
	name := filepath.Join(filepath.Dir(from), path)
	info, err := os.Stat(name)
	if err != nil && filepath.IsAbs(path) {
		if i, e := os.Stat(path); e == nil {
			name, info, err = path, i, nil
		}
	}
	if err == nil && info.Size() > maxIncludeBytes {
		return name, nil, &os.PathError{Op: "read", Path: name, Err: os.ErrInvalid}
	}
	data, err := os.ReadFile(name)
	return name, data, err
}
