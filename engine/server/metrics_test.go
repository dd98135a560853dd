package server

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"ramjet/engine/config"
	"ramjet/store/vfs"
)

// wantMetrics waits until the page of s has every line, whose last word is a pattern.
func wantMetrics(t *testing.T, s *Server, lines ...string) {
	t.Helper()
	for _, line := range lines {
		at := strings.LastIndexByte(line, ' ')
		pattern := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(line[:at]) + " " + line[at+1:] + "$")
		until(t, line, func() bool {
			res, err := http.Get(fmt.Sprintf("http://%s/metrics", s.addrs.Load().http))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			b, err := io.ReadAll(res.Body)
			return err == nil && pattern.Match(b)
		})
	}
}

// TestMetricsOfRemotes: what leads to other servers is in the metrics, by where it leads.
func TestMetricsOfRemotes(t *testing.T) {
	monitored := func(o *config.Options) { o.HTTPHost, o.HTTPPort = "127.0.0.1", -1 }
	a := member(t, "a", func(o *config.Options) {
		monitored(o)
		o.Leafnodes = &config.LeafOptions{Host: "127.0.0.1", Port: -1}
	})
	b := member(t, "b", nil, a)
	formed(t, a, b)
	spoke(t, "S", "nats://"+a.addrs.Load().leaf.String(), "", "")
	n, nb := dialMember(t, a), dialMember(t, b)
	sub := subscribed(t, nb, "x", "")
	heard(t, a, "$G", "x")
	if err := n.Publish("x", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	arrives(t, sub)
	wantMetrics(t, a, `ramjet_remote_connections{kind="route",remote="b"} 4`, `ramjet_remote_out_messages{kind="route",remote="b"} [1-9].*`,
		`ramjet_remote_out_bytes{kind="route",remote="b"} [1-9].*`, `ramjet_remote_subscriptions{kind="route",remote="b"} [1-9].*`,
		`ramjet_remote_connections{kind="leafnode",remote="$G"} 1`)

	o := clusterOptions("X")
	monitored(o)
	x, _ := testServer(t, o)
	y, _ := testServer(t, clusterOptions("Y", x))
	joined(t, 1, x, y)
	wantMetrics(t, x, `ramjet_remote_connections{kind="gateway",remote="Y"} 2`)
}

// TestMetricsOfMQTT: sessions, those that are connected, what they have not acknowledged, and retained messages.
func TestMetricsOfMQTT(t *testing.T) {
	s, _ := mqttServer(t, vfs.NewMem(), &config.Options{HTTPHost: "127.0.0.1", HTTPPort: -1})
	p := mqttConnect(t, s, mqttLogin{id: "a"}, false)
	mqttConnect(t, s, mqttLogin{id: "b"}, false)
	p.send(mqttPublish("kept", 0, true, 0, "x"))
	wantMetrics(t, s, `ramjet_mqtt_sessions{account="$G"} 2`, `ramjet_mqtt_connected_sessions{account="$G"} 2`,
		`ramjet_mqtt_inflight_messages{account="$G"} 0`, `ramjet_mqtt_retained_messages{account="$G"} 1`)
}
