// Package header reads and edits NATS/1.0 header blocks: a version line with an optional inline status,
// `Key: Value` lines, and an empty line (reference/protocol.md, section 7).
//
// Blocks are forwarded as they are: nothing here validates, and a block that makes no sense yields no
// keys. Reading (get.go, status.go) returns slices borrowed from the block; editing (edit.go) and
// building append to the caller's buffer.
//
// Rule of lookup: a key matches in exact case, directly after a CRLF and directly before a colon; blanks
// before the value are skipped; the value ends at the next CRLF, or at the end of a cut-off block.
//
// Threading: no state, no allocation; any goroutine.
package header
