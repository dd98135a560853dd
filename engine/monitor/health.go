package monitor

import (
	"net/http"
	"strings"

	"ramjet/proto/sysapi"
)

// healthz is nats-server's one answer for everything. livez and readyz say apart what an orchestrator needs to know:
// restart me, or do not send clients.
func (s *Server) healthz(q *params) (any, error) {
	h := s.Healthz(&sysapi.HealthzOptions{
		Details: q.bool("details"), JSEnabledOnly: q.bool("js-enabled-only"), JSEnabled: q.bool("js-enabled"),
		JSServerOnly: q.bool("js-server-only"), JSMetaOnly: q.bool("js-meta-only"),
		Account: q.string("account"), Stream: q.string("stream"), Consumer: q.string("consumer"),
	})
	code := h.StatusCode
	h.StatusCode = 0 // HTTP has its own
	return coded{code, h}, nil
}

// healthBuilder collects what is wrong.
type healthBuilder struct {
	details bool
	h       sysapi.Health
}

// fail notes e; the first one decides about the status.
func (b *healthBuilder) fail(code int, e sysapi.HealthError) {
	if b.h.StatusCode == 0 {
		b.h.StatusCode = code
	}
	switch {
	case b.details:
		b.h.Status = "error"
		b.h.Errors = append(b.h.Errors, e)
	case b.h.Error == "":
		b.h.Status, b.h.Error = "unavailable", e.Error
		if code == http.StatusBadRequest {
			b.h.Status = "error"
		}
	}
}

// Healthz says whether the server, or what o names, is well. StatusCode is always set.
func (s *Server) Healthz(o *sysapi.HealthzOptions) *sysapi.Health {
	b := &healthBuilder{details: o.Details}
	switch {
	case o.Account == "" && o.Stream != "":
		b.fail(http.StatusBadRequest, sysapi.HealthError{Type: "BAD_REQUEST", Error: `"account" must not be empty when checking stream health`})
	case o.Stream == "" && o.Consumer != "":
		b.fail(http.StatusBadRequest, sysapi.HealthError{Type: "BAD_REQUEST", Error: `"stream" must not be empty when checking consumer health`})
	default:
		if ok, reasons := s.src.Ready(); !ok {
			b.fail(http.StatusServiceUnavailable, sysapi.HealthError{Type: "CONNECTION", Error: strings.Join(reasons, "; ")})
			break
		}
		s.jetStreamHealth(o, b)
	}
	if b.h.StatusCode == 0 {
		return &sysapi.Health{StatusCode: http.StatusOK, Status: "ok"}
	}
	return &b.h
}

// Probe is the answer of /livez and /readyz.
type Probe struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

// livez answers as long as the process can: what it reports never asks for a restart.
func (s *Server) livez(*params) (any, error) { return &Probe{Status: "ok"}, nil }

// readyz says whether new clients should be sent here, and why not.
func (s *Server) readyz(*params) (any, error) {
	if ok, reasons := s.src.Ready(); !ok {
		return coded{http.StatusServiceUnavailable, &Probe{Status: "unavailable", Reasons: reasons}}, nil
	}
	return &Probe{Status: "ok"}, nil
}
