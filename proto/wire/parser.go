package wire

import "encoding/binary"

// pubWord is "PUB " read as a little-endian word.
const pubWord = 'P' | 'U'<<8 | 'B'<<16 | ' '<<24

// Next decodes the operation at the start of buf into op and returns its length in bytes. n == 0 and
// err == nil: incomplete; need is the total number of bytes the operation will take if that is known
// (control line of PUB complete), else 0. Stateless: the caller keeps incomplete bytes and calls again
// with more; however the bytes are cut, the same operations and the same error result. Limits are
// enforced on incomplete operations too (control line too long, announced payload too large), so an
// incomplete operation is never longer than the larger of both plus a few hundred bytes.
// Allocation-free.
func Next(buf []byte, lim *Limits, op *Op) (n, need int, err *Error) {
	if len(buf) >= 8 && binary.LittleEndian.Uint32(buf) == pubWord && !lim.MustConnect && lim.Dialect == DialectClient {
		if n := fastPub(buf, lim, op); n > 0 {
			return n, 0, nil
		}
	}
	return next(buf, lim, op)
}

// next is the general path.
func next(buf []byte, lim *Limits, op *Op) (n, need int, err *Error) {
	op.Kind, op.Line = OpNone, nil
	if len(buf) == 0 {
		return 0, 0, nil
	}
	if lim.MustConnect && lower(buf[0]) != 'c' && (!lim.InfoFirst || lower(buf[0]) != 'i') {
		return 0, 0, errAuth
	}
	v, known := dialects[lim.Dialect].lookup(buf)
	if v == nil {
		if known {
			return 0, 0, nil
		}
		return 0, 0, errUnknown
	}
	from := len(v.name)
	if v.sep {
		if len(buf) == from {
			return 0, 0, nil
		}
		if !isBlank(buf[from]) {
			return 0, 0, errUnknown
		}
	}
	l := findLine(buf, from)
	start := min(skipBlank(buf, from), l.end)
	limit := lim.maxLine()
	if v.args && l.end-start > limit || l.end > limit+lineSlack {
		return 0, 0, errControlLine
	}
	if l.next == 0 {
		return 0, 0, nil
	}
	op.Line = buf[:l.end:l.end]
	return v.decode(buf, buf[start:l.end:l.end], l.next, lim, op)
}

// decode reads the argument of a complete line that ends before buf[next].
func (v *verb) decode(buf, arg []byte, next int, lim *Limits, op *Op) (n, need int, err *Error) {
	switch v.code {
	case verbPub:
		return parsePub(buf, arg, next, lim, op)
	case verbHpub:
		return parseHpub(buf, arg, next, lim, op)
	case verbSub:
		err = parseSub(arg, op)
	case verbUnsub:
		err = parseUnsub(arg, op)
	case verbPing:
		op.Kind = OpPing
	case verbPong:
		op.Kind = OpPong
	case verbOK:
		op.Kind = OpOK
	case verbConnect:
		op.Kind, op.Arg = OpConnect, arg
	case verbInfo:
		op.Kind, op.Arg = OpInfo, arg
	case verbErr:
		op.Kind, op.Arg = OpErr, arg
	case verbGatewayMsg, verbGatewayHMsg:
		return parseGatewayMsg(buf, arg, next, v.code == verbGatewayHMsg, lim, op)
	case verbGatewaySub:
		err = parseGatewaySub(arg, op)
	case verbGatewayUnsub:
		err = parseGatewayUnsub(arg, op)
	case verbAccountSub:
		err = parseAccount(arg, OpASub, op)
	case verbAccountUnsub:
		err = parseAccount(arg, OpAUnsub, op)
	case verbLeafMsg, verbLeafHMsg:
		return parseLeafMsg(buf, arg, next, v.code == verbLeafHMsg, lim, op)
	case verbLeafSub:
		err = parseLeafSub(arg, op)
	case verbLeafUnsub:
		err = parseLeafUnsub(arg, op)
	case verbRouteMsg, verbRouteHMsg, verbRouteLMsg:
		return parseRouteMsg(buf, arg, next, v.code, lim, op)
	case verbRouteSub, verbRouteLSub:
		err = parseRouteSub(arg, v.code == verbRouteLSub, lim, op)
	case verbRouteUnsub, verbRouteLUnsub:
		err = parseRouteUnsub(arg, v.code == verbRouteLUnsub, lim, op)
	}
	if err != nil {
		return 0, 0, err
	}
	return next, 0, nil
}
