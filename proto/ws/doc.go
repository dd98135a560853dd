// Package ws is the byte format of WebSocket: the HTTP/1.1 upgrade (RFC 6455, section 4), frames
// (section 5), masking, close frames and per-message compression (RFC 7692). Bytes in, values out.
//
// Path of inbound bytes:
//
//  1. upgrade.go: a Parser takes the request in pieces of any size; Request.Check is the verdict;
//     AppendSwitching or AppendError is the answer.
//  2. frame.go: Decoder.Next turns bytes into events: pieces of message data (unmasked in place, not
//     joined: a NATS stream is the concatenation of payloads) and whole control frames.
//  3. deflate.go: an Inflater expands a compressed message once all its bytes are there.
//
// Path of outbound bytes: AppendHeader before a payload, Deflater.Append for a compressed one,
// AppendClose at the end.
//
// Threading: every value belongs to one goroutine at a time; nothing here locks, blocks or reads a
// clock. Uncompressed frames are decoded and encoded without allocation.
//
// Facts: reference/websocket_mqtt.md, sections A1 and A2; the error texts are those nats-server logs.
package ws
