package wire

// routeVerbs are what servers of one cluster say to each other (reference/interserver.md, section 1).
var routeVerbs = []verb{
	{"RMSG", verbRouteMsg, true, true},
	{"HMSG", verbRouteHMsg, true, true},
	{"LMSG", verbRouteLMsg, true, true},
	{"RS+", verbRouteSub, true, true},
	{"RS-", verbRouteUnsub, true, true},
	{"LS+", verbRouteLSub, true, true},
	{"LS-", verbRouteLUnsub, true, true},
	{"A+", verbAccountSub, true, true},
	{"A-", verbAccountUnsub, true, true},
	{"PING", verbPing, false, false},
	{"PONG", verbPong, false, false},
	{"CONNECT", verbConnect, false, true},
	{"INFO", verbInfo, false, true},
	{"+OK", verbOK, false, false},
	{"-ERR", verbErr, true, true},
}

// parseRouteMsg reads "[<account>]" and a message; LMSG has the origin before, and always both sizes.
func parseRouteMsg(buf, arg []byte, next int, code verbCode, lim *Limits, op *Op) (n, need int, err *Error) {
	var origin, account []byte
	if code == verbRouteLMsg {
		if origin, arg = token(arg); origin == nil {
			return 0, 0, errRemoteArgs
		}
	}
	if !lim.NoAccount {
		if account, arg = token(arg); account == nil {
			return 0, 0, errRemoteArgs
		}
	}
	if n, need, err = parseRemoteMsg(buf, arg, next, code != verbRouteMsg, lim, op); n == 0 {
		return n, need, err
	}
	op.Account, op.Origin = account, origin
	if code == verbRouteLMsg && len(op.Header) == 0 {
		op.Header = nil
	}
	return n, 0, nil
}

// parseRouteSub reads "[<origin>] [<account>] <subject> [<queue> <weight>]".
func parseRouteSub(arg []byte, leaf bool, lim *Limits, op *Op) *Error {
	var a args
	a.split(arg)
	tok := a.tok[:min(a.n, maxArgs)]
	op.Origin, op.Account = nil, nil
	if leaf {
		if len(tok) == 0 {
			return errRemoteSub
		}
		op.Origin, tok = tok[0], tok[1:]
	}
	if !lim.NoAccount {
		if len(tok) == 0 {
			return errRemoteSub
		}
		op.Account, tok = tok[0], tok[1:]
	}
	switch len(tok) {
	case 1:
		op.Queue, op.Weight = nil, 1
	case 3:
		op.Queue, op.Weight = tok[1], parseWeight(tok[2])
	default:
		return errRemoteSub
	}
	op.Kind, op.Subject = OpRSub, tok[0]
	return nil
}

// unnamed is the origin that Limits.NoOrigin leaves out.
var unnamed = []byte{}

// parseRouteUnsub reads "[<origin>] [<account>] <subject> [<queue>]".
func parseRouteUnsub(arg []byte, leaf bool, lim *Limits, op *Op) *Error {
	var a args
	a.split(arg)
	tok := a.tok[:min(a.n, maxArgs)]
	op.Origin, op.Account = nil, nil
	switch {
	case leaf && lim.NoOrigin:
		op.Origin = unnamed
	case leaf:
		if len(tok) == 0 {
			return errRemoteUnsub
		}
		op.Origin, tok = tok[0], tok[1:]
	}
	if !lim.NoAccount {
		if len(tok) == 0 {
			return errRemoteUnsub
		}
		op.Account, tok = tok[0], tok[1:]
	}
	switch len(tok) {
	case 1:
		op.Queue = nil
	case 2:
		op.Queue = tok[1]
	default:
		return errRemoteUnsub
	}
	op.Kind, op.Subject = OpRUnsub, tok[0]
	return nil
}
