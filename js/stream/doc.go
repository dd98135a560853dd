// Package stream is the machine of a stream: what a leader decides about each inbound message (Front) and what every
// replica does with the decision (Machine).
package stream
