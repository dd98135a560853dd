package jstest_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ramjet/js/jstest"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
)

// step is one operation on a stream. Its numbers are fixed when it is made, so that it means the same after others
// before it were dropped.
type step struct {
	kind   string // post, together, batch, delete, purge, update, after
	posts  []jstest.Post
	filter string
	seq    uint64
	keep   uint64
	wait   time.Duration
	change func(*jsapi.StreamConfig)
	what   string // of change
	chaos  uint64 // which variants restart after it, and how
}

func (s step) String() string {
	switch s.kind {
	case "post", "together", "batch":
		return fmt.Sprint(s.kind, " ", s.posts)
	case "delete":
		return fmt.Sprint("delete ", s.seq)
	case "purge":
		return fmt.Sprintf("purge %q %d %d", s.filter, s.seq, s.keep)
	case "update":
		return "update " + s.what
	}
	return "after " + s.wait.String()
}

// streamConfigs are what the steps run on.
var streamConfigs = []string{
	`{"allow_rollup_hdrs":true,"allow_atomic":true}`,
	`{"allow_rollup_hdrs":true,"allow_atomic":true,"max_msgs":12}`,
	`{"max_bytes":900,"max_msg_size":120}`,
	`{"max_msgs":15,"max_msgs_per_subject":3,"allow_msg_ttl":true,"allow_atomic":true}`,
	`{"max_msgs":9,"discard":"new","allow_atomic":true,"allow_msg_ttl":true}`,
	`{"max_msgs":9,"max_bytes":1200,"max_msgs_per_subject":2,"discard":"new","allow_rollup_hdrs":true}`,
	`{"max_msgs":9,"max_msgs_per_subject":2,"discard":"new","discard_new_per_subject":true,"allow_rollup_hdrs":true,"allow_atomic":true}`,
	`{"max_age":4000000000,"duplicate_window":500000000,"allow_msg_ttl":true}`,
	`{"max_age":5000000000,"subject_delete_marker_ttl":2000000000,"max_msgs":20,"duplicate_window":1500000000}`,
	`{"subject_delete_marker_ttl":3000000000,"max_msgs_per_subject":1,"allow_atomic":true}`,
}

func makeSteps(r *rng.Source, cfg *jsapi.StreamConfig, n int) []step {
	subj := func() string { return []string{"a.1", "a.1", "a.2", "a.3", "b.1", "b.2"}[r.Intn(6)] }
	last := uint64(0) // about
	near := func() uint64 { return last - min(last, r.Uint64n(12)) + r.Uint64n(3) }
	post := func(plain bool) jstest.Post {
		p := jstest.Post{Subject: subj(), Payload: strings.Repeat("x", r.Intn(90))}
		add := func(k, v string) { p.Header = append(p.Header, [2]string{k, v}) }
		if r.Intn(5) == 0 {
			add("K", fmt.Sprint(r.Intn(100)))
		}
		if r.Intn(4) == 0 {
			add(jsapi.HdrMsgID, fmt.Sprint("id", r.Intn(15)))
		}
		if r.Intn(12) == 0 {
			add(jsapi.HdrTTL, []string{"1s", "3s", "7s", "never"}[r.Intn(4)])
		}
		if plain {
			return p
		}
		switch r.Intn(24) {
		case 0, 1:
			add(jsapi.HdrRollup, []string{"sub", "sub", "all"}[r.Intn(3)])
		case 2, 3, 4:
			add(jsapi.HdrExpectedLastSubjSeq, fmt.Sprint(near()*r.Uint64n(2)))
		case 5:
			add(jsapi.HdrExpectedLastSubjSeq, fmt.Sprint(near()))
			add(jsapi.HdrExpectedLastSubjSub, []string{"a.*", "b.>", "a.2"}[r.Intn(3)])
		case 6, 7:
			add(jsapi.HdrExpectedLastSeq, fmt.Sprint(near()))
		case 8, 9:
			add(jsapi.HdrExpectedLastMsgID, fmt.Sprint("id", r.Intn(15)))
		}
		return p
	}
	posts := func(plain bool, most int) (list []jstest.Post) {
		for range 1 + r.Intn(most) {
			list = append(list, post(plain))
		}
		last += uint64(len(list))
		return list
	}
	var steps []step
	for range n {
		s := step{chaos: r.Uint64()}
		switch k := r.Intn(100); {
		case k < 55:
			s.kind, s.posts = "post", posts(false, 3)
		case k < 63:
			s.kind, s.posts = "together", posts(true, 6)
		case k < 69 && cfg.AllowAtomic:
			s.kind, s.posts = "batch", posts(r.Intn(2) == 0, 5)
			for i := range s.posts { // not supported in batches
				s.posts[i].Header = slices.DeleteFunc(s.posts[i].Header, func(f [2]string) bool { return f[0] == jsapi.HdrExpectedLastMsgID })
			}
		case k < 77:
			s.kind, s.seq = "delete", near()
		case k < 81:
			s.kind, s.filter = "purge", []string{"", "a.*", "b.>", "a.1", "none"}[r.Intn(5)]
			if r.Intn(2) == 0 {
				s.seq = near()
			} else if r.Intn(2) == 0 {
				s.keep = r.Uint64n(6)
			}
		case k < 86:
			s.kind = "update"
			v := int64(r.Intn(20))
			switch r.Intn(6) {
			case 0:
				s.change, s.what = func(c *jsapi.StreamConfig) { c.MaxMsgs = v }, fmt.Sprint("max_msgs ", v)
			case 1:
				s.change, s.what = func(c *jsapi.StreamConfig) { c.MaxMsgsPerSubject = v / 4 }, fmt.Sprint("max_msgs_per_subject ", v/4)
			case 2:
				s.change, s.what = func(c *jsapi.StreamConfig) { c.MaxBytes = v * 100 }, fmt.Sprint("max_bytes ", v*100)
			case 3:
				s.change = func(c *jsapi.StreamConfig) { c.MaxAge = max(time.Duration(v)*time.Second, c.DuplicateWindow) }
				s.what = fmt.Sprint("max_age ", v)
			case 4:
				s.change = func(c *jsapi.StreamConfig) { c.DuplicateWindow = time.Duration(v+1) * 300 * time.Millisecond }
				s.what = fmt.Sprint("duplicate_window ", (v+1)*300)
			case 5:
				s.change, s.what = func(c *jsapi.StreamConfig) { c.Discard = jsapi.Discard(v % 2) }, fmt.Sprint("discard ", v%2)
			}
		default:
			s.kind, s.wait = "after", time.Duration(r.Uint64n(1500))*time.Millisecond
		}
		steps = append(steps, s)
	}
	return steps
}
