package netio

// Reason says why a connection was closed. The texts are those of connz and events
// (reference/protocol.md, section 6).
type Reason uint8

// The close reasons.
const (
	ReasonUnknown Reason = iota
	ReasonClientClosed
	ReasonAuthTimeout
	ReasonAuthFailure
	ReasonTLSHandshake
	ReasonSlowPending
	ReasonSlowDeadline
	ReasonWriteError
	ReasonReadError
	ReasonParseError
	ReasonStale
	ReasonProtocolViolation
	ReasonBadProtocolVersion
	ReasonWrongPort
	ReasonMaxConnections
	ReasonMaxAccountConnections
	ReasonMaxPayload
	ReasonMaxControlLine
	ReasonMaxSubscriptions
	ReasonDuplicateRoute
	ReasonRouteRemoved
	ReasonServerShutdown
	ReasonAuthExpired
	ReasonWrongGateway
	ReasonMissingAccount
	ReasonRevoked
	ReasonInternalClient
	ReasonHeaderViolation
	ReasonNoRespondersRequiresHeaders
	ReasonClusterNameConflict
	ReasonDuplicateRemoteLeaf
	ReasonDuplicateClientID
	ReasonDuplicateServerName
	ReasonMinVersion
	ReasonClusterNamesIdentical
	ReasonKicked
	ReasonProxyNotTrusted
	ReasonProxyRequired
	NumReasons
)

var reasonTexts = [NumReasons]string{
	"Unknown State", "Client Closed", "Authentication Timeout", "Authentication Failure", "TLS Handshake Failure",
	"Slow Consumer (Pending Bytes)", "Slow Consumer (Write Deadline)", "Write Error", "Read Error", "Parse Error",
	"Stale Connection", "Protocol Violation", "Bad Client Protocol Version", "Incorrect Port",
	"Maximum Connections Exceeded", "Maximum Account Connections Exceeded", "Maximum Message Payload Exceeded",
	"Maximum Control Line Exceeded", "Maximum Subscriptions Exceeded", "Duplicate Route", "Route Removed",
	"Server Shutdown", "Authentication Expired", "Wrong Gateway", "Missing Account", "Credentials Revoked",
	"Internal Client", "Message Header Violation", "No Responders Requires Headers", "Cluster Name Conflict",
	"Duplicate Remote LeafNode Connection", "Duplicate Client ID", "Duplicate Server Name", "Minimum Version Required",
	"Cluster Names Identical", "Kicked", "Proxy Not Trusted", "Proxy Required",
}

// String returns the text shown in connz and events.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonTexts[r]
	}
	return reasonTexts[0]
}
