package stream

import (
	"bytes"
	"math/big"
	"testing"

	"ramjet/proto/jsapi"
)

// FuzzHeaders: whatever header block and body a publisher sends to a stream with every feature, there is one answer and no panic, and what was
// stored can be read by what reads it later.
func FuzzHeaders(f *testing.F) {
	for _, b := range [][]byte{
		nil, []byte("NATS/1.0\r\n\r\n"), []byte("NATS/1.0 503\r\n\r\n"),
		hdr(jsapi.HdrMsgID, "i", jsapi.HdrExpectedLastSeq, "0", jsapi.HdrTTL, "5s"),
		hdr(jsapi.HdrIncr, "+5"), hdr(jsapi.HdrIncr, "-9999999999999999999999"), hdr(jsapi.HdrRollup, "sub"),
		hdr(jsapi.HdrBatchID, "b", jsapi.HdrBatchSeq, "1", jsapi.HdrBatchCommit, "1"),
		hdr(jsapi.HdrSchedule, "@every 2s", jsapi.HdrScheduleTarget, "b.1", jsapi.HdrScheduleTTL, "1m", jsapi.HdrScheduleZone, "UTC"),
		hdr(jsapi.HdrSchedule, "0 0 0 */9223372036854775807 * *", jsapi.HdrScheduleTarget, "b.1"),
		hdr(jsapi.HdrScheduler, "a.t", jsapi.HdrScheduleNext, "purge"),
		hdr(jsapi.HdrExpectedLastSubjSeq, "1", jsapi.HdrExpectedLastSubjSub, "a.*", jsapi.HdrExpectedLastMsgID, "x"),
		hdr(jsapi.HdrStreamSource, "O 5 > > a.x", jsapi.HdrRequiredAPILevel, "9", jsapi.HdrRequestInfo, `{"reply":"x"}`),
	} {
		f.Add(b, []byte("{\"val\":\"7\"}"), uint8(0))
		f.Add(b, []byte{}, uint8(1))
	}
	configs := []string{
		`{"allow_msg_schedules":true,"allow_msg_ttl":true,"allow_atomic":true,"allow_rollup_hdrs":true,"allow_direct":true,"max_msgs_per_subject":3}`,
		`{"allow_msg_counter":true,"allow_direct":true}`,
		`{"sources":[{"name":"O"}],"allow_msg_counter":true}`,
	}
	f.Fuzz(func(t *testing.T, block, body []byte, kind uint8) {
		r := newRig(t, configs[int(kind)%len(configs)])
		origin := Client
		if kind > 127 {
			origin = Source
		}
		for range 2 {
			r.f.Publish(&Inbound{Subject: []byte("a.x"), Reply: []byte("r"), Header: bytes.Clone(block), Payload: bytes.Clone(body), Origin: origin}, r.now, &r.b, &r.out)
			r.flush()
		}
		for _, m := range r.log.msgs {
			if s, ok := scheduleOf(m.Header); ok {
				if at, ok := s.Next(r.now, r.now); ok && s.Repeats() && at <= r.now {
					t.Fatalf("%q fires in the past", m.Header)
				}
			}
		}
		blob := r.m.AppendState(nil)
		w := NewMachine(r.m.Config(), r.log, nil)
		if err := w.Restore(blob); err != nil || !bytes.Equal(w.AppendState(nil), blob) {
			t.Fatalf("the state does not survive: %v", err)
		}
	})
}

// FuzzNumber: an increment or a value of a counter is a decimal number that is read again from what is stored of it.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"", "0", "+1", "-1", "--1", "+-1", "007", "1_000", "0x10", "123456789012345678901234567890", "-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, again, stored big.Int
		if !parseBig(b, &v) {
			return
		}
		text := v.Append(nil, 10)
		if !parseBig(text, &again) || v.Cmp(&again) != 0 {
			t.Fatalf("%q is %s", b, text)
		}
		if !counterBody(append(append([]byte(`{"val":"`), text...), `"}`...), &stored) || stored.Cmp(&v) != 0 {
			t.Fatalf("%q is stored as %s", b, stored.String())
		}
	})
}
