package monitor

import (
	"time"

	"ramjet/engine/account"
	"ramjet/proto/sysapi"
)

// exports lists what an account exports, streams first.
func exports(x *account.Exchange) (list []sysapi.AccountExport) {
	add := func(e *account.Export, kind string) {
		v := sysapi.AccountExport{
			Subject: e.Subject, Type: kind, TokenReq: e.TokenRequired(), TokenPosition: e.TokenPosition(),
			AllowTrace: e.AllowTrace, Approved: e.Approved(), Latency: latency(e.Latency),
		}
		if kind == "service" {
			v.ResponseType, v.Threshold = e.Response.String(), e.Threshold
		}
		for who, at := range e.RevokedActivations() {
			if v.Revoked == nil {
				v.Revoked = make(map[string]time.Time)
			}
			v.Revoked[who] = time.Unix(at, 0)
		}
		list = append(list, v)
	}
	for _, e := range x.StreamExports {
		add(e, "stream")
	}
	for _, e := range x.ServiceExports {
		add(e, "service")
	}
	return list
}

// imports lists what an account imports, streams first. now in unix nanoseconds.
func imports(x *account.Exchange, now int64) (list []sysapi.AccountImport) {
	for _, i := range x.StreamImports {
		list = append(list, sysapi.AccountImport{
			Subject: i.Source, Account: i.From.Name(), LocalSubject: i.Local, Type: "stream",
			AllowTrace: i.AllowTrace, Invalid: !i.Valid(now),
		})
	}
	for _, i := range x.ServiceImports {
		list = append(list, sysapi.AccountImport{
			Subject: i.Target, Account: i.From.Name(), To: i.Local, LocalSubject: i.Local, Type: "service",
			Share: i.Share, Invalid: !i.Valid(now), Latency: latency(i.Export.Latency),
		})
	}
	return list
}

func latency(l *account.Latency) *sysapi.LatencySettings {
	if l == nil {
		return nil
	}
	v := &sysapi.LatencySettings{Sampling: l.Sampling, Results: l.Subject}
	if l.Sampling == 0 {
		v.Sampling = "headers"
	}
	return v
}
