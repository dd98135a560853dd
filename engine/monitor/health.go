package monitor

import (
	"net/http"
	"strings"

	"ramjet/proto/sysapi"
)

// healthz is nats-server's one answer for everything. livez and readyz say apart what an orchestrator needs to know:
// restart me, or do not send clients.
func (s *Server) healthz(q *params) (any, error) {
	details := q.bool("details")
	q.bool("js-enabled-only")
	q.bool("js-enabled")
	q.bool("js-server-only")
	q.bool("js-meta-only")
	acc, stream, consumer := q.string("account"), q.string("stream"), q.string("consumer")
	fail := func(code int, kind, text string) (any, error) {
		if !details {
			return coded{code, &sysapi.Health{Status: status(code), Error: text}}, nil
		}
		return coded{code, &sysapi.Health{Status: "error", Errors: []sysapi.HealthError{{Type: kind, Account: acc, Stream: stream, Consumer: consumer, Error: text}}}}, nil
	}
	switch {
	case acc == "" && stream != "":
		return fail(http.StatusBadRequest, "BAD_REQUEST", `account must not be empty when checking stream`)
	case stream == "" && consumer != "":
		return fail(http.StatusBadRequest, "BAD_REQUEST", `stream must not be empty when checking consumer`)
	}
	if ok, reasons := s.src.Ready(); !ok {
		return fail(http.StatusServiceUnavailable, "CONNECTION", strings.Join(reasons, "; "))
	}
	return &sysapi.Health{Status: "ok"}, nil
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
