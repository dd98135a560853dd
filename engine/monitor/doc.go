// Package monitor is the HTTP face of the server: the pages of nats-server's monitoring port, metrics in
// OpenMetrics format, and health.
//
// Path of a request:
//
//  1. net/http accepts and parses; http.go counts the request and finds the page.
//  2. params.go decodes the query; a bad value is answered 400 with the text of the reference.
//  3. The page is built from snapshots and atomics behind Source (varz.go, connz.go, subsz.go, ...).
//  4. It is written as indented JSON.
//
// Threads: everything runs on net/http's goroutines. No page takes a lock of the data path; lists of
// subscriptions are asked from the owning loops with a deadline.
package monitor
