// Package storetest has what the tests of all stream stores share: an oracle made of a slice and maps, and a driver that runs the same
// random operations on it and on a store. Used by tests only.
//
// Threading: the goroutine of the test.
package storetest
