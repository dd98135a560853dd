package config

import (
	"time"

	"ramjet/proto/conf"
)

func websocket(d *decoder, o *Options, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	w := &WebsocketOptions{}
	websocketBlock.decode(d, w, m)
	o.Websocket = w
}

func mqtt(d *decoder, o *Options, e *conf.Entry) {
	m, ok := d.object(e)
	if !ok {
		return
	}
	q := &MQTTOptions{}
	mqttBlock.decode(d, q, m)
	o.MQTT = q
}

var websocketBlock *block[WebsocketOptions]
var mqttBlock *block[MQTTOptions]

// listenerAuth decodes authorization of a listener other than the one for clients.
func listenerAuth[T any](f func(*T) *AuthBlock) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		if m, ok := d.object(e); ok {
			listenerAuthBlock.decode(d, f(t), m)
		}
	}
}

// maxInflight is the highest max_ack_pending of mqtt: packet identifiers have 16 bits.
const maxInflight = 65535

func init() {
	type W = WebsocketOptions
	websocketBlock = newBlock(unknownField, append(listenKeys(func(w *W) *string { return &w.Host }, func(w *W) *int { return &w.Port }), []key[W]{
		{"advertise", str(func(w *W) *string { return &w.Advertise })},
		{"no_tls", boolean(func(w *W) *bool { return &w.NoTLS })},
		{"tls", tlsKey(listenerTLS, func(w *W) **TLSOptions { return &w.TLS })},
		{"same_origin", boolean(func(w *W) *bool { return &w.SameOrigin })},
		{"allowed_origins allowed_origin allow_origins allow_origin origins origin", stringList(func(w *W) *[]string { return &w.AllowedOrigins })},
		{"handshake_timeout", func(d *decoder, w *W, e *conf.Entry) {
			if v, ok := d.timeout(e, "websocket"); ok {
				w.HandshakeTimeout = v
			}
		}},
		{"compression compress", boolean(func(w *W) *bool { return &w.Compression })},
		{"authorization authentication", listenerAuth(func(w *W) *AuthBlock { return &w.Auth })},
		{"jwt_cookie", str(func(w *W) *string { return &w.JWTCookie })},
		{"user_cookie", str(func(w *W) *string { return &w.UserCookie })},
		{"pass_cookie", str(func(w *W) *string { return &w.PassCookie })},
		{"token_cookie", str(func(w *W) *string { return &w.TokenCookie })},
		{"no_auth_user", str(func(w *W) *string { return &w.NoAuthUser })},
		{"headers", func(d *decoder, w *W, e *conf.Entry) {
			if e.Value.Kind != conf.Map {
				d.errorf(e.Pos, "error parsing headers: unsupported type %s, expected a map", kind(e.Value))
				return
			}
			w.Headers = make(map[string]string)
			for _, x := range e.Value.Map.Entries {
				if x.Value.Kind != conf.String {
					d.errorf(x.Pos, "error parsing header key %s: unsupported type %s", x.Key, kind(x.Value))
					continue
				}
				w.Headers[x.Key] = x.Value.Str
			}
		}},
		{"ping_interval", duration(func(w *W) *time.Duration { return &w.PingInterval })},
	}...)...)

	type Q = MQTTOptions
	mqttBlock = newBlock(unknownField, append(listenKeys(func(q *Q) *string { return &q.Host }, func(q *Q) *int { return &q.Port }), []key[Q]{
		{"tls", tlsKey(listenerTLS, func(q *Q) **TLSOptions { return &q.TLS })},
		{"authorization authentication", listenerAuth(func(q *Q) *AuthBlock { return &q.Auth })},
		{"no_auth_user", str(func(q *Q) *string { return &q.NoAuthUser })},
		{"ack_wait ackwait", duration(func(q *Q) *time.Duration { return &q.AckWait })},
		{"js_api_timeout api_timeout", duration(func(q *Q) *time.Duration { return &q.JSAPITimeout })},
		{"max_ack_pending max_pending max_inflight", func(d *decoder, q *Q, e *conf.Entry) {
			n, ok := d.integer(e, -1<<31, 1<<31-1)
			switch {
			case !ok:
			case n < 0 || n > maxInflight:
				d.errorf(e.Pos, "invalid value %d, should in [0..%d] range", n, maxInflight)
			default:
				q.MaxAckPending = int(n)
			}
		}},
		{"js_domain", str(func(q *Q) *string { return &q.JSDomain })},
		{"stream_replicas", integer(func(q *Q) *int { return &q.StreamReplicas })},
		{"consumer_replicas", func(d *decoder, q *Q, e *conf.Entry) {
			integer(func(q *Q) *int { return &q.ConsumerReplicas })(d, q, e)
			d.warnf(e, "consumer replicas setting ignored in this server version")
		}},
		{"consumer_memory_storage", boolean(func(q *Q) *bool { return &q.ConsumerMemory })},
		{"consumer_inactive_threshold consumer_auto_cleanup", duration(func(q *Q) *time.Duration { return &q.ConsumerInactive })},
		{"reject_qos2_publish", boolean(func(q *Q) *bool { return &q.RejectQoS2 })},
		{"downgrade_qos2_subscribe", boolean(func(q *Q) *bool { return &q.DowngradeQoS2 })},
	}...)...)
}
