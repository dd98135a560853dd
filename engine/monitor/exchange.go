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
			if v.ResponseType = e.Response.String(); e.Response == account.Streamed {
				v.ResponseType = "Streamed"
			}
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

// systemImports lists what every account imports of the system account called system without its configuration saying so. own: it is
// that account itself.
func systemImports(name, system string, own, jetStream bool) (list []sysapi.AccountImport) {
	add := func(subject, local string, share bool) {
		list = append(list, sysapi.AccountImport{Subject: subject, Account: system, To: local, LocalSubject: local, Type: "service", Share: share})
	}
	const account, user = "$SYS.REQ.ACCOUNT.", "$SYS.REQ.USER."
	if !own {
		add(account+name+".CONNZ", account+"PING.CONNZ", false)
		add(account+name+".CONNZ", "$SYS.REQ.SERVER.PING.CONNZ", false)
		add(account+name+".STATZ", account+"PING.STATZ", false)
	}
	add(user+name+".INFO", user+"INFO", true)
	if jetStream && !own {
		add("$JS.API.>", "$JS.API.>", true)
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
