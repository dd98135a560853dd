package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/mqtt"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

const (
	// mqttRetainedIdle is how long the consumer of retained messages outlives its server.
	mqttRetainedIdle = 5 * time.Minute
	// mqttTransferTime bounds the move of retained messages of old servers to a subject each.
	mqttTransferTime = 10 * time.Second
	// mqttTransferRetry is when the sessions of old servers are tried again.
	mqttTransferRetry = 5 * time.Second
	// oldSessions begins the names of streams of old servers, which had one for each session.
	oldSessions = "$MQTT_sess_"
	oldRetained = "$MQTT.rmsgs"
)

// Open implements mqtt.Storage: the streams are made on a goroutine of their own, once per account.
func (t *mqttStore) Open(u mqtt.Updates, done func(error)) {
	t.updates = u
	go func() {
		err := t.open()
		if err != nil {
			t.Close()
		}
		done(err)
	}()
}

func (t *mqttStore) open() error {
	name := t.acct.Name()
	o := t.s.opts.Load()
	replicas := max(o.MQTT.StreamReplicas, 1)
	where := ""
	if t.domain != "" {
		where = fmt.Sprintf(" in domain %q", t.domain)
	}
	t.s.log.Logf(engine.Info, "", "Creating MQTT streams/consumers with replicas %v for account %q%s", replicas, name, where)
	retained := mqtt.DeliverPrefix + t.newID()
	for _, subject := range []string{t.prefix + ">", mqttReplies + "*." + mqttSessPersist + ".*.*", retained} {
		sub, err := t.local.Subscribe(subject, "")
		if err != nil {
			return fmt.Errorf("subscribing to %q: %w", subject, err)
		}
		t.mu.Lock()
		t.subs = append(t.subs, sub)
		t.mu.Unlock()
	}
	for _, st := range t.streams(replicas) {
		if err := t.openStream(&st, o.MQTT.StreamReplicas); err != nil {
			return err
		}
	}
	t.tell(jsapi.ConsumerDelete, mqtt.StreamRetained, mqtt.StreamRetained+"_"+mqttNode(t.s)) // of old servers
	cc := &jsapi.ConsumerConfig{
		Name: mqtt.StreamRetained + "_" + t.newID(), FilterSubject: mqtt.SubjectRetained + ">", DeliverSubject: retained,
		InactiveThreshold: mqttRetainedIdle,
	}
	body, err := json.Marshal(&jsapi.CreateConsumerRequest{Stream: mqtt.StreamRetained, Config: *cc})
	if err == nil {
		err = t.ask(mqttConsumerCreate, t.api(jsapi.ConsumerCreateAPI, mqtt.StreamRetained, cc.Name), body, nil)
	}
	if err != nil {
		return fmt.Errorf("create retained messages consumer for account %q: %w", name, err)
	}
	return nil
}

func (t *mqttStore) newID() string { return rng.NewNUID(rng.NewRandom()).Next() }

// mqttStream is a stream that has to exist.
type mqttStream struct {
	what string // in error texts
	cfg  jsapi.StreamConfig
}

// streams lists the streams of an account (reference/websocket_mqtt.md, B4).
func (t *mqttStore) streams(replicas int) []mqttStream {
	list := []mqttStream{
		{"sessions", jsapi.StreamConfig{Name: mqtt.StreamSessions, Subjects: []string{mqtt.SubjectSessions + t.token + ">"}, MaxMsgsPerSubject: 1}},
		{"messages", jsapi.StreamConfig{Name: mqtt.StreamMessages, Subjects: []string{mqtt.SubjectMessages + ">"}, Retention: jsapi.InterestRetention}},
		{"QoS2 incoming messages", jsapi.StreamConfig{Name: mqtt.StreamIn, Subjects: []string{mqtt.SubjectIn + ">"},
			MaxMsgsPerSubject: 1, Discard: jsapi.DiscardNew, DiscardNewPerSubject: true}},
		{"QoS2 outgoing PUBREL", jsapi.StreamConfig{Name: mqtt.StreamOut, Subjects: []string{mqtt.SubjectOut + ">"}, Retention: jsapi.InterestRetention}},
		{"retained messages", jsapi.StreamConfig{Name: mqtt.StreamRetained, Subjects: []string{mqtt.SubjectRetained + ">"}, MaxMsgsPerSubject: 1}},
	}
	for i := range list {
		list[i].cfg.Replicas = replicas
	}
	return list
}

// openStream looks for a stream and makes it if it is not there. What old servers left is brought into form.
func (t *mqttStore) openStream(st *mqttStream, replicas int) error {
	info, err := t.lookup(st, replicas)
	if err != nil {
		return err
	}
	if info == nil {
		_, err = t.create(st)
		switch {
		case jsapi.StreamNameExist.Is(err): // another server was faster
			if info, err = t.lookup(st, replicas); err != nil {
				return err
			}
			if info == nil {
				return fmt.Errorf("could not look up or create the %s stream for account %q", st.what, t.acct.Name())
			}
		case err != nil:
			return fmt.Errorf("create %s stream for account %q: %w", st.what, t.acct.Name(), err)
		case st.cfg.Name == mqtt.StreamSessions:
			t.transferSessions()
			return nil
		default:
			return nil
		}
	}
	if st.cfg.Name != mqtt.StreamRetained {
		return nil
	}
	return t.updateRetained(st, info)
}

// lookup returns what is known about a stream, nil if it does not exist.
func (t *mqttStore) lookup(st *mqttStream, replicas int) (*jsapi.StreamInfo, error) {
	var info jsapi.StreamInfo
	err := t.ask(mqttStreamLookup, t.api(jsapi.StreamInfoAPI, st.cfg.Name), nil, &info)
	switch {
	case jsapi.StreamNotFound.Is(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("lookup %s stream for account %q: %w", st.what, t.acct.Name(), err)
	}
	have := 1
	if info.Cluster != nil {
		have += len(info.Cluster.Replicas)
	}
	if replicas > 0 && replicas != have {
		t.s.log.Logf(engine.Warn, "RJ-Q030", "MQTT %s stream replicas mismatch: current is %v but configuration is %v for '%s > %s'",
			st.what, have, replicas, t.acct.Name(), st.cfg.Name)
	}
	return &info, nil
}

func (t *mqttStore) create(st *mqttStream) (*jsapi.StreamInfo, error) {
	body, err := json.Marshal(&st.cfg)
	if err != nil {
		return nil, err
	}
	var info jsapi.StreamInfo
	if err := t.ask(mqttStreamCreate, t.api(jsapi.StreamCreateAPI, st.cfg.Name), body, &info); err != nil {
		return nil, err
	}
	return &info, nil
}

func (t *mqttStore) update(cfg *jsapi.StreamConfig) error {
	body, err := json.Marshal(cfg)
	if err == nil {
		err = t.ask(mqttStreamUpdate, t.api(jsapi.StreamUpdateAPI, cfg.Name), body, nil)
	}
	if err != nil {
		return fmt.Errorf("failed to update stream config: %w", err)
	}
	return nil
}

// updateRetained brings the stream of retained messages into form: old servers had all of them under one
// subject.
func (t *mqttStore) updateRetained(st *mqttStream, info *jsapi.StreamInfo) error {
	cfg := info.Config
	if len(cfg.Subjects) != 1 || cfg.Subjects[0] != st.cfg.Subjects[0] {
		cfg.Subjects = st.cfg.Subjects
		if err := t.update(&cfg); err != nil {
			return err
		}
	}
	if cfg.MaxMsgsPerSubject == 1 {
		return nil
	}
	if err := t.transferRetained(); err != nil {
		t.s.log.Logf(engine.Warn, "RJ-Q031", "Unable to transfer retained messages: %v", err)
	}
	cfg.MaxMsgsPerSubject = 1
	if err := t.update(&cfg); err != nil {
		return err
	}
	return t.transferRetained() // what came meanwhile, or what failed
}

// transferRetained moves the retained messages of old servers to a subject each.
func (t *mqttStore) transferRetained() error {
	end := t.s.clk.Now().Add(mqttTransferTime)
	for n := 0; ; n++ {
		var got jsapi.MsgGetResponse
		err := t.ask(mqttMsgLoad, t.api(jsapi.StreamMsgGet, mqtt.StreamRetained), []byte(`{"next_by_subj":"`+oldRetained+`"}`), &got)
		if jsapi.NoMessageFound.Is(err) || err == nil && got.Message == nil {
			if n > 0 {
				t.s.log.Logf(engine.Info, "", "Processed %d messages from '%s'", n, oldRetained)
			}
			return nil
		}
		if err != nil {
			return err
		}
		var old struct {
			Subject string `json:"subject"`
		}
		if json.Unmarshal(got.Message.Data, &old) == nil && old.Subject != "" {
			if err := t.ask(mqttMsgStore, []byte(mqtt.SubjectRetained+old.Subject), got.Message.Data, nil); err != nil {
				t.s.log.Logf(engine.Error, "RJ-Q032", "Unable to transfer the retained message with sequence %d: %v", got.Message.Seq, err)
			}
		} else {
			t.s.log.Logf(engine.Warn, "RJ-Q031", "Unable to unmarshal retained message with sequence %d, skipping", got.Message.Seq)
		}
		body := fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, got.Message.Seq)
		if err := t.ask(mqttMsgDelete, t.api(jsapi.StreamMsgDelete, mqtt.StreamRetained), body, nil); err != nil {
			return err
		}
		if t.s.clk.Now().After(end) {
			return errors.New("timed out while transferring retained messages")
		}
	}
}

// transferSessions moves the sessions of old servers, which had a stream each, into the one of all; what fails
// is tried again later.
func (t *mqttStore) transferSessions() {
	if err := t.tryTransfer(); err != nil && !errors.Is(err, mqtt.ErrStopped) {
		t.s.log.Logf(engine.Error, "RJ-Q033", "Unable to transfer MQTT session streams: %v; will try again in %v", err, mqttTransferRetry)
		t.s.clk.AfterFunc(mqttTransferRetry, func() { go t.transferSessions() })
	}
}

func (t *mqttStore) tryTransfer() error {
	var names jsapi.StreamNamesResponse
	if err := t.ask(mqttStreamNames, t.api(jsapi.StreamNames), nil, &names); err != nil {
		return err
	}
	n := 0
	for _, name := range names.Streams {
		if !strings.HasPrefix(name, oldSessions) {
			continue
		}
		t.s.log.Logf(engine.Info, "", "  Transferring stream %q to %q", name, mqtt.StreamSessions)
		var got jsapi.MsgGetResponse
		body := append(jsapi.AppendString([]byte(`{"last_by_subj":`), name), '}')
		if err := t.ask(mqttMsgLoad, t.api(jsapi.StreamMsgGet, name), body, &got); err != nil {
			return fmt.Errorf("unable to load session record: %w", err)
		}
		var rec struct {
			ID string `json:"id"`
		}
		if got.Message == nil || json.Unmarshal(got.Message.Data, &rec) != nil {
			t.s.log.Logf(engine.Warn, "RJ-Q031", "Unable to unmarshal the content of stream %q, may not be a legitimate MQTT session stream, skipping", name)
			continue
		}
		if err := t.ask(mqttMsgStore, []byte(mqtt.SubjectSessions+t.token+jsapi.Hash(rec.ID)), got.Message.Data, nil); err != nil {
			return fmt.Errorf("unable to transfer the session record: %w", err)
		}
		if err := t.ask(mqttStreamDelete, t.api(jsapi.StreamDeleteAPI, name), nil, nil); err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		t.s.log.Logf(engine.Info, "", "Transfer of %v MQTT session streams done!", n)
	}
	return nil
}

// tell sends a request and does not wait for the answer.
func (t *mqttStore) tell(e jsapi.Endpoint, names ...string) {
	t.send(engine.NoLoop, t.api(e, names...), nil, t.info, nil)
}

// ask sends a request and waits for the answer, which is decoded into v if that is not nil. An error of the API is
// a *jsapi.Error. Only for the goroutine of open.
func (t *mqttStore) ask(kind string, subject, body []byte, v any) error {
	type result struct {
		b   []byte
		err error
	}
	got := make(chan result, 1)
	hdr := t.info
	if kind == mqttMsgStore {
		hdr = nil
	}
	t.call(engine.NoLoop, subject, nil, hdr, body, mqttCall{kind: kind, raw: func(b []byte, err error) { got <- result{b, err} }})
	r := <-got
	if r.err != nil {
		return r.err
	}
	var failed struct {
		Error *jsapi.Error `json:"error"`
	}
	if err := json.Unmarshal(r.b, &failed); err != nil {
		return fmt.Errorf("invalid answer of the JetStream API: %w", err)
	}
	if failed.Error != nil {
		return failed.Error
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(r.b, v)
}
