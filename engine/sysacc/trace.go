package sysacc

import "ramjet/engine"

// verbose reports that what the server itself sends and receives is to be logged (trace_verbose). It
// also makes the server tell events that nobody subscribes to. Any goroutine.
func (s *Service) verbose() bool {
	return s.p.Options().Log.TraceVerbose && s.p.Logger.Enabled(engine.Trace)
}

// tracePub logs a message of the server in the form of a client's.
func (s *Service) tracePub(subject, reply string, hdr, payload []byte) {
	if !s.verbose() {
		return
	}
	if len(hdr) > 0 {
		s.p.Logger.Logf(engine.Trace, "", "SYSTEM - <<- [HPUB %s %s %d %d]", subject, reply, len(hdr), len(hdr)+len(payload))
	} else {
		s.p.Logger.Logf(engine.Trace, "", "SYSTEM - <<- [PUB %s %s %d]", subject, reply, len(payload))
	}
	s.tracePayload(payload)
}

func (s *Service) tracePayload(b []byte) {
	if n := s.p.Options().MaxTracedMsgLen; n > 0 && len(b) > n {
		s.p.Logger.Logf(engine.Trace, "", "SYSTEM - <<- MSG_PAYLOAD: [\"%s...\"]", b[:n])
		return
	}
	s.p.Logger.Logf(engine.Trace, "", "SYSTEM - <<- MSG_PAYLOAD: [%q]", b)
}
