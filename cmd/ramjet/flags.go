package main

import (
	"fmt"
	"io"

	"ramjet/engine/config"
)

// flagError reports a command line that cannot be parsed, and returns the exit code. As with nats-server,
// an unknown or malformed flag prints the usage and counts as asking for help.
func flagError(err error, stdout, stderr io.Writer) int {
	if config.IsUsageError(err) {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stdout, config.Usage(program))
		return 0
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, err)
	return 1
}
