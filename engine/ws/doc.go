// Package ws turns connections of the websocket listener into connections that other packages serve:
// TLS, the HTTP upgrade with its policy (origin, cookies, endpoints, compression), then the frame
// stage.
//
// Path of a connection:
//
//  1. accept.go: OnOpen starts the handshake timer and, unless no_tls, waits for a ClientHello.
//  2. accept.go: OnData feeds proto/ws.Parser; a refused request is answered and the next one awaited.
//  3. policy.go: origin; cookie.go: credentials.
//  4. accept.go: the 101 response leaves, netio's frame stage is pushed, the next handler takes over.
//
// Threading: everything runs on the connection's loop; nothing is shared but the options snapshot.
package ws
