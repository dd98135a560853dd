package server

// Version is ramjet's own version. NATSVersion is the version of nats-server whose behaviour ramjet has:
// it is what INFO, monitoring and events say, because clients switch features on it. APILevel is the
// JetStream API level that goes with it (reference/protocol.md, section 4).
const (
	Version     = "0.1.0"
	NATSVersion = "2.15.2"
	APILevel    = 5
	protoLevel  = 1
)

// gitCommit is set by the linker (-X ramjet/engine/server.gitCommit=...).
var gitCommit string

// GitCommit returns the abbreviated commit this binary was built from, "" if unknown.
func GitCommit() string { return gitCommit }
