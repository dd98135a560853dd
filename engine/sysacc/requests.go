package sysacc

import (
	"encoding/json"
	"errors"
	"expvar"
	"net/http"
	"strings"

	"ramjet/engine"
	"ramjet/proto/sysapi"
)

var (
	errSilent   = errors.New("not answered")
	errTooLarge = errors.New("request body too large")
	errBusy     = errors.New("too many requests of this kind under way")
)

// badBody is an error of the request's body: 400.
type badBody struct{ error }

// decode decodes the body of r into o; an empty body leaves o as it is.
func (r *request) decode(o any) error {
	if r.tooLarge {
		return badBody{errTooLarge}
	}
	if len(r.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.body, o); err != nil {
		return badBody{err}
	}
	return nil
}

// filtered decodes the filter of r; errSilent when this server is not meant.
func (s *Service) filtered(r *request) error {
	var f sysapi.Filter
	if err := r.decode(&f); err != nil {
		return err
	}
	if !s.meant(&f) {
		return errSilent
	}
	return nil
}

// meant reports whether f selects this server.
func (s *Service) meant(f *sysapi.Filter) bool {
	o := s.p.Options()
	fits := strings.Contains
	if f.Exact {
		fits = func(have, want string) bool { return want == "" || have == want }
	}
	if !fits(s.p.Name(), f.Name) || !fits(o.Host, f.Host) || !fits(s.cluster(), f.Cluster) || !fits(s.domain(), f.Domain) {
		return false
	}
	for _, want := range f.Tags {
		if !hasTag(o.ServerTags, want) {
			return false
		}
	}
	return true
}

func hasTag(tags []string, want string) bool {
	want = strings.TrimSpace(want)
	for _, t := range tags {
		if strings.EqualFold(t, want) {
			return true
		}
	}
	return false
}

// answer sends data or err in the envelope.
func (s *Service) answer(w *worker, r *request, data any, err error) {
	if r.reply == "" || errors.Is(err, errSilent) {
		return
	}
	a := sysapi.Response{Server: *s.serverInfo(), Data: data}
	if err != nil {
		code := http.StatusInternalServerError
		if errors.As(err, new(badBody)) {
			code, a.Data = http.StatusBadRequest, nil
		}
		a.Error = &sysapi.Error{Code: code, Description: err.Error()}
	}
	s.sendIn(w, r.in, r.reply, "", r.accept, &a)
}

// page is what computes an answer from a request. The request worker.
type page func(r *request) (any, error)

// optioned is a page with JSON options of type O.
func optioned[O, R any](fn func(r *request, o *O) (*R, error)) page {
	return func(r *request) (any, error) {
		var o O
		if err := r.decode(&o); err != nil {
			return nil, err
		}
		return fn(r, &o)
	}
}

// plainPage drops the request, which most pages have no use for.
func plainPage[O, R any](fn func(*O) (*R, error)) page {
	return optioned(func(_ *request, o *O) (*R, error) { return fn(o) })
}

// serverPage answers a request for page x of the server.
func (s *Service) serverPage(x string) handler {
	p := s.serverPageFunc(x)
	if x == "PROFILEZ" {
		return s.slow(p)
	}
	return func(w *worker, r *request) {
		if r.reply == "" {
			return
		}
		if err := s.filtered(r); err != nil {
			s.answer(w, r, nil, err)
			return
		}
		data, err := p(r)
		s.answer(w, r, data, err)
	}
}

func (s *Service) serverPageFunc(x string) page {
	p := s.p.Pages
	switch x {
	case "VARZ":
		return func(*request) (any, error) { return p.Varz() }
	case "SUBSZ":
		return plainPage(p.Subsz)
	case "CONNZ":
		return plainPage(p.Connz)
	case "ROUTEZ":
		return plainPage(p.Routez)
	case "GATEWAYZ":
		return plainPage(p.Gatewayz)
	case "LEAFZ":
		return plainPage(p.Leafz)
	case "ACCOUNTZ":
		return plainPage(p.Accountz)
	case "JSZ":
		return plainPage(p.Jsz)
	case "HEALTHZ":
		return plainPage(func(o *sysapi.HealthzOptions) (*sysapi.Health, error) { return p.Healthz(o), nil })
	case "PROFILEZ":
		return plainPage(s.profile)
	case "EXPVARZ":
		return func(*request) (any, error) { return expvarz(), nil }
	case "IPQUEUESZ":
		return plainPage(s.queues)
	case "RAFTZ":
		return plainPage(func(*sysapi.RaftzOptions) (*struct{}, error) { return &struct{}{}, nil })
	}
	panic("sysacc: no page " + x)
}

func expvarz() *sysapi.Expvarz {
	v := &sysapi.Expvarz{}
	if m := expvar.Get("memstats"); m != nil {
		v.Memstats = sysapi.RawJSON(m.String())
	}
	if c := expvar.Get("cmdline"); c != nil {
		v.Cmdline = sysapi.RawJSON(c.String())
	}
	return v
}

// queues reports the service's own queues.
func (s *Service) queues(o *sysapi.IPQueueszOptions) (*map[string]sysapi.IPQueue, error) {
	m := map[string]sysapi.IPQueue{}
	for name, w := range map[string]*worker{"System recvQ": s.requests, "System sendQ": s.events} {
		q := sysapi.IPQueue{Pending: w.q.Len(), InProgress: int(w.busy.Load())}
		switch {
		case o.Filter != "" && !strings.Contains(name, o.Filter):
		case o.All || q.Pending > 0 || q.InProgress > 0:
			m[name] = q
		}
	}
	return &m, nil
}

// maxBeside is how many slow requests run at once.
const maxBeside = 4

// slow answers requests beside the worker.
func (s *Service) slow(p page) handler {
	return func(w *worker, r *request) {
		if err := s.filtered(r); err != nil {
			s.answer(w, r, nil, err)
			return
		}
		select {
		case s.beside <- struct{}{}:
		default:
			s.answer(w, r, nil, errBusy)
			return
		}
		go func() {
			data, err := p(r)
			<-s.beside
			w.push(func(w *worker) { s.answer(w, r, data, err) })
		}()
	}
}

// idz answers with the identity, whatever the body says.
func (s *Service) idz(w *worker, r *request) {
	if r.reply != "" {
		v := &sysapi.ServerID{Name: s.p.Name(), Host: s.p.Options().Host, ID: s.p.ID}
		s.sendIn(w, r.in, r.reply, "", r.accept, v)
	}
}

// reload reads the configuration again.
func (s *Service) reload(w *worker, r *request) {
	s.slow(func(*request) (any, error) { return nil, s.p.Reload() })(w, r)
}

// kick closes a connection.
func (s *Service) kick(w *worker, r *request) {
	s.onConn(w, r, s.p.Kick, "no such client or leafnode id")
}

// lameDuck sends one client away.
func (s *Service) lameDuck(w *worker, r *request) { s.onConn(w, r, s.p.LameDuck, "no such client id") }

// onConn does something to the connection that r names. Without a body that can be read there is no
// answer, as with nats-server.
func (s *Service) onConn(w *worker, r *request, do func(cid uint64) bool, missing string) {
	var o sysapi.ConnRequest
	err := r.decode(&o)
	if err == nil && len(r.body) == 0 {
		err = errors.New("empty body")
	}
	if err != nil {
		s.p.Logger.Logf(engine.Error, "RJ-Y003", "System account: request %q: %v", r.subject, err)
		return
	}
	if err := s.filtered(r); err != nil {
		s.answer(w, r, nil, err)
		return
	}
	if !do(o.CID) {
		s.answer(w, r, nil, errors.New(missing))
		return
	}
	s.answer(w, r, nil, nil)
}
