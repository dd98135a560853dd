package stream

import (
	"bytes"
	"strconv"
	"strings"

	"ramjet/proto/jsapi"
)

// SourceIndex names a source among the sources of a stream, as stored messages do (reference/jetstream/stream.md,
// section 6). No part contains a blank.
type SourceIndex struct {
	Name   string // stream[:hash of the API prefix][:C=hash of the consumer]
	Filter string // filter, or the sources of the transforms joined by form feeds
	Dest   string // destinations of the transforms joined by form feeds; ">" without transform
}

// IndexOf returns the index of s.
func IndexOf(s *jsapi.StreamSource) SourceIndex {
	x := SourceIndex{Name: s.Name, Filter: orAll(s.FilterSubject), Dest: ">"}
	if s.External != nil {
		x.Name += ":" + jsapi.Hash(s.External.APIPrefix)
	}
	if s.Consumer != nil {
		x.Name += ":C=" + jsapi.Hash(s.Consumer.Name)
	}
	if len(s.SubjectTransforms) > 0 {
		var src, dst []string
		for _, t := range s.SubjectTransforms {
			src = append(src, orAll(t.Source))
			dst = append(dst, orAll(strings.ReplaceAll(t.Destination, " ", ""))) // blanks of functions mean nothing
		}
		x.Filter, x.Dest = strings.Join(src, "\f"), strings.Join(dst, "\f")
	}
	return x
}

// String returns the index as one key.
func (x *SourceIndex) String() string { return x.Name + " " + x.Filter + " " + x.Dest }

// SourceHeader is the value of Nats-Stream-Source: where a sourced message comes from. The slices are of the value.
type SourceHeader struct {
	Name, Filter, Dest []byte // the index; Filter and Dest are nil in messages of servers before 2.10
	Seq                uint64 // in the origin
	Subject            []byte // in the origin
	Identity           []byte // of the origin; nil if it did not tell
}

// AppendIndex appends the key that SourceIndex.String returns for the same source.
func (h *SourceHeader) AppendIndex(dst []byte) []byte {
	dst = append(append(dst, h.Name...), ' ')
	dst = append(append(dst, h.Filter...), ' ')
	return append(dst, h.Dest...)
}

// AppendSourceHeader appends the value for the message seq of subj; identity may be empty.
func AppendSourceHeader(dst []byte, x *SourceIndex, seq uint64, subj []byte, identity string) []byte {
	dst = append(append(dst, x.Name...), ' ')
	dst = append(strconv.AppendUint(dst, seq, 10), ' ')
	dst = append(append(dst, x.Filter...), ' ')
	dst = append(append(dst, x.Dest...), ' ')
	dst = append(dst, subj...)
	if identity != "" {
		dst = append(append(dst, ' '), identity...)
	}
	return dst
}

// ParseSourceHeader reads a value of Nats-Stream-Source: "<name> <seq> <filter> <dest> <subject>[ <identity>]", and the
// older forms "<name> <seq>" and an ack reply subject.
func ParseSourceHeader(v []byte, h *SourceHeader) bool {
	*h = SourceHeader{}
	if bytes.HasPrefix(v, []byte(jsapi.AckPrefix)) {
		var a jsapi.AckReply
		if !jsapi.ParseAckReply(v, &a) {
			return false
		}
		h.Name, h.Seq = a.Stream, a.StreamSeq
		return true
	}
	var f [6][]byte
	n := 0
	for more := true; more; n++ {
		if n == len(f) {
			return false
		}
		f[n], v, more = bytes.Cut(v, []byte{' '})
	}
	seq, ok := jsapi.ParseUint(f[1])
	if !ok || len(f[0]) == 0 || n != 2 && n < 5 {
		return false
	}
	h.Name, h.Seq = f[0], seq
	if n >= 5 {
		h.Filter, h.Dest, h.Subject, h.Identity = f[2], f[3], f[4], f[5]
	}
	return n == 2 || len(h.Filter) > 0 && len(h.Dest) > 0 && len(h.Subject) > 0
}
