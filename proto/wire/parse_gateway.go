package wire

// gatewayVerbs are what servers of different clusters say to each other (reference/interserver.md,
// section 2).
var gatewayVerbs = []verb{
	{"RMSG", verbGatewayMsg, true, true},
	{"HMSG", verbGatewayHMsg, true, true},
	{"RS+", verbGatewaySub, true, true},
	{"RS-", verbGatewayUnsub, true, true},
	{"A+", verbAccountSub, true, true},
	{"A-", verbAccountUnsub, true, true},
	{"PING", verbPing, false, false},
	{"PONG", verbPong, false, false},
	{"CONNECT", verbConnect, false, true},
	{"INFO", verbInfo, false, true},
	{"+OK", verbOK, false, false},
	{"-ERR", verbErr, true, true},
}

// parseGatewayMsg reads "<account>" and a message.
func parseGatewayMsg(buf, arg []byte, next int, hdr bool, lim *Limits, op *Op) (n, need int, err *Error) {
	account, rest := token(arg)
	if n, need, err = parseRemoteMsg(buf, rest, next, hdr, lim, op); n > 0 {
		op.Account = account
	}
	return n, need, err
}

// parseGatewaySub reads "<account> <subject> [<queue> <weight>]".
func parseGatewaySub(arg []byte, op *Op) *Error {
	var a args
	a.split(arg)
	switch a.n {
	case 2:
		op.Queue, op.Weight = nil, 1
	case 4:
		op.Queue, op.Weight = a.tok[2], parseWeight(a.tok[3])
	default:
		return errRemoteSub
	}
	op.Kind, op.Account, op.Subject = OpRSub, a.tok[0], a.tok[1]
	return nil
}

// parseGatewayUnsub reads "<account> <subject> [<queue>]".
func parseGatewayUnsub(arg []byte, op *Op) *Error {
	var a args
	a.split(arg)
	switch a.n {
	case 2:
		op.Queue = nil
	case 3:
		op.Queue = a.tok[2]
	default:
		return errRemoteUnsub
	}
	op.Kind, op.Account, op.Subject = OpRUnsub, a.tok[0], a.tok[1]
	return nil
}

// parseAccount reads "<account>".
func parseAccount(arg []byte, kind OpKind, op *Op) *Error {
	var a args
	a.split(arg)
	if a.n != 1 {
		return errAccountArgs
	}
	op.Kind, op.Account = kind, a.tok[0]
	return nil
}
