package wire

import (
	"bytes"
	"encoding/json"
	"testing"
)

// stable parses arg, encodes what it became, and wants the same again from that.
func stable[T any](t *testing.T, arg []byte, parse func([]byte) (T, error), add func([]byte, *T) []byte) {
	t.Helper()
	v, err := parse(arg)
	if err != nil {
		return
	}
	line := add(nil, &v)
	_, body, _ := bytes.Cut(line, []byte(" "))
	if bytes.IndexByte(line, '\n') != len(line)-1 || !json.Valid(body) {
		t.Fatalf("%q becomes %q", arg, line)
	}
	again, err := parse(body)
	if err != nil || !bytes.Equal(add(nil, &again), line) {
		t.Fatalf("%q becomes %q, then %q, %v", arg, line, add(nil, &again), err)
	}
}

// FuzzServerJSON: what servers tell each other about themselves at the beginning of a connection.
func FuzzServerJSON(f *testing.F) {
	for _, s := range []string{
		`{"server_id":"A","urls":["a:1"],"port":4222,"ip":"nats-route://127.0.0.1:1/","gateway":"C1","gateway_urls":[],"nonce":"abc"}`,
		`{"server_id":"A","max_payload":1048576,"import":{"allow":["a.>"],"deny":null},"export":{},"compression":"s2_auto","route_pool_size":-1}`,
		`{"user":"\ud800","pass":null,"deny_pub":["a"],"cluster":"c<&>"}`, `null`, `{"max_payload":1e99}`, `{"import":7}`, "{\"name\":\"a\\n\u2028\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, arg []byte) {
		stable(t, arg, ParseRouteInfo, AppendRouteInfo)
		stable(t, arg, ParseRouteConnect, AppendRouteConnect)
		stable(t, arg, ParseGatewayInfo, AppendGatewayInfo)
		stable(t, arg, ParseGatewayConnect, AppendGatewayConnect)
		stable(t, arg, ParseLeafInfo, AppendLeafInfo)
		stable(t, arg, ParseLeafConnect, AppendLeafConnect)
	})
}
