package advisory

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

func TestAdvisories(t *testing.T) {
	now := time.Unix(1700000000, 5).UTC()
	b := NewBuilder("hub", rng.New(1))
	client := []byte(`{"id":1}`)
	for _, c := range []struct {
		m            Message
		subject, typ string
		fields       string
	}{
		{b.Stream(StreamUpdated, "S", now), "STREAM.UPDATED.S", "stream_action", `"stream":"S","action":"modify"`},
		{b.Consumer(ConsumerDeleted, "S", "C", now), "CONSUMER.DELETED.S.C", "consumer_action", `"stream":"S","consumer":"C","action":"delete"`},
		{b.Pause("S", "C", now.Add(time.Second), now), "CONSUMER.PAUSE.S.C", "consumer_pause", `"stream":"S","consumer":"C","paused":true,"pause_until":"2023-11-14T22:13:21.000000005Z"`},
		{b.Pause("S", "C", time.Time{}, now), "CONSUMER.PAUSE.S.C", "consumer_pause", `"stream":"S","consumer":"C","paused":false,"pause_until":"0001-01-01T00:00:00Z"`},
		{b.MaxDeliver("S", "C", 3, 4, now), "CONSUMER.MAX_DELIVERIES.S.C", "max_deliver", `"stream":"S","consumer":"C","stream_seq":3,"deliveries":4`},
		{b.Msg(MsgNaked, "S", "C", 1, 2, 3, "", now), "CONSUMER.MSG_NAKED.S.C", "nak", `"stream":"S","consumer":"C","consumer_seq":1,"stream_seq":2,"deliveries":3`},
		{b.Msg(MsgTerminated, "S", "C", 1, 2, 3, "bad", now), "CONSUMER.MSG_TERMINATED.S.C", "terminated", `"stream":"S","consumer":"C","consumer_seq":1,"stream_seq":2,"deliveries":3,"reason":"bad"`},
		{b.Pin("A", "S", "C", "g", "p", "", now), "CONSUMER.PINNED.S.C", "consumer_group_pinned", `"account":"A","stream":"S","consumer":"C","domain":"hub","group":"g","pinned_id":"p"`},
		{b.Pin("A", "S", "C", "g", "", "admin", now), "CONSUMER.UNPINNED.S.C", "consumer_group_unpinned", `"account":"A","stream":"S","consumer":"C","domain":"hub","group":"g","reason":"admin"`},
		{b.Snapshot("S", &jsapi.StreamState{}, client, now), "STREAM.SNAPSHOT_CREATE.S", "snapshot_create", `"client":{"id":1}`},
		{b.SnapshotDone("S", "no", now, now, client), "STREAM.SNAPSHOT_COMPLETE.S", "snapshot_complete", `"error":"no"`},
		{b.Restore("S", client, now), "STREAM.RESTORE_CREATE.S", "restore_create", `"stream":"S","client":{"id":1}`},
		{b.RestoreDone("S", 9, now, now, client), "STREAM.RESTORE_COMPLETE.S", "restore_complete", `"bytes":9,"client":{"id":1}`},
		{b.Damaged("A", "S", 3, 5, "record", now), "STREAM.DAMAGED.S", "stream_damaged", `"account":"A","stream":"S","first_seq":3,"last_seq":5,"reason":"record","domain":"hub"`},
		{b.Abandoned("", "S", "b", "timeout", now), "STREAM.BATCH_ABANDONED.S", "stream_batch_abandoned", `"stream":"S","domain":"hub","batch":"b","reason":"timeout"`},
		{b.Leader("", "S", "C", "n1", nil, now), "CONSUMER.LEADER_ELECTED.S.C", "consumer_leader_elected", `"stream":"S","consumer":"C","leader":"n1","replicas":null`},
		{b.QuorumLost("A", "S", "", nil, now), "STREAM.QUORUM_LOST.S", "stream_quorum_lost", `"account":"A","stream":"S","replicas":null`},
		{b.Server(ServerRemoved, jsapi.ServerAdvisory{Server: "s", ServerID: "i", Cluster: "c"}, now), "SERVER.REMOVED", "server_removed", `"server":"s","server_id":"i","cluster":"c"`},
		{b.APILimit("s", 12, now), "API.LIMIT_REACHED", "api_limit_reached", `"server":"s","domain":"hub","dropped":12`},
		{b.Audit("s", nil, "x", "", "{}", now), "API", "api_audit", `"server":"s","client":null,"subject":"x","response":"{}"`},
	} {
		if c.m.Subject != "$JS.EVENT.ADVISORY."+c.subject {
			t.Errorf("subject %s, want %s", c.m.Subject, c.subject)
		}
		var e map[string]any
		if err := json.Unmarshal(c.m.Body, &e); err != nil || e["type"] != "io.nats.jetstream.advisory.v1."+c.typ ||
			len(e["id"].(string)) != 22 || e["timestamp"] != "2023-11-14T22:13:20.000000005Z" || e["domain"] != "hub" {
			t.Errorf("%s: %v", c.m.Body, err)
		}
		if !strings.Contains(string(c.m.Body), c.fields) {
			t.Errorf("%s lacks %s", c.m.Body, c.fields)
		}
	}
	m := b.Ack("S", "C", 1, 2, 1, time.Second, now)
	want := regexp.MustCompile(`^\{"type":"io.nats.jetstream.metric.v1.consumer_ack","id":"\w{22}","timestamp":"[^"]*","stream":"S","consumer":"C","consumer_seq":1,"stream_seq":2,"ack_time":1000000000,"deliveries":1,"domain":"hub"\}$`)
	if m.Subject != "$JS.EVENT.METRIC.CONSUMER.ACK.S.C" || !want.Match(m.Body) {
		t.Errorf("%s %s", m.Subject, m.Body)
	}
}
