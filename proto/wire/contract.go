package wire

// CONTRACT: see engine/netio/contract.go for the rule.

// OpKind is a protocol operation.
type OpKind uint8

// Operations of the client protocol (others follow for routes, gateways and leafnodes).
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
)

// Op is one decoded operation; slices are borrowed from the buffer given to Next.
type Op struct {
	Kind    OpKind
	Subject []byte
	Reply   []byte
	Queue   []byte
	SID     []byte
	Max     int64  // UNSUB max, 0 = none
	Header  []byte // HPUB; nil for PUB
	Payload []byte // without the trailing CRLF
	Arg     []byte // CONNECT and INFO JSON, -ERR text
	Line    []byte // the whole control line without CRLF, for tracing
}

// Limits of a parser; may be changed between calls.
type Limits struct {
	MaxControlLine int
	MaxPayload     int  // -1 none
	Headers        bool // HPUB accepted
	// MustConnect: only CONNECT (and, as [v] in protocol.md, what precedes authentication) is legal.
	MustConnect bool
}

// Error is a protocol error: the exact -ERR text ("" = close without -ERR) and what it means.
type Error struct {
	Text   string
	Code   ErrorCode
	Detail string // for the log
}

func (e *Error) Error() string { return e.Detail }

// ErrorCode classifies parse errors, so that the link picks the close reason.
type ErrorCode uint8

const (
	ErrParse ErrorCode = iota
	ErrControlLine
	ErrMaxPayload
	ErrAuth
)

// Next decodes the operation at the start of buf into op and returns its length in bytes. n == 0 and
// err == nil: incomplete; need is the total number of bytes the operation will take if that is known
// (control line of PUB complete), else 0. Stateless: the caller keeps incomplete bytes and calls again
// with more. Allocation-free. Limits are enforced on incomplete operations too (control line too long,
// announced payload too large).
func Next(buf []byte, lim *Limits, op *Op) (n, need int, err *Error) { panic("contract") }

// Connect is the decoded CONNECT JSON, defaults applied (verbose, pedantic, echo true).
type Connect struct {
	Verbose, Pedantic, TLSRequired, Echo, Headers, NoResponders      bool
	Token, User, Pass, Name, Lang, Version, Sig, JWT, Nkey, ProxySig string
	Account                                                          string
	NewAccount                                                       bool
	Protocol                                                         int
}

// ParseConnect decodes arg over the defaults.
func ParseConnect(arg []byte) (Connect, error) { panic("contract") }

// Info is the INFO JSON; AppendInfo writes "INFO {json} \r\n" with the field order and omission rules of
// reference/protocol.md section 4.
type Info struct {
	ServerID, ServerName, Version, GitCommit, Go, Host          string
	Proto, Port                                                 int
	Headers, AuthRequired, TLSRequired, TLSVerify, TLSAvailable bool
	MaxPayload                                                  int32
	JetStream                                                   bool
	IP                                                          string
	ClientID                                                    uint64
	ClientIP                                                    string
	Nonce                                                       string
	Cluster                                                     string
	ClusterDynamic                                              bool
	Domain                                                      string
	ConnectURLs, WSConnectURLs                                  []string
	LameDuck                                                    bool
	ConnectInfo                                                 bool
	RemoteAccount                                               string
	IsSystemAccount                                             bool
	APILevel                                                    int
	XKey                                                        string
}

func AppendInfo(dst []byte, in *Info) []byte { panic("contract") }

// AppendMsg appends "MSG subject sid [reply] size\r\n" or the HMSG form; the caller appends header,
// payload and CRLF (or passes them by reference).
func AppendMsgHead(dst, subject []byte, sid string, reply []byte, hdrLen, payloadLen int) []byte {
	panic("contract")
}
func AppendErr(dst []byte, text string) []byte { panic("contract") } // -ERR 'text'\r\n
