package stream

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ramjet/proto/jsapi"
)

// TestGolden compares with the answers of nats-server 2.15.2 to the same creates and updates.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/config.golden")
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]*jsapi.StreamConfig{
		"ORI":   {Name: "ORI", Subjects: []string{"ori.>"}, AllowDirect: true, MaxMsgSize: 1000},
		"OTHER": {Name: "OTHER", Subjects: []string{"other.>"}, MaxMsgSize: -1},
	}
	ctx := func(pedantic bool) *Context {
		return &Context{Pedantic: pedantic, Stream: func(n string) *jsapi.StreamConfig { return origins[n] },
			Each: func(fn func(*jsapi.StreamConfig) bool) {
				for _, o := range []string{"ORI", "OTHER"} {
					if !fn(origins[o]) {
						return
					}
				}
			}}
	}
	create := func(body, subj string) (*jsapi.StreamConfig, *jsapi.Error) {
		var req jsapi.StreamConfigRequest
		if _, err := jsapi.Unmarshal([]byte(body), &req, true); err != nil {
			return nil, err
		}
		if subj != "" && req.Name != subj && !strings.Contains(req.Name, "/") {
			return nil, jsapi.StreamMismatch.Err()
		}
		if err := CheckName(req.Name); err != nil {
			return nil, err
		}
		if err := CheckCreate(&req.StreamConfig, ctx(req.Pedantic)); err != nil {
			return nil, err
		}
		if err := CheckOverlap(&req.StreamConfig, ctx(false)); err != nil {
			return nil, err
		}
		return &req.StreamConfig, nil
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	n := 0
	for i := 0; i+2 < len(lines); i += 3 {
		kind, body, want := lines[i], lines[i+1], lines[i+2]
		n++
		var cfg *jsapi.StreamConfig
		var apiErr *jsapi.Error
		if base, ok := strings.CutPrefix(kind, "update "); ok {
			old, err := create(base, "")
			if err != nil {
				t.Errorf("%s: base: %v", base, err)
				continue
			}
			var req jsapi.StreamConfigRequest
			if _, err := jsapi.Unmarshal([]byte(body), &req, true); err != nil {
				t.Fatal(err)
			}
			cfg = &req.StreamConfig
			if apiErr = check(cfg, ctx(req.Pedantic)); apiErr == nil {
				if apiErr = jsapi.StreamMismatch.Err(); req.Name == "X" {
					apiErr = CheckUpdate(old, cfg, nil, ctx(req.Pedantic))
				}
			}
		} else {
			subj := ""
			if strings.Contains(body, `"name": "a.b"`) {
				subj = "X"
			}
			cfg, apiErr = create(body, subj)
		}
		got := ""
		if apiErr != nil {
			got = fmt.Sprintf("%d %d %s", apiErr.Code, apiErr.ErrCode, apiErr.Description)
		} else {
			b, _ := json.Marshal(cfg)
			got = string(b)
		}
		if strings.HasPrefix(want, "{") && strings.HasPrefix(got, "{") {
			var a, b map[string]any
			_ = json.Unmarshal([]byte(got), &a)
			_ = json.Unmarshal([]byte(want), &b)
			if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
				t.Errorf("%s %s\n got  %s\n want %s", kind, body, x, y)
			}
			continue
		}
		if got != want {
			t.Errorf("%s %s\n got  %s\n want %s", kind, body, got, want)
		}
	}
	if n < 100 {
		t.Errorf("only %d cases", n)
	}
}

func TestAccountLimits(t *testing.T) {
	for _, c := range []struct {
		cfg  jsapi.StreamConfig
		ctx  Context
		want string
	}{
		{jsapi.StreamConfig{Name: "S", MaxConsumers: 5}, Context{MaxConsumers: 4}, "maximum consumers limit reached (10026)"},
		{jsapi.StreamConfig{Name: "S"}, Context{BytesRequired: true}, "account requires a stream config to have max bytes set (10113)"},
		{jsapi.StreamConfig{Name: "S", MaxBytes: 11}, Context{MaxFileStream: 10}, "stream max bytes exceeds account limit max stream bytes (10122)"},
		{jsapi.StreamConfig{Name: "S", MaxBytes: 11, Storage: jsapi.MemoryStorage}, Context{MaxFileStream: 10}, ""},
		{jsapi.StreamConfig{Name: "S", DuplicateWindow: time.Hour}, Context{MaxWindow: time.Minute}, "duplicates window can not be larger then server limit of 1m0s (10052)"},
		{jsapi.StreamConfig{Name: "S", Metadata: map[string]string{"a": strings.Repeat("x", 128<<10)}}, Context{}, "stream metadata exceeds maximum size of 131072 bytes (10052)"},
	} {
		got := ""
		if err := CheckCreate(&c.cfg, &c.ctx); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	c := jsapi.StreamConfig{Name: "S"}
	if CheckCreate(&c, &Context{MaxWindow: time.Minute}) != nil || c.DuplicateWindow != time.Minute {
		t.Error(c.DuplicateWindow)
	}
	old, next := c, c
	next.ConsumerLimits.MaxAckPending = 5
	err := CheckUpdate(&old, &next, []*jsapi.ConsumerConfig{{Name: "b", MaxAckPending: 9}, {Name: "c", MaxAckPending: 5}, {Name: "a", MaxAckPending: 6}}, &Context{})
	if err == nil || err.Error() != "change to limits violates consumers: a, b (10069)" {
		t.Error(err)
	}
	shown := WithServerMetadata(&c, "1.2.3")
	if !SameConfig(&c, shown) || shown.Metadata[jsapi.MetaServerLevel] != "5" {
		t.Error(shown.Metadata)
	}
	c.Metadata[jsapi.MetaRequiredLevel] = "6"
	if Unsupported(&c) != "unsupported - required API level: 6, current API level: 5" {
		t.Error(Unsupported(&c))
	}
}

// TestCycle has the answers of nats-server 2.15.2, for which two ways to one stream can be a cycle.
func TestCycle(t *testing.T) {
	streams := map[string]*jsapi.StreamConfig{}
	add := func(name, subject, mirror string, sources ...*jsapi.StreamSource) *jsapi.StreamConfig {
		c := &jsapi.StreamConfig{Name: name, Sources: sources}
		if subject != "" {
			c.Subjects = []string{subject}
		}
		if mirror != "" {
			c.Mirror = &jsapi.StreamSource{Name: mirror}
		}
		streams[name] = c
		return c
	}
	from := func(name, filter string) *jsapi.StreamSource {
		return &jsapi.StreamSource{Name: name, FilterSubject: filter}
	}
	add("O", "o.>", "")
	add("M", "", "O")
	add("A", "a", "", from("B", ""))
	add("X", "", "", from("O", "o.x"))
	add("Y", "", "", from("O", "o.y"))
	add("P", "p", "", from("Q", "q"))
	for _, c := range []struct {
		cfg  *jsapi.StreamConfig
		want bool
	}{
		{add("N", "", "", from("M", "")), false},
		{add("N", "", "", from("O", ""), from("M", "")), true},
		{add("N", "", "", from("X", ""), from("Y", "")), false},
		{add("N", "", "M"), false},
		{add("B", "b", "", from("A", "")), true},
		{add("B", "", "A"), true},
		{add("Q", "q", "", from("P", "p")), false},
		{add("Q", "q", "", &jsapi.StreamSource{Name: "P", External: &jsapi.ExternalStream{APIPrefix: "p"}}), false},
	} {
		err := checkCycle(c.cfg, &Context{Stream: func(n string) *jsapi.StreamConfig { return streams[n] }})
		if (err != nil) != c.want {
			t.Errorf("%s %v %+v: %v", c.cfg.Name, c.cfg.Mirror, c.cfg.Sources, err)
		}
	}
	// Every stream takes from every one of the next layer: what has to be followed does not multiply.
	const layers, width = 30, 6
	for i := range layers {
		for j := range width {
			var s []*jsapi.StreamSource
			for k := range width {
				s = append(s, from(fmt.Sprintf("L%d-%d", i+1, k), ""))
			}
			add(fmt.Sprintf("L%d-%d", i, j), "", "", s...)
		}
	}
	if err := checkCycle(streams["L0-0"], &Context{Stream: func(n string) *jsapi.StreamConfig { return streams[n] }}); err != nil {
		t.Error(err)
	}
}
