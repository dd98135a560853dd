package config

// Plan is what a reload does, from [Diff].
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

func Diff(old, new *Options) *Plan { return &Plan{} }
