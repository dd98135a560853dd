// Package main of cmd/lint holds the rules of the house as data and the tests that enforce them:
// which package may import which (layers.go) and which calls are forbidden where (forbidden.go).
//
//  1. layers_test.go lists every package of the module with go list and checks each import edge.
//  2. forbidden_test.go parses every Go file and checks calls and declarations.
//
// Running the command prints the layer table. It has no threads.
package main
