// Package sysacc is the server's part of the system account: it answers the requests of operators and
// publishes what happens to connections (reference/monitoring.md, section 3).
//
// Path of a request:
//
//  1. A message to one of the subjects in subjects.go reaches an internal subscription, on the loop of
//     its publisher; inbox.go copies it, looks up who asks, and queues it.
//  2. The request worker decodes the body, applies the filters and asks monitoring for the page.
//  3. The answer is published in the account the request came from.
//
// What another account asks about itself goes on in the system account if there are other servers, so that all of them answer
// (everywhere.go).
//
// Path of an event: a hook of link.Events on a loop looks whether anybody wants the subject; only then
// it notes what is to be told and queues it; the event worker builds and publishes it, so that events
// leave in the order in which they happened.
//
// Threads: hooks and subscriptions run on loops and never wait; both queues are bounded, what does not
// fit is dropped and counted. Each worker is one goroutine with its own dispatch context. What takes
// long (a CPU profile, a reload) runs beside them, a few at a time. Start, Sync and Stop are for the
// control goroutine.
package sysacc
