// Package sysapi holds the JSON types of monitoring, system requests and events (reference/monitoring.md,
// section 4). The order of fields is the order of emission.
//
// Plain values: no goroutine, no I/O, no clock.
package sysapi
