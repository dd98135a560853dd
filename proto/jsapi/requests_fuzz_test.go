package jsapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// FuzzRequests: a body that an endpoint takes is taken again when it is encoded, and means the same; one that is refused has an error of the API.
func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"", "{}", " [ ] ", `{"name":"S","subjects":["a.>"],"retention":"workqueue","storage":"memory","max_age":1000,"placement":{"tags":["a"]}}`,
		`{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","backoff":[1,2],"priority_policy":"overflow"},"action":"create"}`,
		`{"retention":7}`, `{"storage":"tape"}`, `{"mirror":{"name":"M","external":{"api":"x"}},"sources":[null,{"name":"o","subject_transforms":[{"src":"a"}]}]}`,
		`{"seq":18446744073709551615,"last_by_subj":"x"}`, `{"unknown":1}`, `{"name":"a"}{"name":"b"}`, `{"filter":1e400}`, `null`,
	} {
		f.Add([]byte(s), uint8(0), true)
		f.Add([]byte(s), uint8(StreamCreateAPI), false)
		f.Add([]byte(s), uint8(ConsumerCreateAPI), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, endpoint uint8, strict bool) {
		for _, v := range []any{&StreamConfigRequest{}, &StreamInfoRequest{}, &StreamsRequest{}, &PurgeRequest{}, &MsgGetRequest{}, &MsgDeleteRequest{}, &StepdownRequest{},
			&PeerRequest{}, &CreateConsumerRequest{}, &ConsumersRequest{}, &PauseRequest{}, &UnpinRequest{}, &ResetRequest{}, &SnapshotRequest{}, &RestoreRequest{}} {
			_, apiErr := Endpoint(endpoint).Decode(body, v, strict)
			if apiErr != nil {
				if apiErr.Code == 0 || apiErr.ErrCode == 0 {
					t.Fatalf("%q: %+v", body, apiErr)
				}
				continue
			}
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%q is taken as %+v, which is no JSON: %v", body, v, err)
			}
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if _, apiErr = Unmarshal(b, again, true); apiErr != nil {
				t.Fatalf("%q is taken, %s is not: %v", body, b, apiErr)
			}
			if c, err := json.Marshal(again); err != nil || !bytes.Equal(b, c) {
				t.Fatalf("%q becomes %s, then %s, %v", body, b, c, err)
			}
		}
	})
}

// FuzzTTL: a time to live is never, none, or a number of seconds that can be added to any time.
func FuzzTTL(f *testing.F) {
	for _, s := range []string{"", "never", "1", "18446744073709551615", "99999999999999999999", "2562047h47m16.854775807s", "-1s", "1.5s", "1e3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		n, ok := ParseTTL(v)
		if ok && (n < -1 || n > maxTTL+int64(1<<63-1)/int64(time.Second)) || ok && n == 0 && len(v) > 0 {
			t.Fatalf("%q: %d", v, n)
		}
	})
}
