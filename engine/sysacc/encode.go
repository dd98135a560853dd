package sysacc

import (
	"bytes"
	"compress/gzip"
	"strings"

	"github.com/klauspost/compress/s2"

	"ramjet/proto/header"
)

// encoding of an answer.
type encoding uint8

const (
	plain encoding = iota
	gzipped
	snappy
	identity // asked for one that is not known
)

// accepted returns the encoding that the header of a request asks for.
func accepted(hdr []byte) encoding {
	if len(hdr) == 0 {
		return plain
	}
	return encodingOf(string(header.Get(hdr, header.AcceptEncoding)))
}

// encodingOf returns the encoding that a value of Accept-Encoding asks for.
func encodingOf(v string) encoding {
	v = strings.ToLower(v)
	switch {
	case strings.Contains(v, "snappy"), strings.Contains(v, "s2"):
		return snappy
	case strings.Contains(v, "gzip"):
		return gzipped
	}
	if v == "" {
		return plain
	}
	return identity
}

// name returns the value of Accept-Encoding that asks for e, "" for none.
func (e encoding) name() string { return [...]string{"", "gzip", "snappy", "identity"}[e] }

// encode compresses body and returns the header that says so.
func (e encoding) encode(body []byte) (hdr, out []byte, err error) {
	var b bytes.Buffer
	switch e {
	case gzipped:
		z := gzip.NewWriter(&b)
		if _, err = z.Write(body); err == nil {
			err = z.Close()
		}
	case snappy:
		z := s2.NewWriter(&b, s2.WriterSnappyCompat(), s2.WriterConcurrency(1))
		if _, err = z.Write(body); err == nil {
			err = z.Close()
		}
	case identity:
		return header.AppendAdd(nil, nil, contentEncoding, []byte(e.name())), body, nil
	default:
		return nil, body, nil
	}
	return header.AppendAdd(nil, nil, contentEncoding, []byte(e.name())), b.Bytes(), err
}

const contentEncoding = "Content-Encoding"
