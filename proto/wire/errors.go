package wire

import "strconv"

// Error is a protocol error: the exact -ERR text ("" = close without -ERR) and what it means. Every
// error of this package closes the connection. Values are shared: do not modify.
type Error struct {
	Text   string
	Code   ErrorCode
	Detail string // for the log
}

func (e *Error) Error() string { return e.Detail }

// ErrorCode classifies parse errors, so that the link picks the close reason.
type ErrorCode uint8

// The error codes with the close reasons nats-server reports for them.
const (
	ErrParse       ErrorCode = iota // Protocol Violation
	ErrControlLine                  // Maximum Control Line Exceeded
	// ErrMaxPayload: Maximum Message Payload Exceeded. Op then has Kind, Subject, what has arrived of Header, and the size in Max.
	ErrMaxPayload
	ErrAuth // Authentication Failure
)

// Texts of -ERR, without quotes (reference/protocol.md, section 6). "closes" and "stays" say what
// happens to the connection.
const (
	TextUnknownOperation         = "Unknown Protocol Operation"                               // closes
	TextAuthorizationViolation   = "Authorization Violation"                                  // closes
	TextAuthenticationTimeout    = "Authentication Timeout"                                   // closes
	TextUserExpired              = "User Authentication Expired"                              // closes
	TextUserRevoked              = "User Authentication Revoked"                              // closes
	TextAccountExpired           = "Account Authentication Expired"                           // closes
	TextMaxConnections           = "maximum connections exceeded"                             // closes
	TextMaxAccountConnections    = "maximum account active connections exceeded"              // closes
	TextConnectionThrottling     = "Connection throttling is active. Please try again later." // closes
	TextMaxControlLine           = "maximum control line exceeded"                            // closes
	TextMaxPayload               = "Maximum Payload Violation"                                // closes
	TextMaxSubscriptions         = "maximum subscriptions exceeded"                           // stays
	TextInvalidSubject           = "Invalid Subject"                                          // stays
	TextInvalidPublishSubject    = "Invalid Publish Subject"                                  // stays
	TextStaleConnection          = "Stale Connection"                                         // closes
	TextTLSRequired              = "Secure Connection - TLS Required"                         // closes
	TextInvalidClientProtocol    = "invalid client protocol"                                  // closes
	TextNoRespondersNeedsHeaders = "no responders requires headers support"                   // closes
	TextAccountRegistration      = "Failed Account Registration"                              // closes
)

// PubViolation is the text for a publish that permissions forbid; the connection stays.
func PubViolation(subject []byte) string {
	return "Permissions Violation for Publish to " + strconv.Quote(string(subject))
}

// ReplyViolation is the text for a publish with a reserved or forbidden reply; the connection stays.
func ReplyViolation(reply []byte) string {
	return "Permissions Violation for Publish with Reply of " + strconv.Quote(string(reply))
}

// SubViolation is the text for a subscription that permissions forbid, queue "" if it has none; the
// connection stays.
func SubViolation(subject, queue []byte) string {
	s := "Permissions Violation for Subscription to " + strconv.Quote(string(subject))
	if len(queue) > 0 {
		s += " using queue " + strconv.Quote(string(queue))
	}
	return s
}

// SubRemoved is the text for a subscription that a reload took away; the connection stays.
func SubRemoved(subject, queue, sid []byte) string {
	return SubViolation(subject, queue) + " (sid " + strconv.Quote(string(sid)) + ")"
}

// SubTokens is the text for a subscription with more than max_sub_tokens tokens; the connection stays.
func SubTokens(subject []byte) string { return SubViolation(subject, nil) + ", too many tokens" }

var (
	errUnknown     = &Error{TextUnknownOperation, ErrParse, "unknown protocol operation"}
	errPayloadEnd  = &Error{TextUnknownOperation, ErrParse, "payload is not followed by CRLF"}
	errAuth        = &Error{TextAuthorizationViolation, ErrAuth, "operation before CONNECT"}
	errControlLine = &Error{TextMaxControlLine, ErrControlLine, "maximum control line exceeded"}
	errMaxPayload  = &Error{TextMaxPayload, ErrMaxPayload, "maximum payload exceeded"}

	errPubArgs   = &Error{"", ErrParse, "wrong number of arguments for PUB"}
	errPubSize   = &Error{"", ErrParse, "bad payload size for PUB"}
	errHpubOff   = &Error{"", ErrParse, "HPUB without headers support"}
	errHpubArgs  = &Error{"", ErrParse, "wrong number of arguments for HPUB"}
	errHpubHead  = &Error{"", ErrParse, "bad header size for HPUB"}
	errHpubSize  = &Error{"", ErrParse, "bad total size for HPUB"}
	errSubArgs   = &Error{"", ErrParse, "wrong number of arguments for SUB"}
	errUnsubArgs = &Error{"", ErrParse, "wrong number of arguments for UNSUB"}

	errRemoteArgs  = &Error{"", ErrParse, "wrong arguments for a message between servers"}
	errRemoteSize  = &Error{"", ErrParse, "bad size of a message between servers"}
	errRemoteSub   = &Error{"", ErrParse, "wrong number of arguments for RS+"}
	errRemoteUnsub = &Error{"", ErrParse, "wrong number of arguments for RS-"}
	errLeafSub     = &Error{"", ErrParse, "wrong number of arguments for LS+"}
	errLeafUnsub   = &Error{"", ErrParse, "wrong number of arguments for LS-"}
	errAccountArgs = &Error{"", ErrParse, "wrong number of arguments for A+ or A-"}
)
