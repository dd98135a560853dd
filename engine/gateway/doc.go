// Package gateway joins this cluster with others: one outbound connection to each, over which messages go, and any number
// of inbound ones, over which they come. Interest goes the other way: who accepts a connection tells who dialed it.
//
// Hot path of a message to another cluster:
//
//  1. What a remote cluster is interested in are subscriptions in the accounts' indexes, whose sink is the outbound
//     connection (modes.go), so dispatch finds them with all others.
//  2. dispatch chooses the connection once, for plain interest and for each queue group that nobody in this cluster
//     serves, and calls Conn.DeliverLink (deliver.go).
//  3. The control line is built on the stack. A reply subject that was subscribed to a moment ago gets a prefix that
//     leads the answer back without waiting for interest to spread (reply.go, recent.go).
//  4. link.Conn.Forward stages line, header and payload.
//
// Hot path of a message from another cluster:
//
//  1. Conn.OnOp finds the account (that of the last message, nearly always) and publishes in it (inbound.go).
//  2. A subject with that prefix goes to Service.Routed instead: to the server it names, or without prefix to who
//     subscribes here (reply.go).
//
// Threading: a Conn belongs to the loop of its connection; DeliverLink and Accepts are for any goroutine. The interest
// of this cluster is announced on the goroutine that changed it (announce.go). Service.mu and Conn.mu are leaves: they
// guard the set of remote clusters and connections, and what monitoring shows of a connection.
package gateway
