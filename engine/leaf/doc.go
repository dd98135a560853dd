// Package leaf connects servers as leafnodes: one end, the hub, accepts, the other, the spoke, solicits, and each
// tells the other what its side of an account is interested in.
//
// Path of a message:
//
//  1. link.Conn.OnData decodes LMSG or HMSG and calls Leaf.OnOp.
//  2. onMsg (pub.go) checks what the connection may bring in, and publishes it with the queue groups that the
//     sender has chosen and the cluster it comes from.
//  3. In the other direction dispatch asks Accepts (deliver.go) of each leafnode connection with interest: not back
//     to the same cluster, not what permissions deny.
//  4. DeliverLink writes the message once, with the names of the queue groups the other side is to choose from.
//
// Interest: the connections of one account share a [interest.Ledger] (interest.go), which each follows with a
// view of its own, so that LS+ and LS- are sent when something begins, ends or changes its weight.
//
// Handshakes: accept.go for the hub, connect.go for the spoke, which remote.go brings up again and again.
//
// Threading: a Leaf belongs to the loop of its connection; Accepts, Fallback and DeliverLink may be called on any
// goroutine and read what was set before the first subscription, and permissions behind an atomic pointer. A
// Service is for any goroutine; its lock is a leaf.
package leaf
