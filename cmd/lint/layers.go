package main

import "strings"

// layer says what packages matching pkg may import from this module. Patterns end in "/*" for one
// level, "/..." for a subtree and the path itself; paths are relative to the module.
type layer struct {
	pkg    string
	allow  []string
	noStd  []string // standard library packages that are forbidden
	reason string
}

var (
	base      = []string{"proto/base/..."}
	pure      = []string{"proto/base/...", "proto/subject/..."}
	protoAll  = []string{"proto/..."}
	engineLow = append([]string{"engine"}, protoAll...)
	noIO      = []string{"net", "net/...", "os", "os/...", "time", "sync", "io/fs"}
)

func with(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// layers is the import table of docs/architecture.md, section 3; the first matching rule counts.
var layers = []layer{
	{"proto/base/invariant", base, []string{"net", "net/..."}, "the floor knows neither NATS nor I/O; invariant may read the environment"},
	{"proto/base/...", base, []string{"net", "net/...", "os", "os/..."}, "the floor knows neither NATS nor I/O"},
	{"proto/jsapi", with(pure, []string{"proto/header"}), []string{"net", "net/...", "os", "os/..."}, "API types are data"},
	{"proto/sysapi", with(pure, []string{"proto/header", "proto/jsapi"}), []string{"net", "net/...", "os", "os/..."}, "API types are data"},
	{"proto/...", pure, noIO, "proto is pure: bytes in, values out"},

	{"store", base, nil, "vocabulary only"},
	{"raft", base, nil, "vocabulary only"},
	{"js", base, nil, "vocabulary only"},
	{"engine", base, nil, "vocabulary only"},

	{"store/vfs", with(base, []string{"store"}), nil, "the floor of storage"},
	{"store/seqset", pure, nil, "a data structure"},
	{"store/subjidx", pure, nil, "a data structure"},
	{"store/crypt", with(pure, []string{"store"}), nil, "codecs"},
	{"store/journal", with(base, []string{"store", "store/vfs", "store/crypt"}), nil, "the journal knows records, not what they mean"},
	{"store/...", with(protoAll, []string{"store/..."}), nil, "stores know disk and headers, nothing above"},

	{"raft/wire", base, nil, "encoding of the library's messages"},
	{"raft/rlog", with(base, []string{"raft", "raft/wire", "store", "store/journal", "store/vfs"}), nil, "the log of one group over the journal"},
	{"raft/...", with(base, []string{"raft/...", "store", "store/journal", "store/vfs"}), nil, "consensus knows no streams and no sockets"},

	{"js/op", with(protoAll, []string{"js"}), nil, "command codec"},
	{"js/backup", with(protoAll, []string{"js", "store", "store/seqset"}), []string{"net", "net/...", "os", "os/...", "io/fs"}, "bytes in, values out: the caller has the streams and the clock"},
	{"js/host", with(protoAll, []string{"js/...", "raft/...", "store/..."}), nil, "the runtime joins machines, consensus and stores; JetStream must run without sockets"},
	{"js/jstest", with(protoAll, []string{"js/...", "raft/...", "store/..."}), nil, "oracle and generators"},
	{"js/...", with(protoAll, []string{"js/...", "store", "raft"}), nil, "machines declare the ports they need; no store, no raft, no sockets"},

	{"engine/netio", with(base, []string{"engine", "proto/ws", "proto/proxyproto"}), nil, "the only package that knows the reactor; it knows no NATS"},
	{"engine/config", with(protoAll, []string{"engine"}), nil, "a leaf of plain data"},
	{"engine/ocsp", with(engineLow, []string{"engine/config"}), nil, "certificates' status, no connections"},
	{"engine/interest", engineLow, nil, "an index knows no connection"},
	{"engine/account", with(engineLow, []string{"engine/interest", "engine/config"}), nil, "accounts know no connection"},
	{"engine/trace", with(engineLow, []string{"engine/interest", "engine/account", "engine/config"}), nil, "what became of a message, told by those who route it"},
	{"engine/auth", with(engineLow, []string{"engine/account", "engine/interest", "engine/config", "engine/netio"}), nil, "authentication sees requests, not links"},
	{"engine/dispatch", with(engineLow, []string{"engine/interest", "engine/account", "engine/trace", "engine/config"}), nil, "routing sees sinks, not links"},
	{"engine/link", with(engineLow, []string{"engine/netio", "engine/dispatch", "engine/interest", "engine/account", "engine/trace", "engine/auth", "engine/config"}), nil, "what all connection kinds share"},
	{"engine/ws", with(engineLow, []string{"engine/netio", "engine/link", "engine/config", "engine/auth", "engine/account", "engine/interest", "engine/dispatch"}), nil, "connection kinds never import each other"},
	{"engine/client", with(engineLow, kindDeps), nil, "connection kinds never import each other"},
	{"engine/cluster", with(engineLow, kindDeps), nil, "connection kinds never import each other"},
	{"engine/gateway", with(engineLow, kindDeps), nil, "connection kinds never import each other"},
	{"engine/leaf", with(engineLow, kindDeps), nil, "connection kinds never import each other"},
	{"engine/mqtt", with(engineLow, kindDeps), nil, "connection kinds never import each other"},
	{"engine/sysacc", with(engineLow, kindDeps), nil, "reports about links, never drives them"},
	{"engine/monitor", with(engineLow, kindDeps), nil, "reads snapshots, takes no data-path lock"},
	{"engine/server", []string{"..."}, nil, "the composition root"},
	{"engine/simtest", []string{"..."}, nil, "whole-cluster simulation, tests only"},
	{"cmd/...", []string{"..."}, nil, "programs"},
	{"bench", []string{"..."}, nil, "scenarios"},
}

var kindDeps = []string{"engine/link", "engine/trace", "engine/netio", "engine/dispatch", "engine/auth", "engine/account", "engine/interest", "engine/config"}

// external limits who may import a package from outside the module.
type external struct {
	path   string // prefix
	allow  []string
	reason string
}

var externals = []external{
	{"github.com/panjf2000/gnet", []string{"engine/netio"}, "only netio knows the reactor"},
	{"go.etcd.io/raft", []string{"raft/..."}, "only raft drives consensus"},
	{"github.com/nats-io/nats.go", []string{"bench", "cmd/...", "engine/simtest"}, "the client library is for tests, bench and commands"},
	{"github.com/minio/highwayhash", []string{"js/backup", "cmd/..."}, "checksums of foreign files"},
	{"github.com/nats-io/jwt", []string{"engine/account", "engine/auth", "engine/server", "engine/sysacc", "engine/monitor", "proto/sysapi"}, "tokens are an account matter"},
	{"github.com/prometheus/", []string{"engine/monitor", "engine/server"}, "metrics are exported in one place"},
	{"golang.org/x/crypto", []string{"engine/auth", "engine/ocsp", "store/crypt", "cmd/..."}, "cryptography stays where it is reviewed"},
	{"math/rand", []string{}, "seeded sources only: proto/base/rng"},
	{"testing", []string{}, "testing never in production files"},
}

// matches reports whether path (relative to the module) fits pattern.
func matches(pattern, path string) bool {
	switch {
	case pattern == "...":
		return true
	case strings.HasSuffix(pattern, "/..."):
		root := strings.TrimSuffix(pattern, "/...")
		return path == root || strings.HasPrefix(path, root+"/")
	}
	return pattern == path
}

// ruleFor returns the first rule that matches the package.
func ruleFor(path string) *layer {
	for i := range layers {
		if matches(layers[i].pkg, path) {
			return &layers[i]
		}
	}
	return nil
}

// allowed reports whether any of the patterns matches.
func allowed(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}
