package config

import (
	"slices"
	"strings"

	"ramjet/proto/conf"
	"ramjet/proto/subject"
)

// defaultSampling is the share of requests whose latency is measured, in percent.
const defaultSampling = 100

// exportState is an export while it is decoded.
type exportState struct {
	e                      *Export
	pos                    conf.Pos // of the first key of the entry
	response, latency      *conf.Entry
	trace, hold, positions *conf.Entry
}

func (d *decoder) exports(a *Account, e *conf.Entry) []*Export {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Exports should be an array, got %s", kind(e.Value))
		return nil
	}
	if len(e.Value.Items) > 0 {
		d.opts.note("exports of account "+a.Name, e.Pos)
	}
	var list []*Export
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Export Items should be a map with type entry, got %s", kind(item))
			continue
		}
		s := &exportState{e: &Export{Pos: where(item.Pos)}, pos: item.Pos}
		before := len(d.errors)
		exportBlock.decode(d, s, item.Map)
		d.checkExport(s, len(d.errors) > before)
		list = append(list, s.e)
	}
	return list
}

// checkExport applies the rules between the keys of an export.
func (d *decoder) checkExport(s *exportState, broken bool) {
	x := s.e
	if x.Stream == "" && x.Service == "" {
		if !broken {
			d.errorf(s.pos, "Export Items should have a stream or a service")
		}
		return
	}
	if name := x.Stream + x.Service; !subject.Valid(name) {
		d.errorf(s.pos, "subject %q is not a valid subject", name)
	}
	if x.Service != "" {
		if x.LatencySubject != "" && !subject.ValidLiteral(x.LatencySubject) {
			d.errorf(s.latency.Pos, "Error adding service latency sampling for %q on subject %q: invalid publish subject", x.Service, x.LatencySubject)
		}
		return
	}
	for _, wrong := range []struct {
		e    *conf.Entry
		what string
	}{{s.response, "response"}, {s.latency, "latency"}, {s.trace, "allow_trace"}, {s.hold, "response threshold"}} {
		if wrong.e != nil {
			d.errorf(wrong.e.Pos, "Detected %s directive on non-service", wrong.what)
		}
	}
}

var exportBlock *block[exportState]

func init() {
	name := func(d *decoder, s *exportState, e *conf.Entry, what string) {
		if e.Value.Kind != conf.String {
			d.errorf(e.Pos, "Expected %s name to be string, got %s", what, kind(e.Value))
			return
		}
		switch {
		case what == "stream" && s.e.Service != "":
			d.errorf(e.Pos, "Detected stream %q but already saw a service", e.Value.Str)
		case what == "service" && s.e.Stream != "":
			d.errorf(e.Pos, "Detected service %q but already saw a stream", e.Value.Str)
		case what == "stream":
			s.e.Stream = e.Value.Str
		default:
			s.e.Service = e.Value.Str
		}
	}
	exportBlock = newBlock(unknownField, []key[exportState]{
		{"stream", func(d *decoder, s *exportState, e *conf.Entry) { name(d, s, e, "stream") }},
		{"service", func(d *decoder, s *exportState, e *conf.Entry) { name(d, s, e, "service") }},
		{"accounts", func(d *decoder, s *exportState, e *conf.Entry) {
			if e.Value.Kind != conf.Array {
				d.typeError(e, "an array of accounts")
				return
			}
			s.e.Accounts, _ = d.stringList(e)
		}},
		{"response response_type", func(d *decoder, s *exportState, e *conf.Entry) {
			s.response = e
			v, ok := d.str(e)
			switch strings.ToLower(v) {
			case "single", "singleton":
				s.e.ResponseType = "singleton"
			case "stream":
				s.e.ResponseType = "stream"
			case "chunk", "chunked":
				s.e.ResponseType = "chunked"
			default:
				if ok {
					d.errorf(e.Pos, "Unknown response type: %q%s", v, hint(v, []string{"singleton", "stream", "chunked"}))
				}
			}
		}},
		{"response_threshold threshold response_max_time response_time", func(d *decoder, s *exportState, e *conf.Entry) {
			s.hold = e
			if v, ok := d.threshold(e); ok {
				s.e.Threshold = v
			}
		}},
		{"latency", exportLatency},
		{"account_token_position", func(d *decoder, s *exportState, e *conf.Entry) {
			s.positions = e
			if n, ok := d.integer(e, 0, 1<<16); ok {
				s.e.TokenPosition = int(n)
			}
		}},
		{"allow_trace", func(d *decoder, s *exportState, e *conf.Entry) {
			s.trace = e
			if b, ok := d.boolean(e); ok {
				s.e.AllowTrace = b
			}
		}},
	}...)
}

func exportLatency(d *decoder, s *exportState, e *conf.Entry) {
	s.latency = e
	s.e.LatencySampling = defaultSampling
	switch e.Value.Kind {
	case conf.String:
		s.e.LatencySubject = e.Value.Str
	case conf.Map:
		latencyBlock.decode(d, s.e, e.Value.Map)
		if s.e.LatencySubject == "" {
			d.errorf(e.Pos, "Latency subject required, but missing")
		}
	default:
		d.errorf(e.Pos, "Expected latency entry to be a map/struct or string, got %s", kind(e.Value))
	}
}

var latencyBlock = newBlock(unknownField,
	key[Export]{"subject", str(func(x *Export) *string { return &x.LatencySubject })},
	key[Export]{"sampling", func(d *decoder, x *Export, e *conf.Entry) {
		if strings.EqualFold(e.Value.Str, "headers") {
			x.LatencySampling = 0
			return
		}
		n, ok := d.percent(e, "Expected latency sample %q to be a string or int, got %s", "error parsing latency sample: %q")
		if ok && (n < 1 || n > 100) {
			d.errorf(e.Pos, "bad sampling percentage, should be 1-100, got %d", n)
			return
		}
		x.LatencySampling = int(n)
	}},
)

// importState is an import while it is decoded.
type importState struct {
	i     *Import
	kind  *conf.Entry // stream or service
	trace *conf.Entry
}

func (d *decoder) imports(a *Account, e *conf.Entry) []*Import {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "Imports should be an array, got %s", kind(e.Value))
		return nil
	}
	if len(e.Value.Items) > 0 {
		d.opts.note("imports of account "+a.Name, e.Pos)
	}
	local := make(map[string]*Import) // service imports by local subject and account
	var list []*Import
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "Import Items should be a map with type entry, got %s", kind(item))
			continue
		}
		s := &importState{i: &Import{Pos: where(item.Pos)}}
		before := len(d.errors)
		importBlock.decode(d, s, item.Map)
		x := s.i
		if s.trace != nil && x.Service != "" {
			d.errorf(s.trace.Pos, "Detected allow_trace directive on a non-stream")
		}
		switch {
		case len(d.errors) > before:
		case x.Stream == "" && x.Service == "":
			d.errorf(item.Pos, "Import Items should have a stream or a service")
		case x.Service != "":
			to := x.To
			if to == "" {
				to = x.Service
			}
			if old := local[to+" "+x.Account]; old != nil {
				d.errorf(s.kind.Pos, "Duplicate service import subject %q, previously used in import for account %q, subject %q", to, old.Account, old.Service)
			}
			local[to+" "+x.Account] = x
		}
		list = append(list, x)
	}
	return list
}

var importBlock *block[importState]

func init() {
	importBlock = newBlock(unknownField, []key[importState]{
		{"stream", func(d *decoder, s *importState, e *conf.Entry) {
			if s.i.Service != "" {
				d.errorf(e.Pos, "Detected stream but already saw a service")
			}
			s.kind = e
			s.i.Account, s.i.Stream = d.importSource(e)
		}},
		{"service", func(d *decoder, s *importState, e *conf.Entry) {
			if s.i.Stream != "" {
				d.errorf(e.Pos, "Detected service but already saw a stream")
			}
			s.kind = e
			s.i.Account, s.i.Service = d.importSource(e)
		}},
		{"prefix", str(func(s *importState) *string { return &s.i.Prefix })},
		{"to", str(func(s *importState) *string { return &s.i.To })},
		{"share", boolean(func(s *importState) *bool { return &s.i.Share })},
		{"allow_trace", func(d *decoder, s *importState, e *conf.Entry) {
			s.trace = e
			if b, ok := d.boolean(e); ok {
				s.i.AllowTrace = b
			}
		}},
	}...)
}

// importSource takes { account, subject }.
func (d *decoder) importSource(e *conf.Entry) (account, subj string) {
	if e.Value.Kind != conf.Map {
		d.errorf(e.Pos, "Expected an account and a subject, got %s", describe(e.Value))
		return "", ""
	}
	var src struct{ account, subject string }
	importSourceBlock.decode(d, (*importSource)(&src), e.Value.Map)
	switch {
	case src.account == "" || src.subject == "":
		pos := e.Pos
		if len(e.Value.Map.Entries) > 0 {
			pos = e.Value.Map.Entries[0].Pos
		}
		d.errorf(pos, "Expect an account name and a subject")
	case !subject.Valid(src.subject):
		d.errorf(e.Pos, "subject %q is not a valid subject", src.subject)
	}
	return src.account, src.subject
}

type importSource struct{ account, subject string }

var importSourceBlock = newBlock(unknownField,
	key[importSource]{"account", str(func(s *importSource) *string { return &s.account })},
	key[importSource]{"subject", str(func(s *importSource) *string { return &s.subject })},
)

// checkImports checks that accounts named by others exist.
func (d *decoder) checkImports(o *Options) {
	known := func(name string) bool {
		return name == globalAccount || slices.ContainsFunc(o.Accounts, func(a *Account) bool { return a.Name == name || a.Nkey == name })
	}
	missing := func(pos, name, what string) {
		d.errors = append(d.errors, &Problem{Pos: parsePlace(pos), Msg: quote(name) + " account not defined for " + what})
	}
	for _, a := range o.Accounts {
		for _, x := range a.Exports {
			for _, name := range x.Accounts {
				if !known(name) {
					missing(x.Pos, name, either(x.Stream, "stream", "service")+" export")
				}
			}
		}
		for _, x := range a.Imports {
			if x.Account != "" && !known(x.Account) {
				missing(x.Pos, x.Account, either(x.Stream, "stream", "service")+" import")
			}
		}
	}
}

func either(value, ifSet, ifEmpty string) string {
	if value != "" {
		return ifSet
	}
	return ifEmpty
}
