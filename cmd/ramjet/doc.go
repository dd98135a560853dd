// Command ramjet is a NATS server. It takes the flags, configuration files and signals of nats-server.
//
// Everything it does beyond the command line is in engine/server. Threading: main waits for the server to
// end; one goroutine handles signals, one at a time.
package main
