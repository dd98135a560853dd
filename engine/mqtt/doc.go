// Package mqtt serves MQTT 3.1.1 clients, over TCP, TLS and websocket: handshake, sessions, PUBLISH in both
// directions with QoS 0 to 2, retained messages, wills. What has to be kept is kept by a [Storage] per
// account, over JetStream.
//
// Hot path of a PUBLISH from a client:
//
//  1. link.Conn.OnData decodes the packet with Client.Next and calls Client.OnPacket.
//  2. publish.go: topic to subject, mapping, size, permission.
//  3. The message is published through dispatch for subscribers that want it without delivery guarantee.
//  4. QoS 1: the message is stored; its place in the pipeline (pipeline.go) is answered with PUBACK when the
//     store has acknowledged it, in the order of arrival. QoS 2: it is held until PUBREL (qos2.go).
//
// Hot path of a delivery (sub.go): a subscription is a Sink of its own. QoS 0 is encoded into what the
// producer has staged for the connection. What a consumer delivers gets a packet identifier from the session
// (inflight.go) under the session's lock, and is acknowledged to the consumer when the client has.
//
// Threading: a Client belongs to the loop of its connection. Answers of the Storage come on any goroutine
// and are posted to the loop; while CONNECT, SUBSCRIBE or UNSUBSCRIBE wait for them, the connection is not
// read. A Session and a Manager have a lock each: Manager before Session, nothing is called under either but
// pure functions. The locks of a pipeline and a gate are leaves.
package mqtt
