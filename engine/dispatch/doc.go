// Package dispatch takes one published message to everybody who gets it.
//
// Hot path, [Router.Publish]:
//  1. map: a message of a client or leafnode gets the subject its account maps it to;
//  2. match: the account's index answers through the producer's own cache;
//  3. plain: each plain subscription is offered the message; no interest ends here, at the cost of
//     the lookup. Imports are subscriptions too (imports.go): a shadow takes the message to a subscriber
//     of another account; an imported service publishes it there, with a reply subject that leads back;
//  4. queues: one member of each group, by weight from a random start, the next when it refuses;
//  5. links: each connection to another server that stages 3 and 4 chose gets the message once.
//
// Which kinds of connection get what from which is the table in rules.go. Nothing on the path
// allocates or takes a lock of its own, but a request to an imported service, which is remembered until
// it is answered; what a Sink does is its affair.
//
// Threading: a Router is immutable and for any goroutine. A [Ctx] belongs to one loop or shard; a
// Sink may publish again, with the same Ctx, before its Deliver returns.
package dispatch
