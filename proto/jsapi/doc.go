// Package jsapi holds the JetStream API as data: configurations, requests, responses, errors, subjects and
// the wire forms of acks, pull requests and publish acknowledgements.
//
// Hot paths, all allocation-free on their fast path:
//
//  1. AppendPubAck writes the acknowledgement of a publish.
//  2. ParseNext reads a pull request.
//  3. AppendAckReply writes the reply subject of a delivery, ParseAckReply reads it back from an ack.
//  4. ParseAck reads the body of an ack.
//
// Pure values: no goroutine, no I/O, no clock.
package jsapi
