package api

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"ramjet/js/jstest"
	"ramjet/proto/jsapi"
)

// FuzzRouter sends any subject, header and body: never a panic, at most one answer, which is JSON with a type.
func FuzzRouter(f *testing.F) {
	text, err := os.ReadFile("testdata/answers.txt")
	if err != nil {
		f.Fatal(err)
	}
	all, err := jstest.ParseAnswers(string(text))
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range all {
		if r.Kind == ">" {
			f.Add(r.Account, jsapi.APIPrefix+r.Subject, r.HeaderBlock(), []byte(r.Body))
		}
	}
	f.Fuzz(func(t *testing.T, account, subj string, hdr, body []byte) {
		b := newBench(t)
		for _, s := range []string{"S1", "WQ"} {
			b.ask("a", "", "STREAM.CREATE."+s, `{"name":"`+s+`","subjects":["`+s+`.>"],"retention":"interest"}`)
			b.ask("a", "", "CONSUMER.CREATE."+s+".C1", `{"stream_name":"`+s+`","config":{"durable_name":"C1","ack_policy":"explicit"}}`)
		}
		b.node.listens["a >"], b.node.listens["s >"] = true, true
		b.r.Deliver(&Request{Account: account, System: account == "s", Client: 1, Subject: subj, Reply: "r", Header: hdr, Body: body})
		b.work()
		answers := 0
		for _, p := range b.node.take() {
			var v struct{ Type string }
			if err := json.Unmarshal([]byte(p.body), &v); err != nil || !strings.HasPrefix(v.Type, "io.nats.jetstream.") {
				t.Errorf("%s: %v %s", p.subject, err, p.body)
			}
			if p.subject == "r" {
				answers++
			}
		}
		if answers > 1 {
			t.Errorf("%d answers", answers)
		}
	})
}
