package jsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPubAck(t *testing.T) {
	for _, c := range []struct {
		ack  PubAck
		want string
	}{
		{PubAck{Stream: "S", Seq: 3}, `{"stream":"S","seq":3}`},
		{PubAck{Stream: "S", Domain: "hub", Seq: 3}, `{"stream":"S","domain":"hub","seq":3}`},
		{PubAck{Stream: "S", Seq: 3, Duplicate: true}, `{"stream":"S","seq":3,"duplicate": true}`},
		{PubAck{Stream: "S", Seq: 3, Value: []byte("-17")}, `{"stream":"S","seq":3,"val":"-17"}`},
		{PubAck{Stream: "S", Seq: 3, BatchID: []byte("b1"), BatchSize: 3}, `{"stream":"S","seq":3,"batch":"b1","count":3}`},
		{PubAck{Stream: "a\"<\n\x01\xff", Seq: 1}, `{"stream":"a\"\u003c\n\u0001` + "\ufffd" + `","seq":1}`},
	} {
		if got := string(AppendPubAck(nil, &c.ack)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	want := `{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"stream":"S","seq":0}`
	if got := string(AppendPubError(nil, StreamWrongLastSequence.With("seq", 7), "S")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseNext(t *testing.T) {
	for _, c := range []struct {
		body string
		want NextRequest
	}{
		{"", NextRequest{Batch: 1, Plain: true}},
		{"17", NextRequest{Batch: 17, Plain: true}},
		{" 17 ", NextRequest{Batch: 17, Plain: true}},
		{"foo", NextRequest{Batch: 1, Plain: true}},
		{"-3", NextRequest{Batch: 1, Plain: true}},
		{"{}", NextRequest{}},
		{`{"batch":10,"expires":5000000000,"no_wait":true}`, NextRequest{Batch: 10, Expires: 5 * time.Second, NoWait: true}},
		{`{ "batch" : 10 , "idle_heartbeat" : 1 , "max_bytes":-4 }`, NextRequest{Batch: 10, Heartbeat: 1, MaxBytes: -4}},
		{`{"group":"g","id":"x","priority":3,"min_pending":4,"min_ack_pending":5}`, NextRequest{Group: "g", ID: "x", Priority: 3, MinPending: 4, MinAckPending: 5}},
		{`{"batch":2,"other":{"a":[1]}}`, NextRequest{Batch: 2}},
		{`{"group":"g\u0041"}`, NextRequest{Group: "gA"}},
	} {
		var r NextRequest
		if err := ParseNext([]byte(c.body), &r); err != nil || r != c.want {
			t.Errorf("%s: got %+v, %v", c.body, r, err)
		}
	}
	var r NextRequest
	for _, bad := range []string{`{`, `{"batch":"x"}`, `{"batch":01}`, `{"batch":1}}`, `{"batch":99999999999999999999}`} {
		if err := ParseNext([]byte(bad), &r); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestAckReply(t *testing.T) {
	p := AppendAckPrefix(nil, "", "", "S", "C%d")
	s := AppendAckReply(nil, p, 1, 22, 333, 1700000000000000000, 4)
	if string(s) != "$JS.ACK.S.C%d.1.22.333.1700000000000000000.4" {
		t.Fatalf("%s", s)
	}
	var a AckReply
	if !ParseAckReply(s, &a) || string(a.Consumer) != "C%d" || a.StreamSeq != 22 || a.ConsumerSeq != 333 || a.Pending != 4 || a.V2 {
		t.Fatalf("%+v", a)
	}
	p = AppendAckPrefix(nil, "", "ABCDEFGH", "S", "C")
	s = AppendAckReply(nil, p, 1, 22, 333, -5, 4)
	if string(s) != "$JS.ACK._.ABCDEFGH.S.C.1.22.333.-5.4" {
		t.Fatalf("%s", s)
	}
	for _, s := range []string{string(s), string(s) + ".xyz", string(s) + ".x.y"} {
		if !ParseAckReply([]byte(s), &a) || !a.V2 || string(a.Account) != "ABCDEFGH" || a.Time != -5 {
			t.Fatalf("%s: %+v", s, a)
		}
	}
	for _, bad := range []string{"", "$JS.ACK.", "$JS.ACK.S.C.1.2.3.4", "$JS.ACK.S.C.1.2.3.4.5.6", "$JS.ACK.S.C.1.x.3.4.5", "$JS.ACK..C.1.2.3.4.5", "$JS.ACK.S.C.1.2.3.4.99999999999999999999999"} {
		if ParseAckReply([]byte(bad), &a) {
			t.Errorf("%s accepted", bad)
		}
	}
}

func TestParseAck(t *testing.T) {
	for _, c := range []struct {
		body string
		want string
	}{
		{"", "1 0s  "}, {"+ACK", "1 0s  "}, {"+OK", "1 0s  "}, {"-NAK", "2 0s  "}, {"-NAK 1.5s", "2 1.5s  "},
		{`-NAK {"delay":2000000000}`, "2 2s  "}, {`-NAK { "x":1, "delay": 5}`, "2 5ns  "}, {"-NAK zzz", "2 0s  "},
		{`-NAK {"delay":"x"}`, "2 0s  "}, {"-NAK -5s", "2 0s  "}, {"+WPI", "3 0s  "}, {"+NXT", "4 0s  "}, {"+NXT 10", "4 0s 10 "},
		{`+NXT {"batch":2}`, `4 0s {"batch":2} `}, {"+TERM", "5 0s  "}, {"+TERM no good", "5 0s  no good"}, {"+FOO", "0 0s  "}, {"x", "0 0s  "},
	} {
		var a AckMsg
		ParseAck([]byte(c.body), &a)
		if got := fmt.Sprintf("%d %v %s %s", a.Kind, a.Delay, a.Next, a.Reason); got != c.want {
			t.Errorf("%q: got %q, want %q", c.body, got, c.want)
		}
	}
}

func TestAllocations(t *testing.T) {
	buf := make([]byte, 0, 512)
	prefix := AppendAckPrefix(nil, "", "", "ORDERS", "worker")
	reply := AppendAckReply(nil, prefix, 1, 2, 3, 4, 5)
	ack := PubAck{Stream: "ORDERS", Seq: 12345678}
	next := []byte(`{"batch":100,"expires":5000000000,"no_wait":true}`)
	nak := []byte(`-NAK {"delay":100}`)
	var r NextRequest
	var a AckReply
	var m AckMsg
	for name, fn := range map[string]func(){
		"puback":   func() { buf = AppendPubAck(buf[:0], &ack) },
		"next":     func() { _ = ParseNext(next, &r) },
		"ackreply": func() { buf = AppendAckReply(buf[:0], prefix, 1, 2, 3, 4, 5) },
		"parse":    func() { ParseAckReply(reply, &a) },
		"ack":      func() { ParseAck(nak, &m) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct {
		subject string
		want    APICall
	}{
		{"$JS.API.INFO", APICall{Endpoint: Info, Tokens: 3}},
		{"$JS.API.STREAM.CREATE.S", APICall{Endpoint: StreamCreateAPI, Stream: "S", Tokens: 5}},
		{"$JS.API.STREAM.MSG.GET.S", APICall{Endpoint: StreamMsgGet, Stream: "S", Tokens: 6}},
		{"$JS.API.STREAM.NAMES", APICall{Endpoint: StreamNames, Tokens: 4}},
		{"$JS.API.DIRECT.GET.S", APICall{Endpoint: DirectGet, Stream: "S", Tokens: 5}},
		{"$JS.API.DIRECT.GET.S.a.b", APICall{Endpoint: DirectGet, Stream: "S", Rest: "a.b", Tokens: 7}},
		{"$JS.API.CONSUMER.CREATE.S", APICall{Endpoint: ConsumerCreateAPI, Stream: "S", Tokens: 5}},
		{"$JS.API.CONSUMER.CREATE.S.C", APICall{Endpoint: ConsumerCreateAPI, Stream: "S", Consumer: "C", Tokens: 6}},
		{"$JS.API.CONSUMER.CREATE.S.C.a.>", APICall{Endpoint: ConsumerCreateAPI, Stream: "S", Consumer: "C", Rest: "a.>", Tokens: 8}},
		{"$JS.API.CONSUMER.DURABLE.CREATE.S.C", APICall{Endpoint: ConsumerDurableCreate, Stream: "S", Consumer: "C", Tokens: 7}},
		{"$JS.API.CONSUMER.DURABLE.CREATE.S", APICall{Endpoint: ConsumerDurableCreate, Stream: "S", Tokens: 6}},
		{"$JS.API.CONSUMER.MSG.NEXT.S.C", APICall{Endpoint: ConsumerNext, Stream: "S", Consumer: "C", Tokens: 7}},
		{"$JS.API.ACCOUNT.PURGE.A", APICall{Endpoint: AccountPurge, Account: "A", Tokens: 5}},
		{"$JS.API.ACCOUNT.STREAM.MOVE.A.S", APICall{Endpoint: AccountStreamMove, Account: "A", Stream: "S", Tokens: 7}},
	} {
		var got APICall
		if !ParseAPI(c.subject, &got) || got != c.want {
			t.Errorf("%s: got %+v", c.subject, got)
		}
	}
	var got APICall
	for _, bad := range []string{"", "$JS.API.", "$JS.API.FOO", "$JS.API.INFO.x", "$JS.API.STREAM.CREATE", "$JS.API.STREAM.CREATE.", "$JS.API.STREAM.CREATE.a.b", "$JS.API.CONSUMER.INFO.S", "$JS.API.STREAM.TEMPLATE.NAMES", "$JS.API.CONSUMER.CREATE.S.C."} {
		if ParseAPI(bad, &got) {
			t.Errorf("%q accepted: %+v", bad, got)
		}
	}
	if Hash("S1") != "sQnRv29R" {
		t.Errorf("hash %s", Hash("S1"))
	}
	Endpoints(func(e Endpoint) {
		subj := BuildAPI(e, []string{"A", "B"}[:endpoints[e].names]...)
		if !ParseAPI(subj, &got) || got.Endpoint != e {
			t.Errorf("%s does not parse back", subj)
		}
	})
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		e      Endpoint
		body   string
		v      any
		strict bool
		want   string
	}{
		{StreamCreateAPI, `{"name":"S","x":1}`, &StreamConfigRequest{}, true, `invalid JSON: json: unknown field "x" (10025)`},
		{StreamCreateAPI, `{"name":"S","x":1}`, &StreamConfigRequest{}, false, "lenient"},
		{StreamCreateAPI, `{"name":"S"`, &StreamConfigRequest{}, true, `invalid JSON: unexpected EOF (10025)`},
		{StreamCreateAPI, `{"name":"S","retention":"bad"}`, &StreamConfigRequest{}, false, `invalid JSON: can not unmarshal "\"bad\"" (10025)`},
		{StreamCreateAPI, `{"name":"S"}{"max_msgs":3}`, &StreamConfigRequest{}, true, ""},
		{StreamCreateAPI, ``, &StreamConfigRequest{}, true, ""},
		{StreamCreateAPI, `{"max_msgs":"a"}`, &StreamConfigRequest{}, true, `invalid JSON: json: cannot unmarshal string into Go struct field StreamConfigRequest.StreamConfig.max_msgs of type int64 (10025)`},
		{StreamInfoAPI, `{x`, &StreamInfoRequest{}, true, `invalid JSON: invalid character 'x' looking for beginning of object key string at offset 2 (10025)`},
		{StreamDeleteAPI, `{}`, nil, true, ""},
		{StreamDeleteAPI, ` { } `, nil, true, ""},
		{StreamDeleteAPI, `x`, nil, true, "expected an empty request payload (10038)"},
		{StreamMsgGet, `{}`, &MsgGetRequest{}, true, "bad request (10003)"},
		{StreamMsgGet, `{"seq":1}`, &MsgGetRequest{}, true, ""},
		{StreamNames, `foo`, &StreamsRequest{}, true, ""},
		{StreamNames, `{"offset":3}`, &StreamsRequest{}, true, ""},
	} {
		lenient, err := c.e.Decode([]byte(c.body), c.v, c.strict)
		got := ""
		if err != nil {
			got = err.Error()
		} else if lenient {
			got = "lenient"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.body, got, c.want)
		}
	}
	got := string(AppendResponse(nil, StreamNames.ResponseType(), StreamNotFound.Err(), &StreamNamesResponse{}))
	want := `{"type":"io.nats.jetstream.api.v1.stream_names_response","error":{"code":404,"err_code":10059,"description":"stream not found"},"total":0,"offset":0,"limit":0,"streams":null}`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := string(AppendResponse(nil, "x", nil, &SuccessResponse{})); got != `{"type":"x"}` {
		t.Errorf("got %s", got)
	}
}

func snapshotSample() []byte {
	b := []byte(SnapshotMagic)
	b = AppendSnapshotEntry(b, &SnapshotEntry{Name: []byte(SnapshotState), Payload: []byte("{}")})
	b = AppendSnapshotEntry(b, &SnapshotEntry{Name: []byte("a.b"), Time: -3, Seq: 9, Header: []byte("NATS/1.0\r\n\r\n"), Payload: []byte("x")})
	return AppendSnapshotEntry(b, &SnapshotEntry{})
}

func decodeSnapshot(b []byte, step int) (string, error) {
	var d SnapshotDecoder
	var out strings.Builder
	for len(b) > 0 {
		n := min(step, len(b))
		if err := d.Feed(b[:n], func(e *SnapshotEntry) error {
			fmt.Fprintf(&out, "%s %d %d %q %q;", e.Name, e.Time, e.Seq, e.Header, e.Payload)
			return nil
		}); err != nil {
			return out.String(), err
		}
		b = b[n:]
	}
	return out.String(), d.Close()
}

func TestSnapshot(t *testing.T) {
	b := snapshotSample()
	want := `state.json 0 0 "" "{}";a.b -3 9 "NATS/1.0\r\n\r\n" "x";`
	for step := 1; step <= len(b); step++ {
		if got, err := decodeSnapshot(b, step); err != nil || got != want {
			t.Fatalf("step %d: %s %v", step, got, err)
		}
	}
	if _, err := decodeSnapshot(b[:len(b)-1], 3); err != ErrSnapshotTruncated {
		t.Errorf("truncated: %v", err)
	}
	if _, err := decodeSnapshot([]byte("NATSARC2"), 3); err != ErrSnapshotFormat {
		t.Errorf("format: %v", err)
	}
}

func TestSnapshotLimits(t *testing.T) {
	for _, c := range []struct {
		seq  uint64
		size int
		ok   bool
	}{{0, 100, true}, {0, 101, false}, {1, 50, true}, {1, 51, false}} {
		d := SnapshotDecoder{MaxDoc: 100, MaxMsg: 50}
		b := AppendSnapshotEntry([]byte(SnapshotMagic), &SnapshotEntry{Name: []byte("a"), Seq: c.seq, Header: make([]byte, 10), Payload: make([]byte, c.size-10)})
		// The head alone tells.
		if err := d.Feed(b[:30], func(*SnapshotEntry) error { return nil }); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrSnapshotTooLarge) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSnapshotConsumerState(t *testing.T) {
	const want = `{"delivered":{"consumer_seq":3,"stream_seq":9},"ack_floor":{"consumer_seq":1,"stream_seq":2},"pending":{"7":{"Sequence":2,"Timestamp":-5},"12":{"Sequence":3,"Timestamp":6}},"redelivered":{"7":2}}`
	for _, in := range []string{want,
		`{"redelivered": {"7":2}, "pending": { "12": {"Timestamp":6,"Sequence":3}, "7":{"Sequence":2,"Timestamp":-5,"x":[1]} }, "ack_floor":{"consumer_seq":1,"stream_seq":2}, "delivered":{"consumer_seq":3,"stream_seq":9}}`} {
		var s SnapshotConsumerState
		if err := json.Unmarshal([]byte(in), &s); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(&s); err != nil || string(got) != want {
			t.Errorf("%s %v", got, err)
		}
	}
	var s SnapshotConsumerState
	if err := json.Unmarshal([]byte(`{"pending":null,"redelivered":{}}`), &s); err != nil || len(s.Pending)+len(s.Redelivered) > 0 {
		t.Error(s, err)
	}
	if got, _ := json.Marshal(&s); string(got) != `{"delivered":{"consumer_seq":0,"stream_seq":0},"ack_floor":{"consumer_seq":0,"stream_seq":0}}` {
		t.Errorf("%s", got)
	}
	for _, in := range []string{`{"pending":{"1":{},"01":{}}}`, `{"pending":{"-1":{}}}`, `{"pending":{"1":5}}`, `{"pending":7}`, `{"redelivered":{"1":-1}}`, `{"redelivered":{"1":1,"1":2}}`, `{"redelivered":[]}`} {
		if err := json.Unmarshal([]byte(in), &s); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

func TestParseTTL(t *testing.T) {
	for in, want := range map[string]int64{"": 0, "never": -1, "Never": -1, "5": 5, "1h": 3600, "1500ms": 1, "99999999999": maxTTL} {
		if got, ok := ParseTTL([]byte(in)); !ok || got != want {
			t.Errorf("%q: %d %v", in, got, ok)
		}
	}
	for _, in := range []string{"0", "-1", "x", "999ms", "1.5"} {
		if got, ok := ParseTTL([]byte(in)); ok {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(snapshotSample(), 3)
	f.Add([]byte(SnapshotMagic+"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		a, errA := decodeSnapshot(b, max(len(b), 1))
		c, errC := decodeSnapshot(b, max(1, step%17))
		if a != c || fmt.Sprint(errA) != fmt.Sprint(errC) {
			t.Fatalf("whole %q %v, split %q %v", a, errA, c, errC)
		}
	})
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{"", "12", `{"batch":1,"no_wait":false}`, `{"group":"a","id":"b"}`, `{"batch":-0}`, `{"batch":1e3}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, std NextRequest
		err := ParseNext(b, &r)
		if len(trimSpace(b)) > 0 && trimSpace(b)[0] == '{' {
			if e := json.Unmarshal(b, &std); (e == nil) != (err == nil) || err == nil && r != std {
				t.Fatalf("%q: %+v %v, encoding/json %+v %v", b, r, err, std, e)
			}
		} else if err != nil || r.Batch < 1 {
			t.Fatalf("%q: %+v %v", b, r, err)
		}
	})
}

func FuzzAck(f *testing.F) {
	for _, s := range []string{"", "-NAK 1s", "+TERM a", "+NXT 3", `-NAK {"delay":3}`, "$JS.ACK.S.C.1.2.3.4.5", "$JS.ACK._.A.S.C.1.2.3.4.5.x", "$JS.API.CONSUMER.CREATE.a.b.c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m AckMsg
		ParseAck(b, &m)
		if m.Delay < 0 {
			t.Fatal("negative delay")
		}
		var c APICall
		ParseAPI(string(b), &c)
		var a, again AckReply
		if ParseAckReply(b, &a) {
			p := append([]byte(AckPrefix), bytes.Join([][]byte{a.Stream, a.Consumer, nil}, []byte("."))...)
			if a.V2 {
				p = append([]byte(AckPrefix), bytes.Join([][]byte{a.Domain, a.Account, a.Stream, a.Consumer, nil}, []byte("."))...)
			}
			s := AppendAckReply(nil, p, a.Deliveries, a.StreamSeq, a.ConsumerSeq, a.Time, a.Pending)
			if !ParseAckReply(s, &again) || again.StreamSeq != a.StreamSeq || again.Time != a.Time || again.Pending != a.Pending || again.Deliveries != a.Deliveries {
				t.Fatalf("%q: %+v, again %+v", b, a, again)
			}
		}
	})
}
