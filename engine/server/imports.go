package server

import (
	"crypto/sha256"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/dispatch"
)

// joinAccounts connects what accounts, routing and authentication need to reach other accounts. Control,
// before Start.
func (s *Server) joinAccounts() {
	s.auth.Load().UseCallouts(s.callouts())
	s.accounts.UseHooks(account.Hooks{Clock: s.clk, Lost: s.router.Lost})
	h := dispatch.Hooks{
		Clock: s.clk, Server: s.Name, Measured: s.sysacc.Measured, ReplySuffix: "." + shortName(s.Name()) + ".T",
		Find: func(id uint64) dispatch.Asker {
			if c := s.registry.Get(id); c != nil {
				return c
			}
			return nil
		},
		Crossed: func(a *account.Account, to []byte, m *engine.Msg) {
			if s.mqtt != nil {
				s.mqtt.Crossed(a, to, m.Header, m.Payload)
			}
		},
	}
	if hasGateway(s.opts.Load()) {
		h.Routed = s.routed
	}
	s.router.UseHooks(h)
}

// shortName returns the eight characters that name a server in subjects: a hash of its name
// (reference/interserver.md).
func shortName(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	h := sha256.Sum256([]byte(name))
	b := h[:8]
	for i := range b {
		b[i] = digits[b[i]%byte(len(digits))]
	}
	return string(b)
}
