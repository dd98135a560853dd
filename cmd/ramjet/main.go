package main

import (
	"fmt"
	"io"
	"os"

	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/engine/server"
)

const program = "ramjet"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "%s: %s\n", program, err)
		return 1
	}
	if len(args) > 0 && args[0] == "check" {
		return checkStore(args[1:], stdout, stderr)
	}
	flags, err := config.ParseFlags(program, args)
	if err != nil {
		return flagError(err, stdout, stderr)
	}
	switch {
	case flags.Version:
		fmt.Fprintf(stdout, "%s: v%s (NATS %s)\n", program, server.Version, server.NATSVersion)
		return 0
	case flags.HelpTLS:
		fmt.Fprintln(stdout, config.UsageTLS(program))
		return 0
	case flags.Help:
		fmt.Fprintln(stdout, config.Usage(program))
		return 0
	case flags.Signal != "":
		if err := sendSignal(flags.Signal); err != nil {
			return fail(err)
		}
		return 0
	case flags.Check:
		return checkConfig(flags, stderr)
	}
	load := func() (*config.Options, []string, error) { return config.Load(flags.ConfigFile, flags) }
	opts, warnings, err := load()
	if err != nil {
		return fail(err)
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "%s: %s\n", program, w)
	}
	redactArgs(os.Args)
	server.TuneMemory()
	s, err := server.New(opts, server.Env{Load: load})
	if err != nil {
		return fail(err)
	}
	stop := handleSignals(s)
	defer stop()
	if err := s.Start(); err != nil {
		return 1 // logged
	}
	s.Wait()
	if s.Err() != nil {
		return 1 // logged
	}
	return 0
}

// checkConfig is -t: 0 if the file can be started with, without a warning.
func checkConfig(flags *config.Flags, stderr io.Writer) int {
	if flags.ConfigFile == "" {
		fmt.Fprintf(stderr, "%s: must specify [-c, --config] option to check configuration file syntax\n", program)
		return 1
	}
	opts, warnings, err := config.Load(flags.ConfigFile, flags)
	if err == nil {
		err = config.Validate(opts)
	}
	if err == nil {
		err = config.Unsupported(opts)
	}
	if err == nil && len(opts.Operators) == 0 && len(opts.TrustedKeys) == 0 { // else accounts are not configuration
		_, err = account.NewRegistry(opts)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", program, err)
		return 1
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "%s: %s\n", program, w)
	}
	if len(warnings) > 0 {
		return 1
	}
	fmt.Fprintf(stderr, "%s: configuration file %s is valid (%s)\n", program, flags.ConfigFile, opts.Digest)
	return 0
}
