package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/config"
	"ramjet/proto/subject"
)

// maxCycleDepth bounds the search for cycles of imports.
const maxCycleDepth = 1024

// of returns what is built of a's exchange so far.
func (b *builder) of(a *Account) *Exchange {
	x := b.exchanges[a]
	if x == nil {
		x = &Exchange{}
		b.exchanges[a] = x
	}
	return x
}

// exchange builds the exports and imports of all accounts: first every export, because an import is
// checked against it. Mistakes in the configuration are all reported; those in JWTs leave the import
// out, with a warning.
func (b *builder) exchange(opts *config.Options) error {
	l := &config.ErrorList{}
	fail := func(pos, format string, args ...any) {
		l.Problems = append(l.Problems, config.At(pos, fmt.Sprintf(format, args...)))
	}
	b.configExports(opts, fail)
	for _, a := range b.next.live {
		if c := b.snaps[a].Claims; c != nil {
			b.claimExports(a, c)
		}
	}
	b.systemExports()
	b.configImports(opts, fail)
	for _, a := range b.next.live {
		if c := b.snaps[a].Claims; c != nil {
			b.claimImports(a, c)
		}
	}
	if len(l.Problems) > 0 {
		return l
	}
	for a, x := range b.exchanges {
		b.snaps[a].Exchange = x
	}
	return nil
}

func (b *builder) configExports(opts *config.Options, fail func(pos, format string, args ...any)) {
	for _, service := range [...]bool{false, true} {
		for _, c := range opts.Accounts {
			a := b.next.byName[c.Name]
			for _, x := range c.Exports {
				if (x.Service != "") != service {
					continue
				}
				if !service {
					if _, err := b.addExport(a, false, x.Stream, x.Accounts, x.TokenPosition); err != nil {
						fail(x.Pos, "Error adding stream export %q: %v", x.Stream, err)
					}
					continue
				}
				e, err := b.addExport(a, true, x.Service, x.Accounts, x.TokenPosition)
				if err != nil {
					fail(x.Pos, "Error adding service export %q: %v", x.Service, err)
					continue
				}
				switch x.ResponseType {
				case "stream":
					e.Response = Streamed
				case "chunked":
					e.Response = Chunked
				}
				if x.Threshold != 0 {
					e.Threshold = x.Threshold
				}
				e.AllowTrace = x.AllowTrace
				if x.LatencySubject == "" {
					continue
				}
				if systemName(opts) == "" {
					fail(x.Pos, "Error adding service latency sampling for %q: %v", x.Service, errNoSystemAccount)
				} else if err := b.measure(e, x.LatencySubject, x.LatencySampling); err != nil {
					fail(x.Pos, "Error adding service latency sampling for %q on subject %q: %v", x.Service, x.LatencySubject, err)
				}
			}
		}
	}
}

// addExport adds an export of a. A second one of the same subject adds to the first.
func (b *builder) addExport(a *Account, service bool, subj string, accounts []string, position int) (*Export, error) {
	if position > 0 {
		if toks := strings.Split(subj, "."); len(toks) < position || toks[position-1] != "*" {
			return nil, subject.ErrInvalid
		}
	}
	x := b.of(a)
	list := &x.StreamExports
	if service {
		list = &x.ServiceExports
	}
	e, exact := find(*list, subj)
	if !exact {
		e = &Export{Account: a, Subject: subj, Threshold: DefaultThreshold}
		*list = append(*list, e)
	}
	if position > 0 {
		e.position = position
	}
	for _, name := range accounts {
		if e.approved == nil {
			e.approved = make(map[string]bool, len(accounts))
		}
		e.approved[name] = true
	}
	return e, nil
}

// measure turns latency measurement of a service on.
func (b *builder) measure(e *Export, results string, sampling int) error {
	if sampling < 0 || sampling > 100 {
		return errSampling
	}
	if !subject.ValidLiteral(results) {
		return errPublishSubject
	}
	if loop, _ := find(b.of(e.Account).ServiceExports, results); loop != nil {
		return errPublishSubject // the results would be requests
	}
	if e.Response != Singleton {
		return errServiceType
	}
	e.Latency = &Latency{Subject: results, Sampling: sampling}
	return nil
}

// claimExports adds what the JWT of a exports.
func (b *builder) claimExports(a *Account, c *Claims) {
	for _, x := range c.exports {
		e, err := b.addExport(a, x.Type == jwt.Service, string(x.Subject), nil, int(x.AccountTokenPosition))
		if err != nil {
			b.warn("export %q of account %q ignored: %v", x.Subject, a.Name(), err)
			continue
		}
		e.token, e.revoked = x.TokenReq, x.Revocations
		if x.Type != jwt.Service {
			continue
		}
		switch x.ResponseType {
		case jwt.ResponseTypeStream:
			e.Response = Streamed
		case jwt.ResponseTypeChunked:
			e.Response = Chunked
		}
		if x.ResponseThreshold > 0 {
			e.Threshold = x.ResponseThreshold
		}
		e.AllowTrace = x.AllowTrace
		if x.Latency != nil {
			if err := b.measure(e, string(x.Latency.Results), int(x.Latency.Sampling)); err != nil {
				b.warn("latency of export %q of account %q is not measured: %v", x.Subject, a.Name(), err)
			}
		}
	}
}

// systemExports adds what every account may import from the system account, unless it is exported
// already.
func (b *builder) systemExports() {
	a := b.next.system
	if a == nil {
		return
	}
	for _, x := range [...]struct {
		subj     string
		position int
		response Response
	}{
		{"$SYS.REQ.ACCOUNT.*.CONNZ", 4, Streamed},
		{"$SYS.REQ.ACCOUNT.*.STATZ", 4, Streamed},
		{"$SYS.DEBUG.SUBSCRIBERS", 0, Singleton},
		{"$SYS.REQ.USER.INFO", 0, Singleton},
	} {
		if have, _ := find(b.of(a).ServiceExports, x.subj); have != nil {
			continue
		}
		if e, err := b.addExport(a, true, x.subj, nil, x.position); err == nil {
			e.Response = x.response
		}
	}
}

func (b *builder) configImports(opts *config.Options, fail func(pos, format string, args ...any)) {
	for _, service := range [...]bool{false, true} {
		for _, c := range opts.Accounts {
			a := b.next.byName[c.Name]
			for _, x := range c.Imports {
				if (x.Service != "") != service {
					continue
				}
				from := b.next.byName[x.Account]
				switch {
				case from == nil && service:
					fail(x.Pos, "%q account not defined for service import", x.Account)
				case from == nil:
					fail(x.Pos, "%q account not defined for stream import", x.Account)
				case service:
					if _, err := b.addServiceImport(a, from, x.To, x.Service, x.Share, nil); err != nil {
						fail(x.Pos, "Error adding service import %q: %v", x.Service, err)
					}
				default:
					if err := b.addStreamImport(a, from, x.Stream, x.Prefix, x.To, x.AllowTrace, nil); err != nil {
						fail(x.Pos, "Error adding stream import %q: %v", x.Stream, err)
					}
				}
			}
		}
	}
}

// claimImports adds what the JWT of a imports.
func (b *builder) claimImports(a *Account, c *Claims) {
	for _, x := range c.imports {
		from := b.next.byName[x.Account]
		if from == nil {
			b.incomplete(a)
			b.warn("Can't locate account [%s] for import of [%v] %s", x.Account, x.Subject, x.Type)
			continue
		}
		act := &activation{claim: x, clock: b.hooks.Clock, exports: b.snaps[from].Claims}
		var err error
		switch local := string(x.LocalSubject); {
		case x.Type == jwt.Stream && local != "":
			err = b.addStreamImport(a, from, string(x.Subject), "", local, x.AllowTrace, act)
		case x.Type == jwt.Stream:
			err = b.addStreamImport(a, from, string(x.Subject), x.GetTo(), "", x.AllowTrace, act)
		case local != "":
			_, err = b.addServiceImport(a, from, local, string(x.Subject), x.Share, act)
		default:
			_, err = b.addServiceImport(a, from, string(x.Subject), x.GetTo(), x.Share, act)
		}
		if err != nil {
			b.incomplete(a)
			b.warn("import of %s %q into account %q ignored: %v", x.Type, x.Subject, a.Name(), err)
		}
	}
}

func (b *builder) incomplete(a *Account) { b.snaps[a].Incomplete++ }

// addStreamImport adds an import of the stream source of from. prefix, or else to, says where it is
// seen here.
func (b *builder) addStreamImport(a, from *Account, source, prefix, to string, trace bool, act *activation) error {
	e, exact := find(b.of(from).StreamExports, source)
	if e == nil || !subject.Valid(source) {
		return errStreamNotAuthorized
	}
	valid, ok := e.grants(a, source, exact, act)
	if !ok {
		return errStreamNotAuthorized
	}
	if prefix != "" {
		if subject.HasWildcard(prefix) {
			return errStreamPrefix
		}
		to = strings.TrimSuffix(prefix, ".") + "." + source
	}
	if to == "" {
		to = source
	}
	for _, s := range [...]string{to, source} {
		if err := b.streamCycle(from, subject.Unplaced(s), map[*Account]bool{a: true}); err != nil {
			return err
		}
	}
	i := &StreamImport{From: from, Source: source, Local: to, AllowTrace: trace, validity: valid}
	switch {
	case to == source && subject.HasWildcard(source):
		i.same = true
	case subject.HasWildcard(source):
		t, err := subject.NewImportTransform(source, subject.Placeholders(to))
		if err == nil {
			i.there, i.back = t, t.Reverse()
			if i.back == nil {
				err = subject.ErrBadSubject
			}
		}
		if err != nil {
			return fmt.Errorf("failed to create mapping transform for stream import subject from %q to %q: %w", source, to, err)
		}
		i.Local = subject.Unplaced(to)
	case !subject.Valid(to): // a wildcard is of use for messages that show another subject than they are sent to
		return subject.ErrInvalid
	}
	i.local = []byte(i.Local)
	x := b.of(a)
	if slices.ContainsFunc(x.StreamImports, func(o *StreamImport) bool { return o.From == from && o.Source == source }) {
		return errStreamDuplicate
	}
	x.StreamImports = append(x.StreamImports, i)
	return nil
}

// addServiceImport lets a call target in from as local ("" = the same subject).
func (b *builder) addServiceImport(a, from *Account, local, target string, share bool, act *activation) (*ServiceImport, error) {
	switch {
	case local == "":
		local = target
	case target == "":
		target = local
	}
	if !subject.Valid(local) || !subject.Valid(target) {
		return nil, subject.ErrInvalid
	}
	e, exact := find(b.of(from).ServiceExports, target)
	if e == nil {
		return nil, errServiceNotAuthorized
	}
	valid, ok := e.grants(a, target, exact, act)
	if !ok {
		return nil, errServiceNotAuthorized
	}
	called := local
	if subject.HasWildcard(target) {
		called = subject.Unplaced(local)
	}
	if err := b.serviceCycle(from, called, map[*Account]bool{a: true}); err != nil {
		return nil, err
	}
	x := b.of(a)
	i := &ServiceImport{Owner: a, From: from, Local: local, Target: target, Share: share, Export: e, validity: valid}
	if k := slices.IndexFunc(x.ServiceImports, func(o *ServiceImport) bool { return o.From == from && o.Local == local }); k >= 0 {
		return nil, fmt.Errorf("duplicate service import subject %q, previously used in import for account %q, subject %q",
			local, from.Name(), x.ServiceImports[k].Target)
	}
	if subject.HasWildcard(target) {
		if target == local {
			i.same = true
		} else {
			var err error
			i.Target = subject.Unplaced(target)
			if t, terr := subject.NewImportTransform(i.Target, subject.Placeholders(local)); terr != nil {
				err = terr
			} else if i.there = t.Reverse(); i.there == nil {
				err = errors.New("it cannot be reversed")
			}
			if err != nil {
				return nil, fmt.Errorf("failed to create mapping transform for service import subject from %q to %q: %w", local, target, err)
			}
			i.Local = subject.Unplaced(local)
		}
	}
	i.target = []byte(i.Target)
	x.ServiceImports = append(x.ServiceImports, i)
	return i, nil
}

// serviceCycle reports whether a request to subj in a comes, by imports, to an account in seen.
func (b *builder) serviceCycle(a *Account, subj string, seen map[*Account]bool) error {
	if len(seen) >= maxCycleDepth {
		return errCycleDepth
	}
	for _, i := range b.of(a).ServiceImports {
		if !subject.Collide(subj, i.Target) {
			continue
		}
		if seen[i.From] {
			return errCycle
		}
		seen[a] = true
		next := subj
		if subject.IsSubset(i.Local, subj) {
			next = i.Local
		}
		if err := b.serviceCycle(i.From, next, seen); err != nil {
			return err
		}
	}
	return nil
}

// streamCycle is the same for messages of streams.
func (b *builder) streamCycle(a *Account, subj string, seen map[*Account]bool) error {
	if len(seen) >= maxCycleDepth {
		return errCycleDepth
	}
	x := b.of(a)
	if e, _ := find(x.StreamExports, subj); e == nil {
		return nil
	}
	for _, i := range x.StreamImports {
		if !subject.Collide(subj, i.Local) {
			continue
		}
		if seen[i.From] {
			return errCycle
		}
		seen[a] = true
		next := subj
		if subject.IsSubset(i.Local, subj) {
			next = i.Local
		}
		if err := b.streamCycle(i.From, next, seen); err != nil {
			return err
		}
	}
	return nil
}
