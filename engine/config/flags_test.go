package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{ // want: what changes, or the error
		{"", ""},
		{"-p 5", "Port = 5"},
		{"--port=5 -a 127.0.0.1 --net h", "Host = \"h\"|Port = 5|HTTPHost = \"h\""},
		{"-p -1", "Port = -1"},
		{"-p 0x10", "Port = 16"},
		{"-n x", "ServerName = \"x\""},
		{"--server_name x", "ServerName = \"x\""},
		{"-m 8222 -ms 8443", "HTTPPort = 8222|HTTPSPort = 8443"},
		{"-P /p --ports_file_dir /d", "PidFile = \"/p\"|PortsFileDir = \"/d\""},
		{"-l /l -T=false -logtime_utc -s -r udp://x:514 --log_size_limit 5 --max_traced_msg_len 7",
			"Log.Time = false|Log.TimeUTC = true|Log.File = \"/l\"|Log.SizeLimit = 5|Log.Syslog = true|Log.RemoteSyslog = \"udp://x:514\"|MaxTracedMsgLen = 7"},
		{"-D", "Log.Debug = true"},
		{"-V", "Log.Trace = true"},
		{"-VV", "Log.Trace = true|Log.TraceVerbose = true"},
		{"-DV", "Log.Debug = true|Log.Trace = true"},
		{"-DVV", "Log.Debug = true|Log.Trace = true|Log.TraceVerbose = true"},
		{"--user a --pass b", "Auth.User = \"a\"|Auth.Pass = \"b\""},
		{"--auth t", "Auth.Token = \"t\""},
		{"-sd /s", "StoreDir = \"/s\""},
		{"--tls=false", "NoTLS = true"},
		{"--reactor epoll --loops 2 --log_format json", "Log.Format = \"json\"|Reactor = \"epoll\"|Loops = 2"},
		{"--client_advertise a:1 --profile 6060", "ClientAdvertise = \"a:1\"|ProfPort = 6060"},
		{"-x", "flag provided but not defined: -x"},
		{"--prot 5", "flag provided but not defined: -prot (did you mean -port?)"},
		{"-p", "flag needs an argument: -p"},
		{"-p x", "invalid value \"x\" for flag -p: parse error"},
		{"-D=x", "invalid boolean value \"x\" for -D: parse error"},
		{"---p 5", "bad flag syntax: ---p"},
		{"-=5", "bad flag syntax: -=5"},
		{"foo", "unrecognized command: \"foo\""},
		{"-- foo", "unrecognized command: \"foo\""},
		{"--tls", "TLS Server certificate must be present and valid"},
		{"--tlscert a", "TLS Server private key must be present and valid"},
		{"--tls --tlscert nope --tlskey nope", "error parsing X509 certificate/key pair: open nope: no such file or directory"},
		{"--cluster %zz", "could not parse cluster URL"},
		{"--routes %zz", "error parsing route url [\"%zz\"]"},
	} {
		fl, err := ParseFlags("ramjet", strings.Fields(c.args))
		if err != nil {
			if c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.args, err, c.want)
			}
			usage := strings.HasPrefix(err.Error(), "flag ") || strings.HasPrefix(err.Error(), "invalid ") || strings.HasPrefix(err.Error(), "bad ")
			if IsUsageError(err) != usage {
				t.Errorf("%s: usage error %v", c.args, IsUsageError(err))
			}
			continue
		}
		o, _, err := Load("", fl)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.TrimSpace(changed(o)), "\n", "|"); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.args, got, c.want)
		}
	}
}

func TestFlagsForOtherThings(t *testing.T) {
	for args, ok := range map[string]func(f *Flags) bool{
		"-h":                  func(f *Flags) bool { return f.Help },
		"help":                func(f *Flags) bool { return f.Help },
		"--help":              func(f *Flags) bool { return f.Help },
		"-v":                  func(f *Flags) bool { return f.Version },
		"version":             func(f *Flags) bool { return f.Version },
		"--help_tls":          func(f *Flags) bool { return f.HelpTLS },
		"-c x -t":             func(f *Flags) bool { return f.Check && f.ConfigFile == "x" },
		"-sl reload=/run/pid": func(f *Flags) bool { return f.Signal == "reload=/run/pid" },
		"--signal=stop":       func(f *Flags) bool { return f.Signal == "stop" },
	} {
		f, err := ParseFlags("ramjet", strings.Fields(args))
		if err != nil || !ok(f) {
			t.Errorf("%s: %+v %v", args, f, err)
		}
	}
}

// TestFlagsOverTheFile: flags win over the file, at every load.
func TestFlagsOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fl, err := ParseFlags("ramjet", []string{"-c", file, "-p", "5000", "-D=false", "--cluster", "nats://u:p@127.0.0.1:6000", "--cluster_name", "X", "--routes", "nats://a:1, nats://b:2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"port: 4000\ndebug: true\nmax_payload: 100\ncluster { name: Y, port: 1, pool_size: 7 }", "port: 4001\ndebug: true\nmax_payload: 200\ncluster { pool_size: 7 }"} {
		write(text)
		o, _, err := Load(fl.ConfigFile, fl)
		if err != nil {
			t.Fatal(err)
		}
		c := o.Cluster
		if o.Port != 5000 || o.Log.Debug || o.MaxPayload > 200 || o.File != file || !strings.HasPrefix(o.Digest, "sha256:") {
			t.Errorf("%+v", o)
		}
		if c.Port != 6000 || c.Name != "X" || c.PoolSize != 7 || c.Auth.User != "u" || c.Auth.Pass != "p" || len(c.Routes) != 2 || c.Routes[1].Host != "b:2" {
			t.Errorf("%+v", c)
		}
	}
}

func TestRoutesNeedACluster(t *testing.T) {
	fl, err := ParseFlags("ramjet", []string{"--routes", "nats://a:1"})
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := Load("", fl)
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(o); err == nil || err.Error() != "solicited routes require cluster capabilities, e.g. --cluster" {
		t.Error(err)
	}
}

func TestJetStreamFlag(t *testing.T) {
	fl, err := ParseFlags("ramjet", []string{"-js"})
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := Load("", fl)
	if err != nil || !o.JetStream.Enabled || !o.JetStream.Strict {
		t.Fatalf("%+v %v", o, err)
	}
	if err := Unsupported(o); err != nil {
		t.Error(err)
	}
}

// TestUsageNamesEveryFlag: the help is complete.
func TestUsageNamesEveryFlag(t *testing.T) {
	text := Usage("ramjet") + UsageTLS("ramjet")
	if strings.Contains(text, "PROGRAM") {
		t.Error("the name of the program is missing")
	}
	for _, f := range flagTable() {
		for n := range strings.FieldsSeq(f.names) {
			if (f.on == nil) == (f.set == nil) {
				t.Errorf("flag %s needs exactly one action", n)
			}
			if n != "config" && !strings.Contains(text, "-"+n) {
				t.Errorf("the usage does not name -%s", n)
			}
		}
	}
}
