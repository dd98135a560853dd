package monitor

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// metric is one exported series family; names and meanings are documented in docs/metrics.md and do not change.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	// read emits the samples: one with no labels, or one per label value.
	read func(r *reading, emit func(v float64, labels ...string))
}

// reading is what one scrape looks at: sums taken once.
type reading struct {
	src Source
	c   link.Counters
	rss int64
	cpu float64

	remotes map[remoteKey]*remoteSums

	js      JetStream // nil: off
	stats   sysapi.JetStreamStats
	journal sysapi.JSJournal
	assets  map[string]JetStreamAssets // by account
}

func gauge(name, help string, read func(r *reading) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, one(read)}
}

func counter(name, help string, read func(r *reading) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, one(read)}
}

func one(read func(r *reading) float64) func(*reading, func(float64, ...string)) {
	return func(r *reading, emit func(float64, ...string)) { emit(read(r)) }
}

// jetStream is one of the series of a server that has JetStream; without it there is no sample.
func jetStream(name, help string, kind prometheus.ValueType, read func(r *reading) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), kind, func(r *reading, emit func(float64, ...string)) {
		if r.js != nil {
			emit(read(r))
		}
	}}
}

// byJSAccount is a gauge of the accounts that have JetStream enabled.
func byJSAccount(name, help string, read func(a *JetStreamAssets) float64) metric {
	return metric{prometheus.NewDesc(name, help, []string{"account"}, nil), prometheus.GaugeValue, func(r *reading, emit func(float64, ...string)) {
		for name, a := range r.assets {
			emit(read(&a), name)
		}
	}}
}

func jetStreamMetrics() []metric {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []metric{
		jetStream("ramjet_jetstream_ready", "1 when JetStream serves: it has recovered and its volume works.", gauge, func(r *reading) float64 {
			if r.js.Problem() == "" {
				return 1
			}
			return 0
		}),
		jetStream("ramjet_jetstream_memory_bytes", "Bytes of messages kept in memory.", gauge, func(r *reading) float64 { return float64(r.stats.Memory) }),
		jetStream("ramjet_jetstream_storage_bytes", "Bytes of messages kept in files.", gauge, func(r *reading) float64 { return float64(r.stats.Store) }),
		jetStream("ramjet_jetstream_max_memory_bytes", "Limit of bytes kept in memory.", gauge, func(r *reading) float64 { return float64(r.js.Config().MaxMemory) }),
		jetStream("ramjet_jetstream_max_storage_bytes", "Limit of bytes kept in files.", gauge, func(r *reading) float64 { return float64(r.js.Config().MaxStore) }),
		byJSAccount("ramjet_jetstream_streams", "Streams by account.", func(a *JetStreamAssets) float64 { return float64(a.Streams) }),
		byJSAccount("ramjet_jetstream_consumers", "Consumers by account.", func(a *JetStreamAssets) float64 { return float64(a.Consumers) }),
		byJSAccount("ramjet_jetstream_messages", "Stored messages by account.", func(a *JetStreamAssets) float64 { return float64(a.Messages) }),
		byJSAccount("ramjet_jetstream_bytes", "Bytes of stored messages by account.", func(a *JetStreamAssets) float64 { return float64(a.Bytes) }),
		jetStream("ramjet_jetstream_failed_assets", "Streams and consumers that do not serve.", gauge, func(r *reading) float64 { return float64(len(r.js.Problems())) }),
		jetStream("ramjet_jetstream_api_requests_total", "API requests.", counter, func(r *reading) float64 { return float64(r.stats.API.Total) }),
		jetStream("ramjet_jetstream_api_errors_total", "API requests answered with an error.", counter, func(r *reading) float64 { return float64(r.stats.API.Errors) }),
		jetStream("ramjet_jetstream_api_inflight", "API requests that wait or are worked on.", gauge, func(r *reading) float64 { return float64(r.stats.API.Inflight) }),
		jetStream("ramjet_jetstream_dropped_messages_total", "Messages refused because the queue of a worker was full.", counter, func(r *reading) float64 { return float64(r.js.Dropped()) }),
		jetStream("ramjet_journal_records_total", "Records written to the journal.", counter, func(r *reading) float64 { return float64(r.journal.Records) }),
		jetStream("ramjet_journal_bytes_total", "Bytes written to the journal.", counter, func(r *reading) float64 { return float64(r.journal.Bytes) }),
		jetStream("ramjet_journal_batches_total", "Writes to the journal: each holds what came during the last one.", counter, func(r *reading) float64 { return float64(r.journal.Batches) }),
		jetStream("ramjet_journal_syncs_total", "Syncs of the journal.", counter, func(r *reading) float64 { return float64(r.journal.Syncs) }),
		jetStream("ramjet_journal_sync_seconds_total", "Time spent in syncs of the journal.", counter, func(r *reading) float64 { return r.journal.SyncTime.Seconds() }),
		jetStream("ramjet_storage_damage_total", "Findings of damage in the journal and in streams.", counter, func(r *reading) float64 { return float64(r.journal.Damage) }),
		jetStream("ramjet_journal_files", "Journal files in use.", gauge, func(r *reading) float64 { return float64(r.journal.Files) }),
		jetStream("ramjet_journal_queued_bytes", "Bytes that wait to be written to the journal.", gauge, func(r *reading) float64 { return float64(r.journal.Queued) }),
	}
}

// kinds of connections by label.
var metricKinds = map[engine.Kind]string{engine.Client: "client", engine.Router: "route", engine.Gateway: "gateway", engine.Leaf: "leafnode"}

func byKind(read func(r *reading, k engine.Kind) float64) func(*reading, func(float64, ...string)) {
	return func(r *reading, emit func(float64, ...string)) {
		for k, name := range metricKinds {
			emit(read(r, k), name)
		}
	}
}

func byAccount(read func(a *account.Account) float64) func(*reading, func(float64, ...string)) {
	return func(r *reading, emit func(float64, ...string)) {
		r.src.Accounts().Range(func(a *account.Account) bool {
			emit(read(a), a.Name())
			return true
		})
	}
}

func metricTable() []metric {
	labelled := func(name, help, label string, kind prometheus.ValueType, read func(*reading, func(float64, ...string))) metric {
		return metric{prometheus.NewDesc(name, help, []string{label}, nil), kind, read}
	}
	return []metric{
		{prometheus.NewDesc("ramjet_info", "Constant 1; labels name the server and its versions.", []string{"server_id", "server_name", "version"}, nil),
			prometheus.GaugeValue, func(r *reading, emit func(float64, ...string)) { emit(1, r.src.ID(), r.src.Name(), r.src.Version()) }},
		gauge("ramjet_start_time_seconds", "Start of the server, unix time.", func(r *reading) float64 { return float64(r.src.StartTime().UnixNano()) / 1e9 }),
		gauge("ramjet_ready", "1 when clients can be served.", func(r *reading) float64 {
			if ok, _ := r.src.Ready(); ok {
				return 1
			}
			return 0
		}),
		gauge("ramjet_resident_memory_bytes", "Resident memory of the process.", func(r *reading) float64 { return float64(r.rss) }),
		labelled("ramjet_connections", "Open connections by kind.", "kind", prometheus.GaugeValue,
			byKind(func(r *reading, k engine.Kind) float64 { return float64(r.src.Registry().Count(k)) })),
		counter("ramjet_connections_accepted_total", "Connections since the start.", func(r *reading) float64 { return float64(r.src.Registry().Total()) }),
		labelled("ramjet_account_connections", "Open client connections by account.", "account", prometheus.GaugeValue,
			byAccount(func(a *account.Account) float64 { n, _ := a.Conns(); return float64(n) })),
		labelled("ramjet_account_subscriptions", "Subscriptions by account.", "account", prometheus.GaugeValue,
			byAccount(func(a *account.Account) float64 { return float64(a.Index().Count()) })),
		counter("ramjet_in_messages_total", "Messages received from all kinds of connections.", func(r *reading) float64 { return float64(r.c.InMsgs) }),
		counter("ramjet_in_bytes_total", "Message bytes received from all kinds of connections.", func(r *reading) float64 { return float64(r.c.InBytes) }),
		counter("ramjet_out_messages_total", "Messages sent to all kinds of connections.", func(r *reading) float64 { return float64(r.c.OutMsgs) }),
		counter("ramjet_out_bytes_total", "Message bytes sent to all kinds of connections.", func(r *reading) float64 { return float64(r.c.OutBytes) }),
		counter("ramjet_client_in_messages_total", "Messages received from clients.", func(r *reading) float64 { return float64(r.c.InClientMsgs) }),
		counter("ramjet_client_in_bytes_total", "Message bytes received from clients.", func(r *reading) float64 { return float64(r.c.InClientBytes) }),
		counter("ramjet_client_out_messages_total", "Messages sent to clients.", func(r *reading) float64 { return float64(r.c.OutClientMsgs) }),
		counter("ramjet_client_out_bytes_total", "Message bytes sent to clients.", func(r *reading) float64 { return float64(r.c.OutClientBytes) }),
		labelled("ramjet_slow_consumers_total", "Connections that did not keep up, by kind.", "kind", prometheus.CounterValue,
			byKind(func(r *reading, k engine.Kind) float64 { return float64(r.c.SlowByKind[k]) })),
		labelled("ramjet_stale_connections_total", "Connections closed because they did not answer PING, by kind.", "kind", prometheus.CounterValue,
			byKind(func(r *reading, k engine.Kind) float64 { return float64(r.c.StaleByKind[k]) })),
		counter("ramjet_stalled_producers_total", "Times a producer was held back for slow consumers.", func(r *reading) float64 { return float64(r.c.Stalled) }),
		counter("ramjet_panics_total", "Bugs that were contained, each at the price of one connection.", func(r *reading) float64 { return float64(r.src.Panics()) }),
	}
}

// collector reads the table for each scrape; it holds no state.
type collector struct {
	src   Source
	table []metric
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.table {
		ch <- c.table[i].desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	r := &reading{src: c.src, js: c.src.JetStream(), c: c.src.Counters(), assets: map[string]JetStreamAssets{}}
	if js := r.js; js != nil {
		r.stats, r.journal = js.Stats(), js.Journal()
		for _, a := range js.Accounts() {
			r.assets[a] = js.Assets(a)
		}
	}
	r.rss, r.cpu = c.src.Usage()
	r.remotes = readRemotes(c.src)
	for i := range c.table {
		m := &c.table[i]
		m.read(r, func(v float64, labels ...string) { ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...) })
	}
}

// newMetrics returns the /metrics page: OpenMetrics for scrapers that accept it, else the older text format.
func newMetrics(src Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{src, slices.Concat(metricTable(), remoteMetrics(), jetStreamMetrics())}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
