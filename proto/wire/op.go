package wire

// OpKind is a protocol operation.
type OpKind uint8

// Operations of the protocols.
const (
	OpNone OpKind = iota
	OpConnect
	OpInfo
	OpPub // PUB and HPUB
	OpSub
	OpUnsub
	OpPing
	OpPong
	OpOK
	OpErr

	// From here on: between servers.
	OpRSub   // RS+, LS+
	OpRUnsub // RS-, LS-
	OpASub   // A+
	OpAUnsub // A-
	OpRMsg   // RMSG, LMSG and HMSG
)

// Op is one decoded operation; slices are borrowed from the buffer given to Next. Next sets Kind, Line
// and the fields named for the kind; the others keep what an earlier operation left.
type Op struct {
	Kind    OpKind
	Subject []byte // OpPub, OpSub, OpRSub, OpRUnsub, OpRMsg
	Reply   []byte // OpPub, OpRMsg; nil if none
	Queue   []byte // OpSub, OpRSub, OpRUnsub; nil if none
	SID     []byte // OpSub, OpUnsub
	Max     int64  // OpUnsub: messages since SUB; 0 = remove now
	Header  []byte // OpPub, OpRMsg: not nil for HPUB and HMSG (may be empty); else nil
	Payload []byte // OpPub, OpRMsg: without the trailing CRLF
	Arg     []byte // OpConnect and OpInfo: JSON; OpErr: text as sent, quotes included
	Line    []byte // the whole control line without CRLF, for tracing; also set with most errors

	Account []byte   // OpRSub, OpRUnsub, OpASub, OpAUnsub, OpRMsg
	Origin  []byte   // OpRSub, OpRUnsub, OpRMsg on routes: cluster of the leafnode it comes from; nil if none, empty if the peer leaves it out
	Weight  int32    // OpRSub: members of the queue group, 1 without one
	Queues  [][]byte // OpRMsg: the groups of which one member each gets the message; empty if none
}

// Dialect selects the verbs that a kind of connection may send.
type Dialect uint8

// The dialects.
const (
	DialectClient Dialect = iota
	DialectGateway
	DialectLeaf
	DialectRoute
	numDialects
)

// verb is one row of a dialect: an operation name and how its line is read.
type verb struct {
	name string // upper case
	code verbCode
	sep  bool // SP or TAB must follow the name
	args bool // the rest is an argument, bounded by the control line limit; else it is skipped
}

// verbCode picks the decoder; verbs of different dialects that look the same have different codes.
type verbCode uint8

const (
	verbConnect verbCode = iota
	verbInfo
	verbPub
	verbHpub
	verbSub
	verbUnsub
	verbPing
	verbPong
	verbOK
	verbErr
	verbGatewayMsg
	verbGatewayHMsg
	verbGatewaySub
	verbGatewayUnsub
	verbAccountSub
	verbAccountUnsub
	verbLeafMsg
	verbLeafHMsg
	verbLeafSub
	verbLeafUnsub
	verbRouteMsg
	verbRouteHMsg
	verbRouteLMsg
	verbRouteSub
	verbRouteUnsub
	verbRouteLSub
	verbRouteLUnsub
)

var clientVerbs = []verb{
	{"PUB", verbPub, true, true},
	{"HPUB", verbHpub, true, true},
	{"SUB", verbSub, true, true},
	{"UNSUB", verbUnsub, true, true},
	{"PING", verbPing, false, false},
	{"PONG", verbPong, false, false},
	{"CONNECT", verbConnect, false, true},
	{"INFO", verbInfo, false, true},
	{"+OK", verbOK, false, false},
	{"-ERR", verbErr, true, true},
}

// verbTable is a dialect indexed by the lower-case first byte of the name.
type verbTable [256][]verb

var dialects = [numDialects]*verbTable{
	DialectClient:  tableOf(clientVerbs),
	DialectGateway: tableOf(gatewayVerbs),
	DialectLeaf:    tableOf(leafVerbs),
	DialectRoute:   tableOf(routeVerbs),
}

func tableOf(verbs []verb) *verbTable {
	t := new(verbTable)
	for _, v := range verbs {
		first := lower(v.name[0])
		t[first] = append(t[first], v)
	}
	return t
}

// lookup finds the verb at the start of buf. known is false if no verb can begin like this; v is nil
// with known if more bytes are needed to tell.
func (t *verbTable) lookup(buf []byte) (v *verb, known bool) {
	candidates := t[lower(buf[0])]
	for i := range candidates {
		c := &candidates[i]
		n := min(len(c.name), len(buf))
		if !equalFold(buf[:n], c.name[:n]) {
			continue
		}
		if n == len(c.name) {
			return c, true
		}
		known = true
	}
	return nil, known
}

// equalFold compares b with an upper-case name of the same length, ignoring ASCII case.
func equalFold(b []byte, name string) bool {
	for i := range b {
		if lower(b[i]) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
