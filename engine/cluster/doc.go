// Package cluster serves routes: the connections between the servers of one cluster.
//
// Hot path of a message to another server:
//
//  1. dispatch finds a subscription whose sink is a Route (what the other server announced) and calls
//     Route.DeliverLink once for the server, with the queue groups it chose members of there.
//  2. The head (RMSG, HMSG, or LMSG for a message of a leafnode) is written into a scratch buffer, and
//     link.Conn.Forward stages it with the payload for the end of the turn. No lock, no allocation.
//
// and of one from another server:
//
//  1. link.Conn.OnData decodes the operation and calls Route.OnOp.
//  2. onMsg finds the account by name (one compare with the last one) and publishes through dispatch, which
//     delivers to what ends here and to no other route.
//
// Interest: a ledger per account (engine/interest) tells every route that carries the account what begins and
// ends here; the route announces it with link.Conn.Announce, which no later message overtakes. What the other
// server announces is a subscription in the account's index.
//
// Between two servers there are several connections: a pool, of which each account uses the one its name
// hashes to, and one for each account that is configured to have its own (the system account always).
//
// Threading: a Route belongs to the loop of its connection. Who is connected is in Service.mu, which is held
// for short and never while a lock of a ledger is taken by the same goroutine in the other order: followers
// announce and do nothing else.
package cluster
