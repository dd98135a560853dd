// Package jstest holds what the machines of js are tested with: a log of a stream in a slice and oracles, which do the
// same as the machines in the dumbest way.
//
//  1. A test makes random operations and applies them to machine and oracle.
//  2. Both write down what they did as lines; the lines have to be equal.
//
// One goroutine.
package jstest
