package stream

import (
	"fmt"
	"strings"
	"testing"

	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// direct runs a direct get and renders the answers as seq/pending/last or status.
func (r *rig) direct(subj, body string) string {
	var out Effects
	d := r.m.StartDirect(subj, nil, []byte(body), []byte("reply"), 0, &out)
	for n := 0; d != nil; n++ {
		done, wait := d.Step(1, &out)
		if wait || n > 100 {
			r.t.Fatal("does not end")
		}
		if done {
			break
		}
	}
	var s []string
	for _, e := range out.List {
		get := func(k string) string { return string(header.Get(e.Header, k)) }
		if code, text, ok := header.Status(e.Header); ok {
			t := fmt.Sprint(code, " ", string(text))
			if code == 204 {
				t += " p" + get("Nats-Num-Pending") + " l" + get("Nats-Last-Sequence") + " u" + get("Nats-UpTo-Sequence")
			}
			s = append(s, t)
			continue
		}
		s = append(s, fmt.Sprintf("%s p%s l%s %s", get("Nats-Sequence"), get("Nats-Num-Pending"), get("Nats-Last-Sequence"), e.Payload))
	}
	return strings.Join(s, "; ")
}

// The answers are those of nats-server 2.15.2 to the same requests.
func TestDirectGet(t *testing.T) {
	r := newRig(t, `{"subjects":["d.>"]}`)
	for _, s := range []string{"d.1", "d.2", "d.1", "d.3", "d.2"} {
		r.pub(s, "x-"+s)
	}
	r.log.Remove(4, false)
	for _, c := range []struct{ subj, body, want string }{
		{"", `{"seq":1,"batch":2}`, "1 p3 l0 x-d.1; 2 p2 l1 x-d.2; 204 EOB p2 l2 u"},
		{"", `{"next_by_subj":"d.2","batch":5}`, "2 p1 l0 x-d.2; 5 p0 l2 x-d.2; 204 EOB p0 l5 u"},
		{"", `{"seq":4,"batch":5}`, "5 p0 l0 x-d.2; 204 EOB p0 l5 u"},
		{"", `{"seq":4}`, "404 Message Not Found"},
		{"", `{"multi_last":["d.1","d.2"]}`, "3 p1 l0 x-d.1; 5 p0 l3 x-d.2; 204 EOB p0 l5 u5"},
		{"", `{"multi_last":["d.>"],"batch":1}`, "3 p1 l0 x-d.1; 204 EOB p1 l3 u5"},
		{"", `{"multi_last":["d.>"],"up_to_seq":3}`, "2 p1 l0 x-d.2; 3 p0 l2 x-d.1; 204 EOB p0 l3 u3"},
		{"", `{"multi_last":["d.>"],"seq":6}`, "204 EOB p0 l0 u5"},
		{"", `{"multi_last":["d.1"],"up_to_seq":2,"seq":2}`, "204 EOB p0 l0 u2"},
		{"", `{"multi_last":["d.>"],"batch":1,"no_hdr":true}`, "3 p1 l0 x-d.1; 204 EOB p1 l3 u5"},
		{"", `{"multi_last":["d.>"],"up_to_seq":9}`, "3 p1 l0 x-d.1; 5 p0 l3 x-d.2; 204 EOB p0 l5 u5"}, // nats-server: 404
		{"", `{"seq":9,"batch":3}`, "404 Message Not Found"},
		{"", `{"seq":1,"batch":5,"max_bytes":1}`, "1 p3 l0 x-d.1; 204 EOB p3 l1 u"},
		{"d.2", `{"seq":1}`, "408 Bad Request"},
		{"d.2", ``, "5 p l x-d.2"},
		{"d.*", ``, "5 p l x-d.2"},
		{"", `{"seq":1,"no_hdr":true}`, " p l x-d.1"},
		{"", `{"seq":1,"batch":2,"no_hdr":true}`, " p l x-d.1;  p l x-d.2; 204 EOB p4 l2 u"},
		{"", `{"last_by_subj":"d.>"}`, "5 p l x-d.2"},
		{"", `{"last_by_subj":"d.1","batch":3}`, "408 Bad Request"},
		{"", `{"batch":3}`, "408 Empty Request"},
		{"", ``, "408 Empty Request"},
		{"", `{x`, "408 Malformed Request"},
		{"", `{"seq":1,"multi_last":["d.1"]}`, "3 p0 l0 x-d.1; 204 EOB p0 l3 u5"},
		{"", `{"seq":1,"start_time":"2020-01-01T00:00:00Z"}`, "408 Bad Request"},
		{"", `{"start_time":"2020-01-01T00:00:00Z"}`, "1 p l x-d.1"},
		{"", `{"seq":1,"up_to_seq":3}`, "1 p l x-d.1"},
		{"", `{"multi_last":["zz"]}`, "404 No Results"},
		{"", `{"multi_last":["d.1"],"up_to_time":"2020-01-01T00:00:00Z"}`, "404 No Results"},
		{"", `{"multi_last":["d.1"],"up_to_seq":3,"up_to_time":"2020-01-01T00:00:00Z"}`, "408 Bad Request"},
		{"", `{"next_by_subj":"d.3"}`, "404 Message Not Found"},
	} {
		if got := r.direct(c.subj, c.body); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.subj, c.body, got, c.want)
		}
	}
	var out Effects
	r.m.StartDirect("", hdr("Nats-Required-Api-Level", "6"), []byte(`{"seq":1}`), []byte("reply"), 0, &out)
	r.want(string(out.List[0].Header), "NATS/1.0 412 Required Api Level\r\n\r\n")
}

func TestMsgGet(t *testing.T) {
	r := newRig(t, `{}`)
	r.pub("a.1", "x", "K", "v")
	r.pub("a.2", "y")
	for _, c := range []struct {
		req  jsapi.MsgGetRequest
		want string
	}{
		{jsapi.MsgGetRequest{Seq: 1}, "1 a.1 x"},
		{jsapi.MsgGetRequest{LastFor: "a.>"}, "2 a.2 y"},
		{jsapi.MsgGetRequest{NextFor: "a.2"}, "2 a.2 y"},
		{jsapi.MsgGetRequest{NextFor: "a.1", Seq: 2}, "no message found (10037)"},
		{jsapi.MsgGetRequest{Seq: 7}, "no message found (10037)"},
		{jsapi.MsgGetRequest{}, "bad request (10003)"},
		{jsapi.MsgGetRequest{Seq: 1, LastFor: "a.1"}, "bad request (10003)"},
		{jsapi.MsgGetRequest{Seq: 1, Batch: 1}, "bad request (10003)"},
	} {
		msg, err, _ := r.m.GetMsg(&c.req)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%d %s %s", msg.Seq, msg.Subject, msg.Data)
		}
		r.want(got, c.want)
	}
}

func TestInfo(t *testing.T) {
	r := newRig(t, `{}`)
	var s jsapi.StreamState
	var page jsapi.Page
	r.m.FillState(&s, nil, nil)
	if s.FirstSeq != 0 || s.LastSeq != 0 || !s.FirstTime.IsZero() {
		t.Errorf("%+v", s)
	}
	for _, x := range []string{"a.1", "a.2", "a.1", "b.1"} {
		r.pub(x, "x")
	}
	r.log.Remove(2, false)
	r.m.FillState(&s, &jsapi.StreamInfoRequest{SubjectsFilter: "a.*", DeletedDetails: true, Offset: -3}, &page)
	r.want(fmt.Sprint(s.Subjects, s.Deleted, s.NumDeleted, s.NumSubjects, s.Msgs, page), "map[a.1:2] [2] 1 2 3 {1 0 100000}")
	page = jsapi.Page{}
	r.m.FillState(&s, &jsapi.StreamInfoRequest{SubjectsFilter: "zz"}, &page)
	r.want(fmt.Sprint(len(s.Subjects), page), "0 {0 0 0}")
	r.m.FillState(&s, &jsapi.StreamInfoRequest{SubjectsFilter: ">", Offset: 1}, &page)
	r.want(fmt.Sprint(s.Subjects, page), "map[b.1:1] {2 1 100000}")
}
