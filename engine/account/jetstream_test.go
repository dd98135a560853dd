package account

import (
	"fmt"
	"testing"

	"github.com/nats-io/jwt/v2"

	"ramjet/engine/config"
)

// js returns the limits of an account as text.
func js(r *Registry, name string) string {
	a := r.Lookup(name)
	if a == nil {
		return "no account"
	}
	j := a.Snap().JetStream
	switch {
	case j == nil:
		return "off"
	case j.Flat != nil:
		return fmt.Sprint(j.Flat.MaxMemory, j.Flat.MaxStore, j.Flat.MaxStreams, j.Flat.MaxConsumers, j.Flat.MaxAckPending)
	}
	s := ""
	for _, t := range []string{"R1", "R3"} {
		if l, ok := j.Tiers[t]; ok {
			s += fmt.Sprint(t, l.MaxMemory, l.MaxStore, l.MaxStreams, " ")
		}
	}
	return s
}

func TestJetStreamOfAccounts(t *testing.T) {
	on := &config.AccountJetStream{Enabled: true}
	some := &config.AccountJetStream{Enabled: true, MaxMemory: 0, MaxStore: 100, MaxStreams: 3, MaxConsumers: 0, MaxAckPending: -1}
	for _, c := range []struct {
		o    config.Options
		want map[string]string
	}{
		{config.Options{}, map[string]string{Global: "-1 -1 -1 -1 -1", System: "off"}},
		{config.Options{SystemAccount: "S", Accounts: []*config.Account{{Name: "S", JetStream: on}}},
			map[string]string{Global: "-1 -1 -1 -1 -1", "S": "off"}},
		{config.Options{Accounts: []*config.Account{{Name: "A"}, {Name: "B", JetStream: on}, {Name: "C", JetStream: some}, {Name: "D", JetStream: &config.AccountJetStream{}}}},
			map[string]string{Global: "off", "A": "off", "B": "-1 -1 -1 -1 -1", "C": "0 100 3 -1 -1", "D": "off"}},
	} {
		r, err := NewRegistry(&c.o)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range c.want {
			if got := js(r, name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

func TestJetStreamOfClaims(t *testing.T) {
	var l jwt.OperatorLimits
	if claimsJS(&l) != nil {
		t.Error("on without limits")
	}
	l.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: 7, Streams: -1}
	if j := claimsJS(&l); j == nil || j.Flat.MaxStore != 7 || j.Flat.MaxMemory != 0 || j.Flat.MaxStreams != -1 || j.Flat.DiskMaxStreamBytes != -1 {
		t.Errorf("%+v", j)
	}
	l = jwt.OperatorLimits{JetStreamTieredLimits: jwt.JetStreamTieredLimits{"R1": {DiskStorage: 5, Streams: 2}, "R3": {MemoryStorage: -1}}}
	j := claimsJS(&l)
	if j == nil || j.Flat != nil || len(j.Tiers) != 2 || j.Tiers["R1"].MaxStreams != 2 || j.Tiers["R3"].MaxMemory != -1 || j.Tiers["R3"].MaxStore != 0 {
		t.Errorf("%+v", j)
	}
}
