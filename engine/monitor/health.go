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

// Healthz says whether the server, or what o names, is well. StatusCode is always set.
func (s *Server) Healthz(o *sysapi.HealthzOptions) *sysapi.Health {
	fail := func(code int, kind, text string) *sysapi.Health {
		if !o.Details {
			return &sysapi.Health{StatusCode: code, Status: status(code), Error: text}
		}
		return &sysapi.Health{StatusCode: code, Status: "error", Errors: []sysapi.HealthError{
			{Type: kind, Account: o.Account, Stream: o.Stream, Consumer: o.Consumer, Error: text}}}
	}
	switch {
	case o.Account == "" && o.Stream != "":
		return fail(http.StatusBadRequest, "BAD_REQUEST", `account must not be empty when checking stream`)
	case o.Stream == "" && o.Consumer != "":
		return fail(http.StatusBadRequest, "BAD_REQUEST", `stream must not be empty when checking consumer`)
	}
	if ok, reasons := s.src.Ready(); !ok {
		return fail(http.StatusServiceUnavailable, "CONNECTION", strings.Join(reasons, "; "))
	}
	return &sysapi.Health{StatusCode: http.StatusOK, Status: "ok"}
}

func status(code int) string {
	if code == http.StatusServiceUnavailable {
		return "unavailable"
	}
	return "error"
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
