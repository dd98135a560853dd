// Package auth decides who a connection is, and compiles what a user may do.
//
// Path of one connection attempt:
//
//  1. The protocol package decodes CONNECT and calls Authenticator.Begin on its loop.
//
//  2. resolve looks up which configured identity the request claims, in maps compiled from the
//     configuration; nothing there takes more than a hash lookup.
//
//  3. What is left to prove decides where the rest runs: constant-time compares at once; signatures
//     (nkey, trusted proxy) and bcrypt on the blocking pool, through two bounded queues, so that a
//     storm of bcrypt logins neither blocks a loop nor delays signatures or TLS handshakes.
//
//  4. finish proves and answers with a User or a reason; done is called there.
//
//  5. conclude asks the service of an authorization callout (callout.go), if it is to decide about the
//     user: the request is signed on the pool, the answer verified there, and nothing waits meanwhile.
//
//  6. After a reload, Recheck asks the new Authenticator with the same request; what the request has
//     proven (signatures, bcrypt) is kept in it and not proven again; a callout service is asked again.
//
// Per message and subscription, Perms answers CanPub, CanSub and Deliverable without allocating.
//
// Threading: Authenticator, User and Perms are immutable and may be used on any goroutine; a reload
// makes new ones. Mutable are the job queues and the cache of verified passwords; each has its own
// leaf lock.
package auth
