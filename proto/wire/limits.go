package wire

// DefaultMaxControlLine is the limit of the argument part of a control line in bytes when Limits says
// nothing (reference/protocol.md, section 3).
const DefaultMaxControlLine = 4096

// lineSlack is how much longer than MaxControlLine a whole line may be: verb and separators, which the
// limit does not count. It bounds what a peer can make us buffer with blanks.
const lineSlack = 256

// Limits of a parser; may be changed between calls.
type Limits struct {
	// MaxControlLine bounds the argument part of a line in bytes; 0 = DefaultMaxControlLine.
	MaxControlLine int
	// MaxPayload bounds the announced payload (header included) in bytes; -1 none.
	MaxPayload int
	// Headers: HPUB is accepted.
	Headers bool
	// MustConnect: authentication is required and has not happened; any operation that does not start
	// with C is an authorization violation, a PING too.
	MustConnect bool
	// InfoFirst: INFO may come before CONNECT all the same (leafnodes that agree on compression).
	InfoFirst bool
	// NoAccount: operations of routes carry no account, as the connection serves only one.
	NoAccount bool
	// NoOrigin: LS- of a route carries no origin, as servers of before 2.9 leave it out.
	NoOrigin bool
	// Dialect is the table of verbs.
	Dialect Dialect
}

func (l *Limits) maxLine() int {
	if l.MaxControlLine <= 0 {
		return DefaultMaxControlLine
	}
	return l.MaxControlLine
}
