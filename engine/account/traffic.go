package account

import "sync/atomic"

// Traffic is what connections of an account have exchanged, as the server sees it: In from clients.
type Traffic struct{ InMsgs, InBytes, OutMsgs, OutBytes, SlowConsumers int64 }

// gone sums the traffic of connections that are closed.
type gone struct{ inMsgs, inBytes, outMsgs, outBytes, slow atomic.Int64 }

// AddGone adds what a connection that has closed had exchanged; the open ones count for themselves.
// Any goroutine.
func (a *Account) AddGone(t Traffic) {
	g := &a.gone
	g.inMsgs.Add(t.InMsgs)
	g.inBytes.Add(t.InBytes)
	g.outMsgs.Add(t.OutMsgs)
	g.outBytes.Add(t.OutBytes)
	g.slow.Add(t.SlowConsumers)
}

// Gone returns the traffic of the connections that are closed. Any goroutine.
func (a *Account) Gone() Traffic {
	g := &a.gone
	return Traffic{InMsgs: g.inMsgs.Load(), InBytes: g.inBytes.Load(), OutMsgs: g.outMsgs.Load(), OutBytes: g.outBytes.Load(),
		SlowConsumers: g.slow.Load()}
}
