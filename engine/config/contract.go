package config

// CONTRACT: signatures other packages compile against; the owner replaces the bodies.

// Load reads file (may be ""), applies flags over it and fills defaults (Baseline). warnings are the
// lines nats-server prints as warnings. On error nothing is usable; the error is an *ErrorList.
func Load(file string, flags *Flags) (opts *Options, warnings []string, err error) { panic("contract") }

// Baseline fills defaults (limits_and_defaults.md) into o.
func Baseline(o *Options) { panic("contract") }

// Validate applies the cross-option rules of reference/config.md section 11.
func Validate(o *Options) error { panic("contract") }

// Flags is the parsed command line; see ParseFlags.
type Flags struct {
	ConfigFile             string
	Check                  bool   // -t
	Signal                 string // -sl
	Version, Help, HelpTLS bool
	Apply                  func(o *Options) // sets in o what was given on the command line
}

// ParseFlags parses args (without the program name), with nats-server's flags, errors and usage.
func ParseFlags(program string, args []string) (*Flags, error) { panic("contract") }

// Plan is what a reload does, from Diff.
type Plan struct {
	Hot, Conn, Listener []Change // applied in this order
	Refused             []Change // non-empty: the reload fails as a whole
}

// Change is one changed field.
type Change struct {
	Field    string // Go-style name used in messages, as nats-server prints it
	Key      string // configuration key
	Old, New string // secrets redacted
}

// Diff compares two configurations by the field table (class.go).
func Diff(old, new *Options) *Plan { panic("contract") }
