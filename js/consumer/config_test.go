package consumer_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
)

func parseConfig(t *testing.T, s string) *jsapi.ConsumerConfig {
	t.Helper()
	var c jsapi.ConsumerConfig
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func streamLimits(retention jsapi.Retention) *consumer.Limits {
	return &consumer.Limits{Stream: &jsapi.StreamConfig{Name: "S", Replicas: 3, Subjects: []string{"a.>"}, Retention: retention}}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestValidate goes through every rule of section 1 of the reference.
func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tc := range []struct{ cfg, want string }{
		{`{"durable_name":"d"}`, ""},
		{`{"name":"a","durable_name":"b"}`, "Consumer Durable and Name have to be equal if both are provided (10132)"},
		{`{"name":"a.b"}`, `consumer name can not contain '.', '*', '>', '\', '/' (10052)`},
		{`{"durable_name":"a b"}`, `consumer durable name can not contain '.', '*', '>', '\', '/' (10052)`},
		{`{"durable_name":"a/b"}`, `consumer durable name can not contain '.', '*', '>', '\', '/' (10052)`},
		{`{"durable_name":"` + long + `"}`, "consumer name is too long, maximum allowed is 255 (10102)"},
		{`{"description":"` + strings.Repeat("x", 4097) + `"}`, "consumer description is too long, maximum allowed is 4096 (10107)"},
		{`{"opt_start_seq":1}`, "consumer delivery policy is deliver all, but optional start sequence is also set (10094)"},
		{`{"opt_start_time":"2024-01-01T00:00:00Z"}`, "consumer delivery policy is deliver all, but optional start time is also set (10094)"},
		{`{"deliver_policy":"last","opt_start_seq":1}`, "consumer delivery policy is deliver last, but optional start sequence is also set (10094)"},
		{`{"deliver_policy":"new","opt_start_seq":1}`, "consumer delivery policy is deliver new, but optional start sequence is also set (10094)"},
		{`{"deliver_policy":"last_per_subject","opt_start_seq":1,"filter_subject":"a"}`, "consumer delivery policy is deliver last per subject, but optional start sequence is also set (10094)"},
		{`{"deliver_policy":"last_per_subject"}`, "consumer delivery policy is deliver last per subject, but optional filter subject is not set (10094)"},
		{`{"deliver_policy":"by_start_sequence"}`, "consumer delivery policy is deliver by start sequence, but optional start sequence is not set (10094)"},
		{`{"deliver_policy":"by_start_sequence","opt_start_seq":1,"opt_start_time":"2024-01-01T00:00:00Z"}`, "consumer delivery policy is deliver by start sequence, but optional start time is also set (10094)"},
		{`{"deliver_policy":"by_start_time"}`, "consumer delivery policy is deliver by start time, but optional start time is not set (10094)"},
		{`{"deliver_policy":"by_start_time","opt_start_seq":1,"opt_start_time":"2024-01-01T00:00:00Z"}`, "consumer delivery policy is deliver by start time, but optional start start sequence is also set (10094)"},
		{`{"ack_policy":"flow_control"}`, "flow control ack policy requires a push based consumer (10218)"},
		{`{"ack_policy":"flow_control","deliver_subject":"d","max_ack_pending":-1}`, "flow control ack policy requires max ack pending (10220)"},
		{`{"ack_policy":"flow_control","deliver_subject":"d","ack_wait":1}`, "flow control ack policy requires unset ack wait (10221)"},
		{`{"ack_policy":"flow_control","deliver_subject":"d","max_deliver":3}`, "flow control ack policy requires unset max deliver (10222)"},
		{`{"ack_policy":"flow_control","deliver_subject":"d"}`, ""},
		{`{"ack_wait":-1}`, "consumer ack wait needs to be positive (10183)"},
		{`{"backoff":[-1],"max_deliver":5}`, "consumer backoff needs to be positive (10184)"},
		{`{"backoff":[1,2],"max_deliver":1}`, "max deliver is required to be > length of backoff values (10116)"},
		{`{"backoff":[1,2],"max_deliver":2}`, ""},
		{`{"backoff":[1,2],"max_deliver":-1}`, ""},
		{`{"filter_subject":"a","filter_subjects":["b"]}`, "consumer cannot have both FilterSubject and FilterSubjects specified (10136)"},
		{`{"filter_subjects":["a",""]}`, "consumer filter in FilterSubjects cannot be empty (10139)"},
		{`{"filter_subjects":["a.>","a.b"]}`, "consumer subject filters cannot overlap (10138)"},
		{`{"filter_subjects":["a.*.c","a.b.*"]}`, ""},
		{`{"filter_subject":"a..b"}`, "invalid subject (10052)"},
		{`{"filter_subjects":["a..b"]}`, "invalid subject (10052)"},
		{`{"filter_subject":"other"}`, ""},
		{`{"rate_limit_bps":1}`, "consumer in pull mode can not have rate limit set (10086)"},
		{`{"sample_freq":"x"}`, "failed to parse consumer sampling configuration: strconv.Atoi: parsing \"x\": invalid syntax (10095)"},
		{`{"sample_freq":"-5"}`, "failed to parse consumer sampling configuration: <nil> (10095)"},
		{`{"sample_freq":"50%"}`, ""},
		{`{"deliver_subject":"d","max_waiting":1}`, "consumer in push mode can not set max waiting (10080)"},
		{`{"deliver_subject":"d","max_ack_pending":1}`, "consumer requires ack policy for max ack pending (10082)"},
		{`{"flow_control":true}`, "consumer flow control requires a push based consumer (10089)"},
		{`{"deliver_subject":"d","flow_control":true}`, "consumer with flow control also needs heartbeats (10108)"},
		{`{"idle_heartbeat":1000000000}`, "consumer idle heartbeat requires a push based consumer (10088)"},
		{`{"deliver_subject":"d","idle_heartbeat":99999999}`, "consumer idle heartbeat needs to be >= 100ms (10083)"},
		{`{"max_expires":10}`, "consumer max request expires needs to be >= 1ms (10115)"},
		{`{"max_batch":101}`, "consumer max request batch exceeds server limit of 100 (10125)"},
		{`{"deliver_subject":"d.*"}`, "consumer deliver subject has wildcards (10079)"},
		{`{"deliver_subject":"d..x"}`, "invalid push consumer deliver subject (10112)"},
		{`{"deliver_subject":"a.x"}`, "consumer deliver subject forms a cycle (10081)"},
		{`{"num_replicas":-1}`, "replicas count cannot be negative (10133)"},
		{`{"num_replicas":5}`, "consumer config replica count exceeds parent stream (10126)"},
		{`{"num_replicas":1}`, ""},
		{`{"direct":true}`, "consumer direct requires a push based consumer (10090)"},
		{`{"direct":true,"deliver_subject":"d","durable_name":"x"}`, "consumer direct requires an ephemeral consumer (10091)"},
		{`{"metadata":{"k":"` + strings.Repeat("x", 128<<10) + `"}}`, "consumer metadata exceeds maximum size of 128KB (10135)"},
		{`{"priority_policy":"overflow","deliver_subject":"d"}`, "priority groups can not be used with push consumers (10178)"},
		{`{"priority_policy":"overflow"}`, "Setting PriorityPolicy requires at least one PriorityGroup to be set (10159)"},
		{`{"priority_policy":"overflow","priority_groups":[""]}`, "Group name cannot be an empty string (10161)"},
		{`{"priority_policy":"overflow","priority_groups":["a.b"]}`, "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters (10162)"},
		{`{"priority_policy":"overflow","priority_groups":["12345678901234567"]}`, "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters (10162)"},
		{`{"priority_groups":["A"]}`, "consumer can not have priority groups when policy is none (10196)"},
		{`{"priority_timeout":1}`, "PinnedTTL cannot be set when PriorityPolicy is none (10197)"},
		{`{"ack_policy":"explicit","max_ack_pending":5001}`, "consumer max ack pending exceeds system limit of 5000 (10121)"},
		{`{"inactive_threshold":10000000001}`, "consumer inactive threshold exceeds system limit of 10s (10153)"},
	} {
		cfg := parseConfig(t, tc.cfg)
		l := streamLimits(jsapi.LimitsRetention)
		l.MaxRequestBatch, l.MaxAckPending = 100, 5000
		l.Stream.ConsumerLimits.InactiveThreshold = 10 * time.Second
		err := consumer.SetDefaults(cfg, l, false)
		if err == nil {
			err = consumer.Validate(cfg, l)
		}
		if got := errText(err); got != tc.want {
			t.Errorf("%.80s\ngot  %q\nwant %q", tc.cfg, got, tc.want)
		}
	}
	alone := &consumer.Limits{Standalone: true, Stream: &jsapi.StreamConfig{Replicas: 1}}
	if got := errText(consumer.Validate(parseConfig(t, `{"num_replicas":3}`), alone)); got != "replicas > 1 not supported in non-clustered mode (10074)" {
		t.Error(got)
	}
	wq := streamLimits(jsapi.WorkQueueRetention)
	for cfg, want := range map[string]string{
		`{"max_waiting":5}`: "consumer in pull mode requires explicit ack policy on workqueue stream (10084)",
		`{"ack_policy":"explicit","max_waiting":5,"num_replicas":1}`: "consumer config replicas must match interest retention stream's replicas (10134)",
	} {
		if got := errText(consumer.Validate(parseConfig(t, cfg), wq)); got != want {
			t.Errorf("%s: %q", cfg, got)
		}
	}
}

func TestDefaults(t *testing.T) {
	l := streamLimits(jsapi.LimitsRetention)
	l.AccountAckPending, l.MaxRequestBatch = 500, 77
	l.Stream.ConsumerLimits.InactiveThreshold = time.Minute
	c := parseConfig(t, `{"ack_policy":"explicit","max_deliver":-5,"max_expires":-1,"max_bytes":-1,"max_waiting":-3,"max_ack_pending":0}`)
	if err := consumer.SetDefaults(c, l, false); err != nil {
		t.Fatal(err)
	}
	if c.MaxDeliver != -1 || c.AckWait != 30*time.Second || c.MaxWaiting != 512 || c.MaxAckPending != 500 || c.MaxRequestBatch != 77 ||
		c.InactiveThreshold != time.Minute || c.MaxRequestExpires != 0 || c.MaxRequestMaxBytes != 0 {
		t.Fatalf("%+v", c)
	}
	c = parseConfig(t, `{"ack_policy":"flow_control","deliver_subject":"d"}`)
	consumer.SetDefaults(c, l, false)
	if !c.FlowControl || c.Heartbeat != time.Second || c.AckWait != 0 || c.MaxWaiting != 0 || c.MaxRequestBatch != 0 {
		t.Fatalf("%+v", c)
	}
	c = parseConfig(t, `{"priority_policy":"pinned_client","priority_groups":["A"],"backoff":[5,6]}`)
	consumer.SetDefaults(c, l, false)
	if c.PriorityTimeout != 2*time.Minute || c.AckWait != 5 || c.MaxAckPending != 0 {
		t.Fatalf("%+v", c)
	}
	for cfg, want := range map[string]string{
		`{"max_deliver":-2}`:           "max_deliver must be set to -1",
		`{"max_waiting":-1}`:           "max_waiting must not be negative",
		`{"max_ack_pending":-2}`:       "max_ack_pending must be set to -1",
		`{"max_batch":-1}`:             "max_batch must not be negative",
		`{"max_expires":-1}`:           "max_expires must not be negative",
		`{"max_bytes":-1}`:             "max_bytes must not be negative",
		`{"idle_heartbeat":-1}`:        "idle_heartbeat must not be negative",
		`{"inactive_threshold":-1}`:    "inactive_threshold must not be negative",
		`{"priority_timeout":-1}`:      "priority_timeout must not be negative",
		`{"backoff":[5],"ack_wait":6}`: "first backoff value has to equal batch AckWait",
		`{}`:                           "inactive_threshold must be set if it's configured in stream limits",
		`{"inactive_threshold":1}`:     "max_request_batch must be set if it's JetStream limits are set",
	} {
		if got := errText(consumer.SetDefaults(parseConfig(t, cfg), l, true)); got != "pedantic mode: "+want+" (10157)" {
			t.Errorf("%s: %q", cfg, got)
		}
	}
}

func TestUpdateRules(t *testing.T) {
	l := streamLimits(jsapi.LimitsRetention)
	for _, tc := range []struct{ old, cfg, want string }{
		{`{"deliver_policy":"all"}`, `{"deliver_policy":"new"}`, "deliver policy can not be updated (10012)"},
		{`{}`, `{"mem_storage":true}`, "storage type can not be updated (10012)"},
		{`{}`, `{"direct":true}`, "direct can not be updated (10012)"},
		{`{}`, `{"sourcing":true}`, "sourcing can not be updated (10012)"},
		{`{"opt_start_seq":1}`, `{"opt_start_seq":2}`, "start sequence can not be updated (10012)"},
		{`{"opt_start_time":"2024-01-01T00:00:00Z"}`, `{}`, "start time can not be updated (10012)"},
		{`{"opt_start_time":"2024-01-01T00:00:00Z"}`, `{"opt_start_time":"2024-01-01T01:00:00+01:00"}`, ""},
		{`{}`, `{"ack_policy":"all"}`, "ack policy can not be updated (10012)"},
		{`{}`, `{"replay_policy":"original"}`, "replay policy can not be updated (10012)"},
		{`{}`, `{"idle_heartbeat":1}`, "heart beats can not be updated (10012)"},
		{`{}`, `{"flow_control":true}`, "flow control can not be updated (10012)"},
		{`{}`, `{"deliver_subject":"d"}`, "can not update pull consumer to push based (10012)"},
		{`{"deliver_subject":"d"}`, `{}`, "can not update push consumer to pull based (10012)"},
		{`{"deliver_subject":"d"}`, `{"deliver_subject":"e"}`, "consumer name already in use (10013)"},
		{`{"max_waiting":1}`, `{"max_waiting":2}`, "max waiting can not be updated (10012)"},
		{`{"description":"x"}`, `{"description":"y","ack_wait":5,"max_deliver":3,"sample_freq":"5","max_ack_pending":9,"headers_only":true,"filter_subjects":["q"],"backoff":[1],"rate_limit_bps":8,"inactive_threshold":8,"num_replicas":1}`, ""},
	} {
		if got := errText(consumer.ValidateUpdate(parseConfig(t, tc.old), parseConfig(t, tc.cfg), l, nil, true)); got != tc.want {
			t.Errorf("%s -> %s: %q, want %q", tc.old, tc.cfg, got, tc.want)
		}
	}
	same := func(a, b string, want bool) {
		t.Helper()
		if got := consumer.Same(parseConfig(t, a), parseConfig(t, b)); got != want {
			t.Errorf("%s, %s: %v", a, b, got)
		}
	}
	same(`{"filter_subjects":["a","b"]}`, `{"filter_subjects":["b","a"]}`, true)
	same(`{"filter_subjects":["a"]}`, `{"filter_subject":"a"}`, true)
	same(`{"durable_name":"d"}`, `{"durable_name":"d","name":"d"}`, true)
	same(`{"metadata":{"_nats.ver":"1","k":"v"}}`, `{"metadata":{"k":"v"}}`, true)
	same(`{"metadata":{"k":"w"}}`, `{"metadata":{"k":"v"}}`, false)
	same(`{"pause_until":"2024-01-01T00:00:00Z"}`, `{}`, true)
	same(`{"ack_wait":1}`, `{}`, false)
	same(`{"filter_subjects":["a"]}`, `{}`, false)
}

func TestWorkQueueAndLimits(t *testing.T) {
	l := streamLimits(jsapi.WorkQueueRetention)
	check := func(cfg, want string, others ...string) {
		t.Helper()
		var o []*jsapi.ConsumerConfig
		for _, s := range others {
			o = append(o, parseConfig(t, s))
		}
		if got := errText(consumer.ValidateNew(parseConfig(t, cfg), l, o)); got != want {
			t.Errorf("%s beside %v: %q, want %q", cfg, others, got, want)
		}
	}
	check(`{"ack_policy":"all"}`, "workqueue stream requires explicit ack (10098)")
	check(`{"ack_policy":"none","deliver_subject":"d"}`, "workqueue stream requires explicit ack (10098)")
	check(`{"ack_policy":"explicit","deliver_policy":"new"}`, "consumer must be deliver all on workqueue stream (10101)")
	check(`{"ack_policy":"explicit"}`, "")
	check(`{"ack_policy":"explicit"}`, "multiple non-filtered consumers not allowed on workqueue stream (10099)", `{"filter_subject":"a.1"}`)
	check(`{"ack_policy":"explicit","filter_subject":"a.1"}`, "filtered consumer not unique on workqueue stream (10100)", `{}`)
	check(`{"ack_policy":"explicit","filter_subject":"a.*"}`, "filtered consumer not unique on workqueue stream (10100)", `{"filter_subject":"a.1"}`)
	check(`{"ack_policy":"explicit","filter_subject":"a.2"}`, "", `{"filter_subject":"a.1"}`)
	check(`{"ack_policy":"explicit"}`, "", `{"sourcing":true}`, `{"direct":true}`)
	if got := errText(consumer.ValidateUpdate(parseConfig(t, `{"filter_subject":"a.2"}`), parseConfig(t, `{"filter_subject":"a.*"}`), l,
		[]*jsapi.ConsumerConfig{parseConfig(t, `{"filter_subject":"a.1"}`)}, false)); got != "filtered consumer not unique on workqueue stream (10100)" {
		t.Error(got)
	}
	l = streamLimits(jsapi.LimitsRetention)
	const full = "maximum consumers limit reached (10026)"
	l.DefaultMaxConsumers = 1
	check(`{}`, full, `{}`)
	l.AccountMaxConsumers = 3
	check(`{}`, "", `{}`)
	l.Stream.MaxConsumers = 2
	check(`{}`, full, `{}`, `{}`)
	check(`{"direct":true}`, "", `{}`, `{}`)
	check(`{}`, "", `{}`, `{"direct":true}`)
	l.AccountMaxConsumers = 1
	check(`{}`, full, `{}`)
}
