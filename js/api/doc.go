// Package api answers the requests of the JetStream API ($JS.API.>) of one server.
//
// The way of a request:
//
//  1. Router.Deliver takes it from any goroutine, sorts it into the info queue or the other one, and drops everything that waits
//     when a queue is full.
//  2. A worker takes the next request. Requests that change assets of the same account run one after the other, in their order
//     of arrival, and hold one worker at most; everything else runs side by side. One that creates a stream lets the next go on while it
//     waits for the disk, so that many share a sync; what changes the same stream stays behind it.
//  3. Router.process reads the subject, asks who may call, checks the API level and whether JetStream is enabled for the account,
//     in the order of the endpoint, and calls its handler.
//  4. The handler reads the body, validates, and works on Account, Stream and Consumer, the ports of the runtime.
//  5. The answer goes to the reply subject; counters and the audit advisory follow.
//
// Threading: handlers run on workers and may block on the ports. A panic of a handler is contained: it is counted, and the caller
// gets an error. The locks of the router are leaves; no port is called under them.
package api
