// Package engine holds the vocabulary of the connection side of the server: connection kinds,
// loop identities, the message passed between publishers and subscribers, and delivery verdicts.
//
// It has no behaviour and no goroutine; every engine/* package may import it.
package engine
