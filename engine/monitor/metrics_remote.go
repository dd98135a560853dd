package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ramjet/engine"
	"ramjet/engine/link"
	"ramjet/proto/sysapi"
)

// remote is what metrics need of a connection to another server.
type remote interface {
	// MetricsName says where it leads to: the name of the other server of a route, of the cluster of a gateway, of the account of a
	// leafnode, of which there may be thousands. Any goroutine.
	MetricsName() string
}

// MQTT is what metrics need of the service of MQTT clients. Any goroutine.
type MQTT interface {
	// Usage calls fn for each account with sessions or retained messages.
	Usage(fn func(account string, u MQTTUsage))
}

// MQTTUsage is what one account has of MQTT.
type MQTTUsage struct{ Sessions, Connected, Inflight, Retained int }

// remoteKey names the connections that lead to one place.
type remoteKey struct {
	kind engine.Kind
	name string
}

// remoteSums are the figures of the open connections that lead to one place.
type remoteSums struct {
	conns, pending, subs               int
	rtt                                time.Duration // the longest
	inMsgs, outMsgs, inBytes, outBytes int64
}

// readRemotes sums the connections to other servers.
func readRemotes(src Source) map[remoteKey]*remoteSums {
	all := map[remoteKey]*remoteSums{}
	now := src.Now()
	for _, kind := range []engine.Kind{engine.Router, engine.Gateway, engine.Leaf} {
		src.Registry().Range(kind, func(c *link.Conn) bool {
			p, ok := c.Protocol().(remote)
			if !ok {
				return true
			}
			k := remoteKey{kind, p.MetricsName()}
			s := all[k]
			if s == nil {
				s = &remoteSums{}
				all[k] = s
			}
			var i sysapi.ConnInfo
			c.Snapshot(&i, now, false)
			s.conns++
			s.pending += i.Pending
			if r, ok := p.(interface{ RemoteSubs() int }); ok { // interest of a server, which is no subscription of a connection
				s.subs += r.RemoteSubs()
			} else {
				s.subs += int(i.NumSubs)
			}
			s.rtt = max(s.rtt, time.Duration(i.RTTNanos))
			s.inMsgs += i.InMsgs
			s.outMsgs += i.OutMsgs
			s.inBytes += i.InBytes
			s.outBytes += i.OutBytes
			return true
		})
	}
	return all
}

func remoteMetrics() []metric {
	remote := func(name, help string, read func(s *remoteSums) float64) metric {
		return metric{prometheus.NewDesc(name, help, []string{"kind", "remote"}, nil), prometheus.GaugeValue, func(r *reading, emit func(float64, ...string)) {
			for k, s := range r.remotes {
				emit(read(s), metricKinds[k.kind], k.name)
			}
		}}
	}
	mqtt := func(name, help string, read func(u *MQTTUsage) float64) metric {
		return metric{prometheus.NewDesc(name, help, []string{"account"}, nil), prometheus.GaugeValue, func(r *reading, emit func(float64, ...string)) {
			if m := r.src.MQTT(); m != nil {
				m.Usage(func(account string, u MQTTUsage) { emit(read(&u), account) })
			}
		}}
	}
	return []metric{
		remote("ramjet_remote_connections", "Open connections to other servers, by where they lead.", func(s *remoteSums) float64 { return float64(s.conns) }),
		remote("ramjet_remote_pending_bytes", "Bytes that wait to be sent to other servers.", func(s *remoteSums) float64 { return float64(s.pending) }),
		remote("ramjet_remote_rtt_seconds", "Last measured round trip to other servers, the longest of the connections.", func(s *remoteSums) float64 { return s.rtt.Seconds() }),
		remote("ramjet_remote_subscriptions", "Subscriptions of other servers.", func(s *remoteSums) float64 { return float64(s.subs) }),
		remote("ramjet_remote_in_messages", "Messages received on connections to other servers that are open.", func(s *remoteSums) float64 { return float64(s.inMsgs) }),
		remote("ramjet_remote_in_bytes", "Message bytes received on connections to other servers that are open.", func(s *remoteSums) float64 { return float64(s.inBytes) }),
		remote("ramjet_remote_out_messages", "Messages sent on connections to other servers that are open.", func(s *remoteSums) float64 { return float64(s.outMsgs) }),
		remote("ramjet_remote_out_bytes", "Message bytes sent on connections to other servers that are open.", func(s *remoteSums) float64 { return float64(s.outBytes) }),
		mqtt("ramjet_mqtt_sessions", "MQTT sessions by account, connected or kept.", func(u *MQTTUsage) float64 { return float64(u.Sessions) }),
		mqtt("ramjet_mqtt_connected_sessions", "MQTT sessions whose client is connected, by account.", func(u *MQTTUsage) float64 { return float64(u.Connected) }),
		mqtt("ramjet_mqtt_inflight_messages", "Deliveries with QoS 1 or 2 that MQTT clients have not acknowledged, by account.", func(u *MQTTUsage) float64 { return float64(u.Inflight) }),
		mqtt("ramjet_mqtt_retained_messages", "Retained MQTT messages by account.", func(u *MQTTUsage) float64 { return float64(u.Retained) }),
	}
}
