package backup

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

const (
	tarBlock   = 512
	maxPAX     = 64 << 10
	maxTarName = 4 << 10
	maxTarFile = 1 << 40
)

// tarFiles takes the files of a tar. data is called with pieces of any size.
type tarFiles interface {
	begin(name string, size int64) error
	data(b []byte) error
	end() error
}

// tarReader takes a tar (ustar and PAX, regular files) in pieces of any size.
type tarReader struct {
	files tarFiles
	head  []byte // an incomplete header block
	pax   []byte // the extended header being read
	path  string // of the extended header before a file
	size  int64  // of the extended header; -1 = none
	left  int64  // bytes of the entry to come
	pad   int64  // bytes after the entry
	in    byte   // kind of the entry being read; 0 = none
	zeros int    // blocks of zeros seen
}

const (
	tarFile = '0'
	tarPAX  = 'x'
)

func (t *tarReader) feed(b []byte) error {
	for len(b) > 0 {
		switch {
		case t.left > 0:
			n := min(t.left, int64(len(b)))
			piece := b[:n]
			b, t.left = b[n:], t.left-n
			if t.in == tarPAX {
				t.pax = append(t.pax, piece...)
			} else if err := t.files.data(piece); err != nil {
				return err
			}
			if err := t.entryEnd(); err != nil {
				return err
			}
		case t.pad > 0:
			n := min(t.pad, int64(len(b)))
			b, t.pad = b[n:], t.pad-n
		default:
			n := min(tarBlock-len(t.head), len(b))
			t.head, b = append(t.head, b[:n]...), b[n:]
			if len(t.head) < tarBlock {
				return nil
			}
			if err := t.header(t.head); err != nil {
				return err
			}
			t.head = t.head[:0]
		}
	}
	return nil
}

// close reports whether the tar is complete.
func (t *tarReader) close() error {
	if t.zeros < 2 || t.in != 0 || len(t.head) > 0 {
		return errTruncated
	}
	return nil
}

func (t *tarReader) entryEnd() error {
	if t.left > 0 {
		return nil
	}
	in := t.in
	t.in = 0
	if in == tarPAX {
		return t.extended()
	}
	return t.files.end()
}

func (t *tarReader) header(h []byte) error {
	if !bytes.ContainsFunc(h, func(r rune) bool { return r != 0 }) {
		t.zeros++
		return nil
	}
	if t.zeros > 0 {
		return fmt.Errorf("%w: files after the end of the tar", ErrDamaged)
	}
	sum, want := 8*int64(' '), int64(0)
	for i, c := range h {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	want, ok := octal(h[148:156])
	if !ok || sum != want {
		return fmt.Errorf("%w: neither an archive nor a tar, or wrong checksum of a header", ErrDamaged)
	}
	size, ok := octal(h[124:136])
	if !ok {
		return fmt.Errorf("%w: size of a file", ErrDamaged)
	}
	name := field(h[:100])
	if string(h[257:262]) == "ustar" {
		if prefix := field(h[345:500]); prefix != "" {
			name = prefix + "/" + name
		}
	}
	switch kind := h[156]; kind {
	case tarPAX:
		if size > maxPAX {
			return fmt.Errorf("%w: extended header of %d bytes", ErrTooLarge, size)
		}
		t.pax, t.path, t.size = t.pax[:0], "", -1
	case tarFile, 0:
		if t.path != "" {
			name = t.path
		}
		if len(t.pax) > 0 && t.size >= 0 {
			size = t.size
		}
		t.pax, t.path = t.pax[:0], ""
		if size > maxTarFile {
			return fmt.Errorf("%w: file of %d bytes", ErrTooLarge, size)
		}
		if err := t.files.begin(name, size); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: entry %.100q of kind %q", ErrUnsupported, name, kind)
	}
	t.in = tarFile
	if h[156] == tarPAX {
		t.in = tarPAX
	}
	t.left, t.pad = size, (tarBlock-size%tarBlock)%tarBlock
	return t.entryEnd()
}

// extended reads the records "<length> <key>=<value>\n" of an extended header.
func (t *tarReader) extended() error {
	b := string(t.pax)
	for b != "" {
		num, _, ok := strings.Cut(b, " ")
		n, err := strconv.Atoi(num)
		if !ok || err != nil || n < len(num)+3 || n > len(b) || b[n-1] != '\n' {
			return fmt.Errorf("%w: extended header of a file", ErrDamaged)
		}
		key, value, ok := strings.Cut(b[len(num)+1:n-1], "=")
		if !ok {
			return fmt.Errorf("%w: extended header of a file", ErrDamaged)
		}
		b = b[n:]
		switch key {
		case "path":
			if len(value) > maxTarName {
				return fmt.Errorf("%w: name of %d bytes", ErrTooLarge, len(value))
			}
			t.path = value
		case "size":
			if t.size, err = strconv.ParseInt(value, 10, 64); err != nil || t.size < 0 {
				return fmt.Errorf("%w: size of a file", ErrDamaged)
			}
		}
	}
	return nil
}

// field returns the text of a header field.
func field(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// octal reads a number of a header.
func octal(b []byte) (int64, bool) {
	s := strings.Trim(string(b), " \x00")
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(s, 8, 64)
	return n, err == nil && n >= 0
}
