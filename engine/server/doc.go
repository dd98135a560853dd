// Package server composes the packages of the engine into one NATS server and runs its life cycle:
// start, reload, lame duck, shutdown. It is also the Go API for embedding a server.
//
// Start, in order (start.go):
//
//  1. identity: server key, curve key, name, start-up log lines;
//  2. accounts, authenticator, router, event loops, connection services;
//     Before the loops, the staples of server certificates (ocsp.go): without one that is demanded there is no start;
//  3. monitoring and profiling listeners;
//  4. client and websocket listeners are bound, then all start to accept at once;
//  5. pid file, ports file, "Server is ready".
//
// Reload (reload.go): parse, validate, diff, prepare (may fail, changes nothing), commit (cannot fail),
// tidy (connections re-evaluated at their own pace).
//
// Threading: everything that changes the server runs on the control goroutine (control.go), one task
// at a time. What others read is behind atomic pointers: options, authenticator, INFO. The logger may be
// called from any goroutine and never waits for a file: lines go through a bounded queue to one writer
// goroutine.
//
// No data path goes through this package.
package server
