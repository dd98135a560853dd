package wire

// leafVerbs are what the two ends of a leafnode connection say to each other (reference/interserver.md,
// section 3). The connection has one account, which is not named.
var leafVerbs = []verb{
	{"LMSG", verbLeafMsg, true, true},
	{"HMSG", verbLeafHMsg, true, true},
	{"LS+", verbLeafSub, true, true},
	{"LS-", verbLeafUnsub, true, true},
	{"PING", verbPing, false, false},
	{"PONG", verbPong, false, false},
	{"CONNECT", verbConnect, false, true},
	{"INFO", verbInfo, false, true},
	{"+OK", verbOK, false, false},
	{"-ERR", verbErr, true, true},
}

// parseLeafSub reads "<subject> [<queue> <weight>]".
func parseLeafSub(arg []byte, op *Op) *Error {
	var a args
	a.split(arg)
	switch a.n {
	case 1:
		op.Queue, op.Weight = nil, 1
	case 3:
		op.Queue, op.Weight = a.tok[1], parseWeight(a.tok[2])
	default:
		return errLeafSub
	}
	op.Kind, op.Account, op.Subject = OpRSub, nil, a.tok[0]
	return nil
}

// parseLeafUnsub reads "<subject> [<queue>]".
func parseLeafUnsub(arg []byte, op *Op) *Error {
	var a args
	a.split(arg)
	switch a.n {
	case 1:
		op.Queue = nil
	case 2:
		op.Queue = a.tok[1]
	default:
		return errLeafUnsub
	}
	op.Kind, op.Account, op.Subject = OpRUnsub, nil, a.tok[0]
	return nil
}

// parseLeafMsg reads a message.
func parseLeafMsg(buf, arg []byte, next int, hdr bool, lim *Limits, op *Op) (n, need int, err *Error) {
	op.Account = nil
	return parseRemoteMsg(buf, arg, next, hdr, lim, op)
}
