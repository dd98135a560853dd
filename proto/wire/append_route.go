package wire

import "slices"

// RouteMsg is the head of a message to another server.
type RouteMsg struct {
	Account string // "" on a connection that serves one account
	Origin  string // cluster of the leafnode it comes from; then the head is that of LMSG
	Subject []byte
	Reply   []byte
	// Shown, when not nil, is the subject that receivers see although the message goes by Subject; it travels
	// behind the reply.
	Shown []byte
}

// AppendRouteHead appends the head up to the place of the queue groups: "RMSG [account] subject [reply]", with the
// sign that queue groups follow, if they do. Then come AppendQueue for each group, and AppendSizes.
func AppendRouteHead(dst []byte, m *RouteMsg, hdr, queues bool) []byte {
	dst = slices.Grow(dst, len(m.Account)+len(m.Origin)+len(m.Subject)+len(m.Reply)+len(m.Shown)+routeHeadRoom)
	switch {
	case m.Origin != "":
		dst = append(dst, "LMSG "...)
		dst = append(dst, m.Origin...)
		dst = append(dst, ' ')
	case hdr:
		dst = append(dst, "HMSG "...)
	default:
		dst = append(dst, "RMSG "...)
	}
	if m.Account != "" {
		dst = append(dst, m.Account...)
		dst = append(dst, ' ')
	}
	dst = append(dst, m.Subject...)
	dst = append(dst, ' ')
	if len(m.Reply) > 0 {
		if queues {
			dst = append(dst, '+', ' ')
		}
		dst = append(dst, m.Reply...)
		if m.Shown != nil {
			dst = append(dst, '@')
			dst = append(dst, m.Shown...)
		}
		dst = append(dst, ' ')
	} else if queues {
		dst = append(dst, '|', ' ')
	}
	return dst
}

// routeHeadRoom is what a head needs besides its variable parts.
const routeHeadRoom = len("LMSG ") + 7 + 2*maxIntDigits

// AppendQueue appends the name of a queue group.
func AppendQueue(dst []byte, queue string) []byte {
	dst = append(dst, queue...)
	return append(dst, ' ')
}

// AppendSizes ends a head; both sizes are there for a message with a header, and for LMSG (both).
func AppendSizes(dst []byte, hdrLen, payloadLen int, both bool) []byte {
	dst = slices.Grow(dst, 2*maxIntDigits+3)
	n := len(dst)
	b := dst[:cap(dst)]
	if hdrLen > 0 || both {
		n += putInt(b[n:], hdrLen)
		b[n] = ' '
		n++
	}
	n += putInt(b[n:], hdrLen+payloadLen)
	b[n] = '\r'
	b[n+1] = '\n'
	return b[:n+2]
}

// RouteSub is interest announced to a server of the same cluster.
type RouteSub struct {
	Account        string // "" on a connection that serves one account
	Origin         string // not "": LS+ and LS-
	Subject, Queue string
	Weight         int32 // 0: no interest any more
	Unnamed        bool  // LS- leaves the origin out, for servers of before
}

// AppendRouteSub appends RS+, RS-, LS+ or LS-.
func AppendRouteSub(dst []byte, s *RouteSub) []byte {
	verb := [...]byte{'R', 'S', '+', ' '}
	if s.Origin != "" {
		verb[0] = 'L'
	}
	if s.Weight <= 0 {
		verb[2] = '-'
	}
	dst = append(dst, verb[:]...)
	origin := s.Origin
	if s.Unnamed && s.Weight <= 0 {
		origin = ""
	}
	for _, t := range [...]string{origin, s.Account} {
		if t != "" {
			dst = append(dst, t...)
			dst = append(dst, ' ')
		}
	}
	dst = append(dst, s.Subject...)
	if s.Queue != "" {
		dst = append(dst, ' ')
		dst = append(dst, s.Queue...)
		if s.Weight > 0 {
			dst = slices.Grow(append(dst, ' '), maxIntDigits)
			n := len(dst)
			n += putInt(dst[n:cap(dst)], int(s.Weight))
			dst = dst[:n]
		}
	}
	return append(dst, '\r', '\n')
}
