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
