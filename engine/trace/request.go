package trace

import (
	"bytes"
	"strconv"
	"strings"

	"ramjet/proto/header"
)

// request is what the header of a message says about tracing.
type request struct {
	dest      string // "" with external
	hop       string
	encoding  string // Accept-Encoding
	only      bool   // do not deliver
	external  bool   // asked for by a traceparent: destination and sampling are the account's
	forwarded bool   // has the header of the account it came from, which nobody may set
	header    map[string][]string
}

// Wants reports whether the header of a message may ask for a trace. external says that the account traces what a traceparent asks
// for; where it does not, a header that forbids tracing is still looked at, to be logged and passed on as forbidden. No allocation.
func Wants(hdr []byte, external bool) bool {
	if len(hdr) == 0 {
		return false
	}
	if header.Has(hdr, header.TraceDest) {
		return true
	}
	if !external && !header.Has(hdr, header.TraceOrigin) {
		return false
	}
	for k := range header.All(hdr) {
		if len(k) == len(header.TraceParent) && strings.EqualFold(string(k), header.TraceParent) {
			return true
		}
	}
	return false
}

// parse reads a header block, which may be cut off; ok is false when it asks for nothing, or forbids tracing. A block that does not
// begin with the version, which has a status, asks for nothing either.
func parse(hdr []byte) (r request, ok bool) {
	if !bytes.HasPrefix(hdr, []byte(header.Version+"\r\n")) {
		return r, false
	}
	r.header = make(map[string][]string)
	dest, parent := false, false
	for k, v := range header.All(hdr) {
		v = bytes.Trim(v, " \t")
		if len(v) == 0 {
			continue
		}
		key, value := string(k), string(v)
		switch {
		case key == header.TraceDest:
			if value == header.TraceDisabled {
				return r, false
			}
			dest = true
		case !parent && strings.EqualFold(key, header.TraceParent):
			parent = sampled(value)
		}
		r.header[key] = append(r.header[key], value)
	}
	if !dest && !parent {
		return r, false
	}
	first := func(key string) string {
		if vs := r.header[key]; len(vs) > 0 {
			return vs[0]
		}
		return ""
	}
	if r.external = !dest; !r.external {
		r.dest = first(header.TraceDest)
		switch strings.ToLower(first(header.TraceOnly)) {
		case "1", "true", "on":
			r.only = true
		}
	}
	r.hop, r.encoding, r.forwarded = first(header.TraceHop), first(header.AcceptEncoding), first(header.TraceOrigin) != ""
	return r, true
}

// sampled reports that a W3C traceparent has the sampled flag: four fields, the last one two hexadecimal digits of which bit 0 is it.
func sampled(v string) bool {
	f := strings.Split(v, "-")
	if len(f) != 4 || len(f[3]) != 2 {
		return false
	}
	n, err := strconv.ParseInt(f[3], 16, 8) // of the upper half nats-server takes none
	return err == nil && n&1 == 1
}
