package account

import (
	"errors"
	"slices"
	"strings"
	"time"

	"ramjet/proto/subject"
)

// Exchange is what an account gives to others and takes from them: its exports and imports, compiled.
// Immutable.
type Exchange struct {
	StreamExports, ServiceExports []*Export
	StreamImports                 []*StreamImport
	ServiceImports                []*ServiceImport
}

// Calls reports that every subject of pattern is a service that x imports. A nil x imports nothing.
func (x *Exchange) Calls(pattern string) bool {
	return x != nil && slices.ContainsFunc(x.ServiceImports, func(i *ServiceImport) bool { return subject.IsSubset(pattern, i.Local) })
}

// Response says how many answers a service gives to one request.
type Response uint8

// The response types.
const (
	Singleton Response = iota
	Streamed
	Chunked
)

// String returns the name used in JWTs and monitoring.
func (r Response) String() string { return [...]string{"Singleton", "Stream", "Chunked"}[r] }

// DefaultThreshold is how long a service may take to answer, and a streamed or chunked one between two
// answers, when the export does not say (reference/auth.md, section 3.1).
const DefaultThreshold = 2 * time.Minute

// Export is a stream or service that other accounts may import. Immutable.
type Export struct {
	Account *Account
	Subject string

	// Of a service.
	Response   Response
	Threshold  time.Duration
	Latency    *Latency // nil: not measured
	AllowTrace bool

	approved map[string]bool // names of those who may import
	token    bool            // an activation token is needed
	position int             // token of the subject, from 1, that must be the importing account; 0 = none
	revoked  map[string]int64
}

// Latency says how the answers of a service are measured.
type Latency struct {
	Subject string
	// Sampling is the percentage of requests that is measured; 0: those whose header asks for it.
	Sampling int
}

// public reports that everybody may import.
func (e *Export) public() bool { return len(e.approved) == 0 && !e.token && e.position == 0 }

// Approved returns the names of the accounts that may import, nil for everybody. Any goroutine.
func (e *Export) Approved() []string {
	var names []string
	for n := range e.approved {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// TokenRequired reports that importing needs an activation token. Any goroutine.
func (e *Export) TokenRequired() bool { return e.token }

// TokenPosition returns which token of the subject must be the importing account, 0 = none.
func (e *Export) TokenPosition() int { return e.position }

// RevokedActivations returns until when activations of an account are revoked; `*` is all. Not to be
// modified. Any goroutine.
func (e *Export) RevokedActivations() map[string]int64 { return e.revoked }

// StreamImport makes messages of another account visible in this one. Immutable.
type StreamImport struct {
	From *Account
	// Source is the subject in From, Local the one here.
	Source, Local string
	AllowTrace    bool
	validity

	local []byte
	same  bool               // the subject stays as it is
	there *subject.Transform // Source -> Local; nil when same, or when both are literal
	back  *subject.Transform // Local -> Source
}

// Map returns the subject here of a message that matched Source there. scratch is memory that may be
// used; in is borrowed, and so is the result. No allocation when scratch has room.
func (i *StreamImport) Map(scratch, in []byte) []byte {
	switch {
	case i.same:
		return in
	case i.there == nil:
		return i.local
	}
	return i.there.Apply(scratch[:0], subject.View(in), 0)
}

// shadow returns the subject in From that a subscription here to pattern needs; ok is false when it has
// nothing to do with this import.
func (i *StreamImport) shadow(pattern string) (there string, ok bool) {
	both, ok := subject.Intersect(pattern, i.Local)
	switch {
	case !ok:
		return "", false
	case both == i.Local:
		return i.Source, true
	case i.same:
		return both, true
	case i.back == nil:
		return i.Source, true
	}
	return string(i.back.Apply(nil, both, 0)), true
}

// ServiceImport takes requests of this account to a service of another one. Immutable.
type ServiceImport struct {
	Owner, From *Account
	// Local is the subject here, Target the one in From.
	Local, Target string
	Share         bool // tell the service who asks
	Export        *Export
	validity

	target []byte
	same   bool
	there  *subject.Transform // Local -> Target; nil when same, or when Target is literal
}

// Map returns the subject in From of a request to in, which matches Local; see StreamImport.Map.
func (i *ServiceImport) Map(scratch, in []byte) []byte {
	switch {
	case i.same:
		return in
	case i.there == nil:
		return i.target
	}
	return i.there.Apply(scratch[:0], subject.View(in), 0)
}

// validity is how long an import may be used.
type validity struct {
	invalid bool
	expires int64 // unix nanoseconds when its activation ends, 0 = never
}

// Valid reports whether the import may be used now (unix nanoseconds).
func (v *validity) Valid(now int64) bool { return !v.invalid && (v.expires == 0 || now < v.expires) }

// Expires reports whether Valid depends on the time.
func (v *validity) Expires() bool { return v.expires != 0 }

// The mistakes in exports and imports; the texts are those of nats-server.
var (
	errStreamNotAuthorized  = errors.New("stream import not authorized")
	errStreamPrefix         = errors.New("stream import prefix can not contain wildcard tokens")
	errStreamDuplicate      = errors.New("stream import already exists")
	errServiceNotAuthorized = errors.New("service import not authorized")
	errCycle                = errors.New("import forms a cycle")
	errCycleDepth           = errors.New("search cycle depth exhausted")
	errPublishSubject       = errors.New("invalid publish subject")
	errServiceType          = errors.New("bad service response type")
	errSampling             = errors.New("bad sampling percentage, should be 1-100")
	errNoSystemAccount      = errors.New("system account not setup")
)

// find returns the export that an import of subj is about: the one of that very subject, else the first
// that it is a part of. exact tells which.
func find(exports []*Export, subj string) (e *Export, exact bool) {
	for _, x := range exports {
		if x.Subject == subj {
			return x, true
		}
	}
	for _, x := range exports {
		if subject.IsSubset(subj, x.Subject) {
			return x, false
		}
	}
	return nil, false
}

// grants reports whether importer may import subj, which e covers, with claim (nil = none), and until
// when.
func (e *Export) grants(importer *Account, subj string, exact bool, claim *activation) (v validity, ok bool) {
	switch {
	case e.public():
		return validity{}, true
	case e.position > 0:
		toks := strings.Split(subj, ".")
		return validity{}, !exact && e.position <= len(toks) && toks[e.position-1] == importer.Name()
	case e.token:
		return claim.check(e, importer)
	}
	return validity{}, e.approved[importer.Name()]
}
