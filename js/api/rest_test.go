package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"ramjet/proto/jsapi"
)

// TestCreationsShareTheDisk: creations in one account wait for the disk at the same time. Until a stream is durable nobody is told that it is there, what
// overlaps it is refused, and requests that change it wait; afterwards they are answered in order.
func TestCreationsShareTheDisk(t *testing.T) {
	b := newBench(t)
	acc := b.node.accounts["a"]
	const n = 16
	arrived := make(chan string, n)
	release := make(chan *jsapi.Error)
	acc.making = map[string]*fakeStream{}
	acc.disk = func(name string) *jsapi.Error {
		arrived <- name
		return <-release
	}
	answers := make(chan published, 4*n)
	b.node.onPublish = func(p published) { answers <- p }
	var running sync.WaitGroup
	b.r.Start(func(fn func()) {
		running.Add(1)
		go func() { defer running.Done(); fn() }()
	})
	send := func(reply, subj, body string) {
		b.r.Deliver(&Request{Account: "a", Client: 7, Subject: jsapi.APIPrefix + subj, Reply: reply, Body: []byte(body)})
	}
	create := func(name string) {
		send(name, "STREAM.CREATE."+name, fmt.Sprintf(`{"name":%q,"subjects":[%q]}`, name, name))
	}
	for i := range n {
		create(fmt.Sprintf("S%d", i))
	}
	for range n {
		<-arrived // all of them, though none is answered
	}
	expect := func(reply, has string) {
		t.Helper()
		p := <-answers
		if p.subject != reply || !strings.Contains(p.body, has) {
			t.Fatalf("%s %s, want %s with %s", p.subject, p.body, reply, has)
		}
	}
	send("overlap", "STREAM.CREATE.T", `{"name":"T","subjects":["S3"]}`)
	expect("overlap", `"err_code":10065`)
	send("info", "STREAM.INFO.S3", "")
	expect("info", `"err_code":10059`)
	send("names", "STREAM.NAMES", "")
	expect("names", `"total":0`)
	send("update", "STREAM.UPDATE.S3", `{"name":"S3","subjects":["S3"],"description":"x"}`)
	send("again", "STREAM.CREATE.S3", `{"name":"S3","subjects":["S3"],"description":"y"}`)
	send("delete", "STREAM.DELETE.S3", "")
	send("nobody", "STREAM.DELETE.NOBODY", "") // not held up by them
	expect("nobody", `"err_code":10059`)
	if got := b.r.Stats().Inflight; got != n+3 {
		t.Errorf("%d requests wait or run, want %d", got, n+3)
	}
	for range n {
		release <- nil
	}
	got := map[string]string{}
	var order []string
	for range n + 3 {
		p := <-answers
		got[p.subject] = p.body
		if p.subject == "S3" || len(p.subject) > 3 {
			order = append(order, p.subject)
		}
	}
	if o := strings.Join(order, " "); o != "S3 update again delete" {
		t.Errorf("answered in the order %s", o)
	}
	for name, has := range map[string]string{"S0": `"did_create":true`, "S3": `"did_create":true`, "update": `"description":"x"`, "again": `"err_code":10058`, "delete": `"success":true`} {
		if !strings.Contains(got[name], has) {
			t.Errorf("%s: %s", name, got[name])
		}
	}
	// One that fails leaves nothing, and whoever waited behind it finds nothing.
	create("F")
	<-arrived
	send("late", "STREAM.DELETE.F", "")
	release <- jsapi.InsufficientResources.Err()
	expect("F", `"err_code":10023`)
	expect("late", `"err_code":10059`)
	b.r.Close()
	running.Wait()
}
