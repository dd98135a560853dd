package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"ramjet/proto/jsapi"
	"ramjet/store"
)

// plain returns the decompressed content of a backup.
func plain(t testing.TB, b []byte) []byte {
	c, err := io.ReadAll(s2.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// entries makes the content of an archive.
func entries(list ...*jsapi.SnapshotEntry) []byte {
	b := []byte(jsapi.SnapshotMagic)
	for _, e := range list {
		b = jsapi.AppendSnapshotEntry(b, e)
	}
	return b
}

func doc(name, body string) *jsapi.SnapshotEntry {
	return &jsapi.SnapshotEntry{Name: []byte(name), Time: 1, Payload: []byte(body)}
}

func msg(seq uint64, hdr, payload string) *jsapi.SnapshotEntry {
	return &jsapi.SnapshotEntry{Name: []byte("a"), Time: 1, Seq: seq, Header: []byte(hdr), Payload: []byte(payload)}
}

func TestDamagedArchive(t *testing.T) {
	end := &jsapi.SnapshotEntry{}
	state := func(s string) *jsapi.SnapshotEntry { return doc(jsapi.SnapshotState, "{"+s+"}") }
	five := state(`"messages":5,"first_seq":1,"last_seq":5`)
	cons := state(`"messages":5,"first_seq":1,"last_seq":5,"consumer_count":1`)
	consumer := func(body string) *jsapi.SnapshotEntry { return doc("consumers/c", body) }
	for name, c := range map[string]struct {
		content []byte
		o       Options
		want    error
		text    string
	}{
		"nothing":               {entries(), Options{}, errTruncated, ""},
		"only the end":          {entries(end), Options{}, ErrDamaged, "no state.json"},
		"no state":              {entries(msg(1, "", "")), Options{}, ErrDamaged, "expected state.json first"},
		"bad state":             {entries(doc("state.json", "{")), Options{}, ErrDamaged, "state.json"},
		"negative consumers":    {entries(state(`"consumer_count":-1`)), Options{}, ErrDamaged, "-1 consumers"},
		"too many messages":     {entries(state(`"messages":6,"first_seq":1,"last_seq":5`)), Options{}, ErrDamaged, "6 messages"},
		"messages of nothing":   {entries(state(`"messages":1`)), Options{}, ErrDamaged, "1 messages"},
		"first far above last":  {entries(state(`"first_seq":9,"last_seq":7`)), Options{}, ErrDamaged, "9 to 7"},
		"last without first":    {entries(state(`"last_seq":7`)), Options{}, ErrDamaged, "0 to 7"},
		"last at the limit":     {entries(state(fmt.Sprintf(`"first_seq":1,"last_seq":%d`, uint64(math.MaxUint64)))), Options{}, ErrDamaged, ""},
		"no consumer":           {entries(cons, msg(1, "", "")), Options{}, ErrDamaged, "consumer expected"},
		"consumer missing":      {entries(cons, end), Options{}, ErrDamaged, "1 consumers are missing"},
		"consumer without name": {entries(cons, doc("consumers/", "{}")), Options{}, ErrDamaged, "consumer expected"},
		"no configuration":      {entries(cons, consumer(`{"state":{}}`)), Options{}, ErrDamaged, `"c" has no configuration`},
		"no consumer state":     {entries(cons, consumer(`{"config":{}}`)), Options{}, ErrDamaged, `"c" has no state`},
		"other consumer":        {entries(cons, consumer(`{"config":{"name":"d"},"state":{}}`)), Options{}, ErrDamaged, `configuration of "d"`},
		"floor ahead":           {entries(cons, consumer(`{"config":{},"state":{"ack_floor":{"consumer_seq":1}}}`)), Options{}, ErrDamaged, "acknowledged up to"},
		"pending outside":       {entries(cons, consumer(`{"config":{},"state":{"pending":{"1":{}}}}`)), Options{}, ErrDamaged, "pending message outside"},
		"pending twice":         {entries(cons, consumer(`{"config":{},"state":{"pending":{"1":{},"1":{}}}}`)), Options{}, ErrDamaged, "twice"},
		"pending of text":       {entries(cons, consumer(`{"config":{},"state":{"pending":{"x":{}}}}`)), Options{}, ErrDamaged, "sequence expected"},
		"pending list":          {entries(cons, consumer(`{"config":{},"state":{"pending":[1]}}`)), Options{}, ErrDamaged, "object expected"},
		"document after":        {entries(five, doc("x", "")), Options{}, ErrDamaged, `message expected, got "x"`},
		"twice":                 {entries(five, msg(2, "", ""), msg(2, "", "")), Options{}, ErrDamaged, "2 is out of order after 2"},
		"backwards":             {entries(five, msg(2, "", ""), msg(1, "", "")), Options{}, ErrDamaged, "1 is out of order after 2"},
		"above last":            {entries(five, msg(6, "", "")), Options{}, ErrDamaged, "6 is not in 1 to 5"},
		"no subject":            {entries(five, &jsapi.SnapshotEntry{Seq: 1, Time: 1}), Options{}, ErrDamaged, `subject ""`},
		"wildcard subject":      {entries(five, &jsapi.SnapshotEntry{Name: []byte("a.*"), Seq: 1, Time: 1}), Options{}, ErrDamaged, `subject "a.*"`},
		"no header":             {entries(five, msg(1, "NATS/2.0\r\n\r\n", "")), Options{}, ErrDamaged, "header that is none"},
		"bad lifetime":          {entries(five, msg(1, "NATS/1.0\r\nNats-TTL: x\r\n\r\n", "")), Options{}, ErrDamaged, "lifetime"},
		"payload":               {entries(five, msg(1, "NATS/1.0\r\n\r\n", "abc")), Options{MaxPayload: 14}, ErrTooLarge, "sequence 1"},
		"message size":          {entries(five, msg(1, "NATS/1.0\r\n\r\n", "abc")), Options{MaxMsgSize: 14}, ErrTooLarge, "sequence 1 has 15 bytes"},
		"state size":            {entries(state(strings.Repeat(" ", maxConfig))), Options{}, ErrTooLarge, "sequence 0"},
		"configuration size":    {entries(cons, consumer(`{"state":{},"config":{`+strings.Repeat(" ", maxConfig)+`}}`)), Options{}, ErrDamaged, "configuration of"},
		"consumer size":         {entries(cons, consumer(`{"config":{},"state":{`+strings.Repeat(" ", maxConfig)+`}}`)), Options{MaxDoc: maxConfig}, ErrTooLarge, "sequence 0"},
		"document size":         {entries(five), Options{MaxDoc: 10}, ErrTooLarge, "sequence 0"},
		"no end":                {entries(five, msg(1, "", "")), Options{}, errTruncated, ""},
		"after the end":         {append(entries(five, end), 1), Options{}, ErrDamaged, ""},
	} {
		_, err := decode(framed(c.content), 1000, c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestArchiveOptions(t *testing.T) {
	state := doc(jsapi.SnapshotState, `{"messages":3,"first_seq":2,"last_seq":7}`)
	b := framed(entries(state, msg(3, "NATS/1.0\r\nNats-TTL: 5\r\n\r\n", "abc"), msg(4, "NATS/1.0\r\nNats-TTL: never\r\n\r\n", ""), msg(6, "", "x"), &jsapi.SnapshotEntry{}))
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "3 4 6 end 2 7"},
		{Options{Now: 5e9, MaxMsgSize: 100, MaxPayload: 100}, "3 4 6 end 2 7"},
		{Options{Now: 1 + 5e9}, "4 6 end 2 7"},
		{Options{MaxMsgSize: -1}, "3 4 6 end 2 7"},
	} {
		h := &sequences{}
		d := NewDecoder(h, c.o)
		if err := errors.Join(d.Feed(b), d.Close()); err != nil || strings.Join(h.list, " ") != c.want {
			t.Errorf("%+v: %v %v", c.o, h.list, err)
		}
	}
}

// A backup that is cut anywhere is noticed.
func TestTruncated(t *testing.T) {
	for name, b := range backups(t) {
		for n := range b {
			if _, err := decode(b[:n], 1<<20, Options{}); err == nil {
				t.Fatalf("%s: %d bytes of %d are enough", name, n, len(b))
			}
		}
		c := plain(t, b)
		for n := 0; n < len(c); n += 1 + len(c)/100 {
			got, err := decode(framed(c[:n]), 1<<20, Options{})
			if err == nil && got.String() != mustDecode(t, b) { // zeros after a tar are not needed
				t.Fatalf("%s: %d bytes of content of %d are enough", name, n, len(c))
			}
		}
	}
}

func mustDecode(t testing.TB, b []byte) string {
	got, err := decode(b, len(b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// A flipped bit is noticed by the framing.
func TestFlippedBits(t *testing.T) {
	for name, b := range backups(t) {
		want := mustDecode(t, b)
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << (i % 8)
			if got, err := decode(bad, 1<<20, Options{}); err == nil && got.String() != want {
				t.Fatalf("%s: byte %d of %d", name, i, len(b))
			}
		}
	}
}

// In the older format the checksums within notice, too. They cover neither the state of consumers nor where in a record
// subject and header end.
func TestFlippedBitsOfOldContent(t *testing.T) {
	for name, b := range backups(t) {
		c := plain(t, b)
		if bytes.HasPrefix(c, []byte(jsapi.SnapshotMagic)) {
			continue
		}
		run := func() (string, error) {
			var h joined
			o := newOldBackup(&h, &NewDecoder(&h, Options{}).opt)
			err := o.feed(c)
			if err == nil {
				err = o.close()
			}
			return strings.Join(h.list, " "), err
		}
		want, err := run()
		if err != nil {
			t.Fatal(name, err)
		}
		for i := 0; i < len(c); i += 1 + i%11 {
			c[i] ^= 1 << (i % 8)
			if got, err := run(); err == nil && got != want {
				t.Fatalf("%s: byte %d of %d: got\n%s\nwant\n%s", name, i, len(c), got, want)
			}
			c[i] ^= 1 << (i % 8)
		}
	}
}

// joined notes messages without their inner bounds.
type joined struct{ sequences }

func (j *joined) Stream(s *Stream) error {
	j.list = append(j.list, text(s))
	return nil
}

func (j *joined) Record(r *store.Rec) error {
	j.list = append(j.list, fmt.Sprintf("%d %d %s%s%s", r.Seq, r.Time, r.Subject, r.Header, r.Payload))
	return nil
}

func TestHandlerError(t *testing.T) {
	for name, b := range backups(t) {
		for _, kind := range []string{"stream", "consumer", "record", "deleted", "end"} {
			h := &transcript{fail: kind}
			d := NewDecoder(h, Options{})
			err := errors.Join(d.Feed(b), d.Close())
			if called := strings.Contains(h.order, kind[:1]); called != errors.Is(err, errHandler) || called && d.Feed(nil) != errHandler && kind != "deleted" && kind != "end" {
				t.Errorf("%s: %s: %v", name, kind, err)
			}
			if errors.Is(err, errHandler) && strings.Count(h.String(), kind+" ") != 1 {
				t.Errorf("%s: %s goes on", name, kind)
			}
		}
	}
}

func TestOrderOfCalls(t *testing.T) {
	for name, want := range map[string]string{"2.15_file": "scre", "2.15_empty": "se", "2.12_compressed": "srcde", "2.12_empty": "se", "2.15_noconsumers": "sre"} {
		got, err := decode(backups(t)["testdata/"+name], 100, Options{})
		if err != nil || got.order != want {
			t.Errorf("%s: %v %s", name, err, got.order)
		}
	}
}

func TestFraming(t *testing.T) {
	chunk := func(kind byte, body string) string {
		return string([]byte{kind, byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16)}) + body
	}
	ident, old := chunk(0xff, identS2), chunk(0xff, identOld)
	block := string(framed([]byte("content")))[len(ident):]
	for name, c := range map[string]struct {
		in, want string
		err      error
	}{
		"plain":             {ident + block + block, "contentcontent", nil},
		"older identifier":  {old + block, "content", nil},
		"joined":            {ident + block + ident + block, "contentcontent", nil},
		"padding and index": {ident + chunk(0xfe, strings.Repeat("x", 70000)) + block + chunk(0x99, "i") + chunk(0x80, ""), "content", nil},
		"no identifier":     {block, "", ErrFrame},
		"other identifier":  {chunk(0xff, "sNaPpZ"), "", ErrFrame},
		"long identifier":   {chunk(0xff, identS2+"x"), "", ErrFrame},
		"unknown chunk":     {ident + chunk(2, ""), "", ErrFrame},
		"short chunk":       {ident + chunk(1, "abc"), "", ErrFrame},
		"huge chunk":        {ident + "\x00\xff\xff\xff", "", ErrFrame},
		"huge block":        {ident + chunk(0, "abcd\xff\xff\xff\x7f"), "", ErrFrame},
		"no block":          {ident + chunk(0, "abcd\x05\xff\xff"), "", ErrFrame},
		"wrong sum":         {ident + chunk(1, "abcdcontent"), "", ErrChecksum},
		"only padding":      {ident + strings.Repeat(chunk(0xfe, strings.Repeat("x", 1<<16)), 17), "", ErrFrame},
		"cut":               {ident + block[:6], "", errTruncated},
		"cut padding":       {ident + block + "\xfe\x10\x00\x00abc", "content", errTruncated},
	} {
		for _, piece := range []int{1, 1000, len(c.in)} {
			var r frameReader
			var got strings.Builder
			var err error
			for in := c.in; in != "" && err == nil; in = in[min(piece, len(in)):] {
				err = r.feed([]byte(in[:min(piece, len(in))]), func(b []byte) error {
					got.Write(b)
					return nil
				})
			}
			if err == nil {
				err = r.close()
			}
			if got.String() != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s in pieces of %d: %q %v", name, piece, &got, err)
			}
		}
	}
}

// FuzzDecode feeds compressed bytes.
func FuzzDecode(f *testing.F) {
	for _, b := range backups(f) {
		f.Add(b, 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, piece int) { same(t, b, piece) })
}

// FuzzContent feeds content that is compressed correctly.
func FuzzContent(f *testing.F) {
	for _, b := range backups(f) {
		f.Add(plain(f, b), 3)
	}
	f.Add(newTarball().block(1, msgs(1, 2)...).file("msgs/index.db", index(4, 1, 2, []uint64{1, 2, 1})).content(), 5)
	f.Fuzz(func(t *testing.T, b []byte, piece int) { same(t, framed(b), piece) })
}

// FuzzIndex feeds an index whose checksum is right, FuzzConsumerState the state of a consumer.
func FuzzIndex(f *testing.F) {
	for v := range byte(4) {
		b := index(v+1, 1, 9000, []uint64{1, 9000, 5, 2049, 8999})
		f.Add(b[:len(b)-sumLen])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := keyed("S")
		h.Write(b)
		d, whole := readIndex(h.Sum(bytes.Clone(b)), 1<<20)
		_, split := readIndex(h.Sum(bytes.Clone(b)), 3)
		if fmt.Sprint(whole) != fmt.Sprint(split) {
			t.Fatal(whole, split)
		}
		if whole == nil {
			first, last := d.bounds(0)
			at := first
			err := d.ranges(first, last, func(from, to uint64) error {
				if from < at || to < from || to > last {
					t.Fatalf("%d to %d in %d to %d", from, to, at, last)
				}
				at = to + 1
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// readIndex reads an index in pieces.
func readIndex(b []byte, piece int) (*deletions, error) {
	d := &deletions{}
	r, err := newIndexReader(d, int64(len(b)), keyed("S"))
	if err != nil {
		return d, err
	}
	for ; len(b) > 0 && err == nil; b = b[min(piece, len(b)):] {
		err = r.feed(b[:min(piece, len(b))])
	}
	if err == nil {
		err = r.close()
	}
	return d, err
}

func FuzzConsumerState(f *testing.F) {
	f.Add([]byte{22, 2, 0, 0, 5, 5, 1, 7, 1, 1, 9, 1, 1, 1})
	f.Add([]byte{22, 1, 1, 1, 5, 5, 1, 7, 1, 9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s jsapi.SnapshotConsumerState
		if readConsumerState(b, &s) == nil {
			for i := 1; i < len(s.Pending); i++ {
				if s.Pending[i].Stream <= s.Pending[i-1].Stream {
					t.Fatal(s.Pending)
				}
			}
		}
	})
}

// same checks that the cut into pieces makes no difference.
func same(t *testing.T, b []byte, piece int) {
	whole, err := decode(b, max(len(b), 1), Options{MaxDoc: 1 << 20, MaxPayload: 1 << 20})
	split, err2 := decode(b, 1+int(uint(piece)%1000), Options{MaxDoc: 1 << 20, MaxPayload: 1 << 20})
	if whole.String() != split.String() || fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatalf("whole %v\n%s\nsplit %v\n%s", err, whole, err2, split)
	}
}
