// Package mqtt reads and writes MQTT 3.1.1 packets and converts between MQTT topics and NATS subjects:
// bytes in, values out.
//
// Reading one packet (Next):
//  1. The first byte is judged at once: before CONNECT nothing else is let in, and reserved flag bits are
//     an error of their own.
//  2. The remaining length is decoded and bounded before anything is kept for it.
//  3. When the packet is complete its variable header is cut into slices of the buffer; SUBSCRIBE,
//     UNSUBSCRIBE and CONNECT keep their body for Filters and ParseConnect.
//
// Writing: Append functions that add to the caller's buffer (append.go). Topics: AppendSubject and
// AppendTopic (topic.go). Sparkplug B: sparkplug.go.
//
// Threading: no state, no goroutine, no allocation but for errors and CONNECT; any goroutine. Decoded
// slices are borrowed from the buffer given to Next.
package mqtt
