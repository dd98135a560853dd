package account

import (
	"ramjet/engine/config"
	"ramjet/proto/subject"
)

// compileMappings compiles the subject mappings of one account; nil when it has none. cluster is the
// name of the server's cluster, which entries for one cluster compare with.
func compileMappings(maps []*config.Mapping, cluster string) (*subject.Table, error) {
	if len(maps) == 0 {
		return nil, nil
	}
	in := make([]subject.Mapping, len(maps))
	for i, m := range maps {
		in[i].Source = m.Source
		for _, d := range m.Dests {
			in[i].Dests = append(in[i].Dests, subject.Dest{Subject: d.Subject, Weight: d.Weight, Cluster: d.Cluster})
		}
	}
	return subject.NewTable(in, cluster)
}

func clusterName(opts *config.Options) string {
	if opts.Cluster == nil {
		return ""
	}
	return opts.Cluster.Name
}

// What of JetStream is reached through its domain: the API, and what key-value and object stores publish.
var (
	apiOfDomain    = []string{"INFO", "STREAM.>", "CONSUMER.>", "DIRECT.>", "META.>", "SERVER.>", "ACCOUNT.>"}
	storesOfDomain = []string{"$KV.>", "$OBJ.>"}
)

// domainMappings returns the mappings that JetStream domains make in the account called name (reference/interserver.md,
// section 3.7). The API of the own domain has subscriptions of its own; an account whose default domain is another
// server's is led there.
func domainMappings(opts *config.Options, name string, system bool) (list []*config.Mapping) {
	if system {
		return nil
	}
	add := func(from, to string) {
		list = append(list, &config.Mapping{Source: from, Dests: []config.MapDest{{Subject: to, Weight: 100}}})
	}
	if j := opts.JetStream; j != nil && j.Enabled && j.Domain != "" {
		for _, s := range storesOfDomain {
			add("$JS."+j.Domain+".API."+s, s)
		}
	}
	if d := opts.DefaultJSDomain[name]; d != "" {
		for _, s := range apiOfDomain {
			add("$JS.API."+s, "$JS."+d+".API."+s)
		}
		for _, s := range storesOfDomain {
			add(s, "$JS."+d+".API."+s)
		}
	}
	return list
}
