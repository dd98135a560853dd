// Package proxyproto decodes the PROXY protocol header, versions 1 and 2, that a load balancer puts
// before the first byte of a connection to tell whom it speaks for (the HAProxy PROXY protocol
// specification; reference/protocol.md, section 14).
//
// Decode is called with all bytes received so far until it knows: a header, no header at all
// (connections without one are accepted), or an invalid one. It keeps nothing, allocates nothing and
// may be called from any goroutine.
package proxyproto
