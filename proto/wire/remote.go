package wire

// keepQueues bounds the room for queue names that an Op keeps, so that one long list costs nothing for
// ever.
const keepQueues = 256

// token returns the first token of arg and what follows it; nil when there is none.
func token(arg []byte) (tok, rest []byte) {
	i := skipBlank(arg, 0)
	start := i
	for i < len(arg) && !isBlank(arg[i]) {
		i++
	}
	if i == start {
		return nil, nil
	}
	return arg[start:i:i], arg[i:]
}

// lastToken returns the last token of arg and what precedes it; nil when there is none.
func lastToken(arg []byte) (tok, before []byte) {
	end := len(arg)
	for end > 0 && isBlank(arg[end-1]) {
		end--
	}
	i := end
	for i > 0 && !isBlank(arg[i-1]) {
		i--
	}
	if i == end {
		return nil, nil
	}
	return arg[i:end:end], arg[:i]
}

// parseRemoteMsg reads a message from another server, from the subject on:
// "<subject> [<reply>] <size>", "<subject> + <reply> <queue>... <size>" or "<subject> | <queue>... <size>",
// with header and total size in the place of the size for hdr. It fills everything but op.Account.
func parseRemoteMsg(buf, arg []byte, next int, hdr bool, lim *Limits, op *Op) (n, need int, err *Error) {
	last, mid := lastToken(arg)
	size, head := parseSize(last), -1
	if hdr {
		if last, mid = lastToken(mid); last != nil {
			head = parseSize(last)
		}
		if head < 0 || head > size {
			return 0, 0, errRemoteSize
		}
	}
	if size < 0 {
		return 0, 0, errRemoteSize
	}
	subject, mid := token(mid)
	if subject == nil {
		return 0, 0, errRemoteArgs
	}
	if cap(op.Queues) > keepQueues {
		op.Queues = nil
	}
	op.Queues, op.Reply = op.Queues[:0], nil
	tok, mid := token(mid)
	switch {
	case tok == nil:
	case len(tok) == 1 && (tok[0] == '+' || tok[0] == '|'):
		if tok[0] == '+' {
			if op.Reply, mid = token(mid); op.Reply == nil {
				return 0, 0, errRemoteArgs
			}
		}
		for {
			var q []byte
			if q, mid = token(mid); q == nil {
				break
			}
			op.Queues = append(op.Queues, q)
		}
		if len(op.Queues) == 0 {
			return 0, 0, errRemoteArgs
		}
	default:
		op.Reply = tok
		if more, _ := token(mid); more != nil {
			return 0, 0, errRemoteArgs
		}
	}
	if n, need, err = payload(buf, next, size, lim); n == 0 {
		return 0, need, err
	}
	op.Kind, op.Subject, op.Header = OpRMsg, subject, nil
	end := next + size
	op.Payload = buf[next:end:end]
	if hdr {
		op.Header, op.Payload = buf[next:next+head:next+head], buf[next+head:end:end]
	}
	return n, 0, nil
}

// parseWeight reads the number of members of a queue group on another server; what is no positive number
// counts as one.
func parseWeight(b []byte) int32 { return int32(max(parseSize(b), 1)) }
