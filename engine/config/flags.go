package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Flags is the parsed command line; see [ParseFlags].
type Flags struct {
	ConfigFile             string
	Check                  bool   // -t
	Signal                 string // -sl
	Version, Help, HelpTLS bool
	// Apply sets in o what was given on the command line, over what the file says. Load calls it, also at
	// a reload.
	Apply func(o *Options)
}

// flagRow is one row of the table of flags. Exactly one of on (boolean) and set (with a value) is given.
type flagRow struct {
	names string
	on    func(p *flagParser, on bool)
	set   func(p *flagParser, value string) error
}

// flagParser collects what the flags mean.
type flagParser struct {
	flags   Flags
	apply   []func(o *Options)
	cluster string // --cluster
	listen  string // --cluster_listen
	routes  string
	tls     tlsFlags
}

func (p *flagParser) later(f func(o *Options)) { p.apply = append(p.apply, f) }

func text(f func(o *Options) *string) func(*flagParser, string) error {
	return func(p *flagParser, v string) error {
		p.later(func(o *Options) { *f(o) = v })
		return nil
	}
}

func number(f func(o *Options) *int) func(*flagParser, string) error {
	return func(p *flagParser, v string) error {
		n, err := strconv.ParseInt(v, 0, 32)
		if err != nil {
			return errors.New("parse error")
		}
		p.later(func(o *Options) { *f(o) = int(n) })
		return nil
	}
}

func toggle(f func(o *Options) *bool) func(*flagParser, bool) {
	return func(p *flagParser, on bool) { p.later(func(o *Options) { *f(o) = on }) }
}

// levels sets log levels together.
func levels(debug, trace, verbose bool) func(*flagParser, bool) {
	return func(p *flagParser, on bool) {
		p.later(func(o *Options) {
			for _, l := range []struct {
				asked bool
				level *bool
			}{{debug, &o.Log.Debug}, {trace, &o.Log.Trace}, {verbose, &o.Log.TraceVerbose}} {
				if l.asked {
					*l.level = on
				}
			}
		})
	}
}

func flagTable() []flagRow {
	own := func(f func(fl *Flags) *bool) func(*flagParser, bool) {
		return func(p *flagParser, on bool) { *f(&p.flags) = on }
	}
	word := func(f func(p *flagParser) *string) func(*flagParser, string) error {
		return func(p *flagParser, v string) error { *f(p) = v; return nil }
	}
	return []flagRow{
		{names: "a addr net", set: text(func(o *Options) *string { return &o.Host })},
		{names: "p port", set: number(func(o *Options) *int { return &o.Port })},
		{names: "n name server_name", set: text(func(o *Options) *string { return &o.ServerName })},
		{names: "client_advertise", set: text(func(o *Options) *string { return &o.ClientAdvertise })},
		{names: "P pid", set: text(func(o *Options) *string { return &o.PidFile })},
		{names: "ports_file_dir", set: text(func(o *Options) *string { return &o.PortsFileDir })},
		{names: "m http_port", set: number(func(o *Options) *int { return &o.HTTPPort })},
		{names: "ms https_port", set: number(func(o *Options) *int { return &o.HTTPSPort })},
		{names: "profile", set: number(func(o *Options) *int { return &o.ProfPort })},
		{names: "c config", set: word(func(p *flagParser) *string { return &p.flags.ConfigFile })},
		{names: "t", on: own(func(f *Flags) *bool { return &f.Check })},
		{names: "sl signal", set: word(func(p *flagParser) *string { return &p.flags.Signal })},
		{names: "l log", set: text(func(o *Options) *string { return &o.Log.File })},
		{names: "T logtime", on: toggle(func(o *Options) *bool { return &o.Log.Time })},
		{names: "logtime_utc", on: toggle(func(o *Options) *bool { return &o.Log.TimeUTC })},
		{names: "s syslog", on: toggle(func(o *Options) *bool { return &o.Log.Syslog })},
		{names: "r remote_syslog", set: text(func(o *Options) *string { return &o.Log.RemoteSyslog })},
		{names: "log_size_limit", set: func(p *flagParser, v string) error {
			n, err := strconv.ParseInt(v, 0, 64)
			if err != nil {
				return errors.New("parse error")
			}
			p.later(func(o *Options) { o.Log.SizeLimit = n })
			return nil
		}},
		{names: "max_traced_msg_len", set: number(func(o *Options) *int { return &o.MaxTracedMsgLen })},
		{names: "D debug", on: levels(true, false, false)},
		{names: "V trace", on: levels(false, true, false)},
		{names: "VV", on: levels(false, true, true)},
		{names: "DV", on: levels(true, true, false)},
		{names: "DVV", on: levels(true, true, true)},
		{names: "js jetstream", on: func(p *flagParser, on bool) {
			p.later(func(o *Options) { setJetStream(o, on) })
		}},
		{names: "sd store_dir", set: text(func(o *Options) *string { return &o.StoreDir })},
		{names: "user", set: text(func(o *Options) *string { return &o.Auth.User })},
		{names: "pass", set: text(func(o *Options) *string { return &o.Auth.Pass })},
		{names: "auth", set: text(func(o *Options) *string { return &o.Auth.Token })},
		{names: "tls", on: func(p *flagParser, on bool) { p.tls.on, p.tls.off = on, !on }},
		{names: "tlsverify", on: func(p *flagParser, on bool) { p.tls.verify = on }},
		{names: "tlscert", set: word(func(p *flagParser) *string { return &p.tls.cert })},
		{names: "tlskey", set: word(func(p *flagParser) *string { return &p.tls.key })},
		{names: "tlscacert", set: word(func(p *flagParser) *string { return &p.tls.ca })},
		{names: "routes", set: word(func(p *flagParser) *string { return &p.routes })},
		{names: "cluster", set: word(func(p *flagParser) *string { return &p.cluster })},
		{names: "cluster_listen", set: word(func(p *flagParser) *string { return &p.listen })},
		{names: "cluster_name", set: text(func(o *Options) *string { return &o.needCluster().Name })},
		{names: "cluster_advertise", set: text(func(o *Options) *string { return &o.needCluster().Advertise })},
		{names: "no_advertise", on: toggle(func(o *Options) *bool { return &o.needCluster().NoAdvertise })},
		{names: "connect_retries", set: number(func(o *Options) *int { return &o.needCluster().ConnectRetries })},
		{names: "h help", on: own(func(f *Flags) *bool { return &f.Help })},
		{names: "v version", on: own(func(f *Flags) *bool { return &f.Version })},
		{names: "help_tls", on: own(func(f *Flags) *bool { return &f.HelpTLS })},

		{names: "reactor", set: text(func(o *Options) *string { return &o.Reactor })},
		{names: "loops", set: number(func(o *Options) *int { return &o.Loops })},
		{names: "log_format", set: text(func(o *Options) *string { return &o.Log.Format })},
	}
}

// needCluster returns the cluster block, made if there is none.
func (o *Options) needCluster() *ClusterOptions {
	if o.Cluster == nil {
		o.Cluster = &ClusterOptions{}
	}
	return o.Cluster
}

func setJetStream(o *Options, on bool) {
	if o.JetStream == nil {
		o.JetStream = &JetStreamOptions{Strict: true}
	}
	o.JetStream.Enabled = on
}

// ParseFlags parses args (without the program's name), with the flags of NATS servers: one dash or two,
// "-name value" or "-name=value", -name alone for booleans. The words help and version are flags too.
// A malformed command line is an error for which [IsUsageError] holds. It reads certificates.
func ParseFlags(program string, args []string) (*Flags, error) {
	index := make(map[string]*flagRow)
	var names []string
	table := flagTable()
	for i := range table {
		for _, n := range strings.Fields(table[i].names) {
			index[n] = &table[i]
			names = append(names, n)
		}
	}
	p := &flagParser{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if len(arg) < 2 || arg[0] != '-' {
			if err := p.word(arg); err != nil {
				return nil, err
			}
			continue
		}
		if arg == "--" {
			for _, a := range args {
				if err := p.word(a); err != nil {
					return nil, err
				}
			}
			break
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f := index[name]
		switch {
		case name == "" || name[0] == '-':
			return nil, &usageError{"bad flag syntax: " + arg}
		case f == nil:
			advice := ""
			if c := nearest(name, names); len(name) > 2 && c != "" {
				advice = " (did you mean -" + c + "?)"
			}
			return nil, &usageError{"flag provided but not defined: -" + name + advice}
		case f.on != nil:
			on := true
			if given {
				var err error
				if on, err = strconv.ParseBool(value); err != nil {
					return nil, &usageError{fmt.Sprintf("invalid boolean value %q for -%s: parse error", value, name)}
				}
			}
			f.on(p, on)
			continue
		case !given && len(args) == 0:
			return nil, &usageError{"flag needs an argument: -" + name}
		case !given:
			value, args = args[0], args[1:]
		}
		if err := f.set(p, value); err != nil {
			return nil, &usageError{fmt.Sprintf("invalid value %q for flag -%s: %v", value, name, err)}
		}
	}
	return p.finish()
}

func (p *flagParser) word(w string) error {
	switch strings.ToLower(w) {
	case "help":
		p.flags.Help = true
	case "version":
		p.flags.Version = true
	default:
		return fmt.Errorf("unrecognized command: %q", w)
	}
	return nil
}

func (p *flagParser) finish() (*Flags, error) {
	fl := &p.flags
	if fl.Help || fl.Version || fl.HelpTLS {
		return fl, nil
	}
	if err := p.clusterFlags(); err != nil {
		return nil, err
	}
	if err := p.tls.finish(p); err != nil {
		return nil, err
	}
	apply := p.apply
	fl.Apply = func(o *Options) {
		for _, f := range apply {
			f(o)
		}
	}
	return fl, nil
}

// clusterFlags turns --cluster, --cluster_listen and --routes into options.
func (p *flagParser) clusterFlags() error {
	listen := p.cluster
	if p.listen != "" {
		listen = p.listen
	}
	if listen != "" {
		u, err := url.Parse(listen)
		if err != nil {
			return fmt.Errorf("could not parse cluster URL: %w", err)
		}
		port := 0
		if s := u.Port(); s != "" {
			if port, err = strconv.Atoi(s); err != nil {
				return fmt.Errorf("could not parse cluster port: %w", err)
			}
		}
		host, user := u.Hostname(), u.User
		p.later(func(o *Options) {
			c := o.needCluster()
			c.Host, c.Port = host, port
			if user != nil {
				c.Auth.User = user.Username()
				c.Auth.Pass, _ = user.Password()
			}
		})
	}
	if p.routes == "" {
		return nil
	}
	var routes []*url.URL
	for _, r := range strings.Split(p.routes, ",") {
		u, err := url.Parse(strings.TrimSpace(r))
		if err != nil {
			return fmt.Errorf("error parsing route url [%q]", r)
		}
		routes = append(routes, u)
	}
	p.later(func(o *Options) { o.needCluster().Routes = routes })
	return nil
}

// tlsFlags are --tls and its companions.
type tlsFlags struct {
	on, off, verify bool
	cert, key, ca   string
}

func (t *tlsFlags) finish(p *flagParser) error {
	if t.off {
		p.later(func(o *Options) { o.NoTLS, o.TLS = true, nil })
		return nil
	}
	if !t.on && !t.verify && t.cert == "" && t.key == "" && t.ca == "" {
		return nil
	}
	if t.cert == "" {
		return errors.New("TLS Server certificate must be present and valid")
	}
	if t.key == "" {
		return errors.New("TLS Server private key must be present and valid")
	}
	o := TLSOptions{CertFile: t.cert, KeyFile: t.key, CAFile: t.ca, Verify: t.verify}
	var err error
	if o.Config, err = BuildTLS(&o, false); err != nil {
		return err
	}
	p.later(func(opts *Options) {
		// Read again at each reload: certificates are renewed. They were readable at start; should they not
		// be now, the ones read before stay.
		fresh := o
		if c, err := BuildTLS(&fresh, false); err == nil {
			fresh.Config, o.Config = c, c
		}
		opts.TLS = &fresh
	})
	return nil
}
