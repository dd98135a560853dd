package sysacc

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"time"

	"ramjet/proto/sysapi"
)

const maxProfile = 15 * time.Second

// profile takes a profile of the process. It may last as long as o says.
func (s *Service) profile(o *sysapi.ProfilezOptions) (*sysapi.Profilez, error) {
	fail := func(format string, args ...any) (*sysapi.Profilez, error) {
		return &sysapi.Profilez{Error: fmt.Sprintf(format, args...)}, nil
	}
	var b bytes.Buffer
	switch o.Name {
	case "":
		return fail("Profile name not specified")
	case "cpu":
		if o.Duration <= 0 || o.Duration > maxProfile {
			return fail("Duration %s should be between 0s and 15s", o.Duration)
		}
		if err := pprof.StartCPUProfile(&b); err != nil {
			return fail("Failed to start CPU profile: %s", err)
		}
		over := make(chan struct{})
		s.p.Clock.AfterFunc(o.Duration, func() { close(over) })
		<-over
		pprof.StopCPUProfile()
	default:
		p := pprof.Lookup(o.Name)
		if p == nil {
			return fail("Profile %q not found", o.Name)
		}
		if err := p.WriteTo(&b, o.Debug); err != nil {
			return fail("Profile %q error: %s", o.Name, err)
		}
	}
	return &sysapi.Profilez{Profile: b.Bytes()}, nil
}
