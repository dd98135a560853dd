package jstest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ramjet/js/jstest"
	"ramjet/js/op"
	"ramjet/js/stream"
	"ramjet/proto/base/rng"
	"ramjet/proto/jsapi"
	"ramjet/store"
	"ramjet/store/memstream"
	filestream "ramjet/store/stream"
	"ramjet/store/vfs"
)

// variant is a store under test.
type variant struct {
	name    string
	memory  bool
	options filestream.Options
	restart bool
}

var variants = []variant{
	{name: "memory", memory: true, restart: true},
	{name: "file"},
	{name: "tiny segments", options: filestream.Options{SegmentBytes: 1500, FlushBytes: 200, CacheBytes: 1000, IndexBytes: 1000}},
	{name: "file, restarts", restart: true},
	{name: "tiny segments, restarts", restart: true,
		options: filestream.Options{SegmentBytes: 1500, FlushBytes: 200, CacheBytes: 1000, IndexBytes: 1000}},
}

// node is a stream on one store with a journal of what was decided.
type node struct {
	v        *variant
	seed     uint64
	cfg      jsapi.StreamConfig // of the start
	disk     *vfs.Mem
	file     *filestream.Store
	log      stream.Log
	m        *stream.Machine
	f        *stream.Front
	b        op.Batch
	out      stream.Effects
	now      int64
	journal  [][]byte
	answered []string // "<reply> <answer>", as they come
	posted   int
	err      error
}

const testStart = int64(1_700_000_000_000_000_000)

func newNode(v *variant, seed uint64, cfg *jsapi.StreamConfig) *node {
	n := &node{v: v, seed: seed, cfg: *cfg, now: testStart}
	n.cfg.Storage = jsapi.FileStorage
	if v.memory {
		n.cfg.Storage = jsapi.MemoryStorage
		n.log = memstream.New(nil)
		n.m = stream.NewMachine(&n.cfg, n.log, nil)
		n.lead()
		return n
	}
	n.disk = vfs.NewMem()
	if n.err = n.disk.MkdirAll("/s"); n.err == nil {
		n.err = n.disk.SyncDir("/")
	}
	n.open()
	return n
}

func (n *node) lead() {
	n.m.SetLeader(true)
	n.f = stream.NewFront(n.m, stream.FrontConfig{})
}

func (n *node) fail(err error) {
	if n.err == nil && err != nil {
		n.err = err
	}
}

// open opens the file store, restores the machine from its checkpoint and replays the journal.
func (n *node) open() {
	r := rng.New(n.seed)
	o := n.v.options
	o.Env = &filestream.Env{FS: n.disk, Go: func(fn func()) { fn() }, Read: func(fn func()) { fn() }, Wake: func(*filestream.Store) {}, Random: r.Fill}
	o.OnDamage = func(d filestream.Damage) { n.fail(fmt.Errorf("damage %+v", d)) }
	s, rec, err := filestream.Open(o, "/s")
	if err != nil {
		n.fail(err)
		return
	}
	if rec.Rebuilt || rec.Applied > uint64(len(n.journal)) {
		n.fail(fmt.Errorf("recovered %+v", rec))
		return
	}
	cfg, blob := n.cfg, rec.Extra
	if len(blob) > 0 {
		k := binary.LittleEndian.Uint32(blob)
		n.fail(json.Unmarshal(blob[4:4+k], &cfg))
		blob = blob[4+k:]
	}
	n.file, n.log = s, s
	n.m = stream.NewMachine(&cfg, s, nil)
	if len(blob) > 0 {
		n.fail(n.m.Restore(blob))
	}
	for i := int(rec.Applied); i < len(n.journal); i++ {
		n.apply(uint64(i+1), n.journal[i], nil)
	}
	n.lead()
}

func (n *node) checkpoint() {
	cfg, err := json.Marshal(n.m.Config())
	n.fail(err)
	blob := append(binary.LittleEndian.AppendUint32(nil, uint32(len(cfg))), cfg...)
	n.file.Checkpoint(uint64(len(n.journal)), n.m.AppendState(blob), n.fail)
	n.file.Poll()
}

func (n *node) apply(index uint64, entry []byte, f *stream.Front) {
	var c op.Cmd
	r := op.Open(entry)
	for r.Next(&c) {
		n.m.Apply(index, &c, &n.out)
		if f != nil {
			f.Applied(&c, &n.out)
		}
	}
	n.fail(r.Err())
	if f == nil {
		n.out.Reset()
	}
}

// flush makes what was decided durable and applies it.
func (n *node) flush() {
	for n.b.Len() > 0 {
		n.journal = append(n.journal, bytes.Clone(n.b.Bytes()))
		n.b.Reset()
		n.apply(uint64(len(n.journal)), n.journal[len(n.journal)-1], n.f)
	}
	for i := range n.out.List {
		switch e := &n.out.List[i]; {
		case e.Kind == stream.Failed:
			n.fail(e.Err)
		case e.Kind == stream.Send && len(e.Subject) > 0:
			n.answered = append(n.answered, string(e.Subject)+" "+answer(e.Payload))
		}
	}
	n.out.Reset()
}

// answer shortens what a publisher hears.
func answer(b []byte) string {
	var a struct {
		Seq       uint64
		Duplicate bool
		Batch     string
		Count     int
		Error     *struct {
			Code int `json:"err_code"`
		}
	}
	if len(b) == 0 {
		return "" // part of a batch
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return string(b)
	}
	switch {
	case a.Error != nil:
		return fmt.Sprint("error ", a.Error.Code)
	case a.Duplicate:
		return fmt.Sprint("duplicate ", a.Seq)
	case a.Batch != "":
		return fmt.Sprintf("seq %d of %d", a.Seq, a.Count)
	}
	return fmt.Sprint("seq ", a.Seq)
}

func (n *node) post(p *jstest.Post, extra ...[2]string) {
	n.posted++
	in := stream.Inbound{Subject: []byte(p.Subject), Reply: fmt.Appendf(nil, "%02d", n.posted), Payload: []byte(p.Payload),
		Header: append(slices.Clone(p.Header), extra...).Block()}
	n.f.Publish(&in, n.now, &n.b, &n.out)
}

// do performs a step and returns what can be seen of it.
func (n *node) do(s *step) []string {
	n.answered, n.posted = nil, 0
	var answers []string
	switch s.kind {
	case "post", "together":
		// What a message replaces is there until it is stored: together there may be room for less.
		cfg := n.m.Config()
		alone := s.kind == "post" || n.v.memory || cfg.Discard == jsapi.DiscardNew && cfg.MaxMsgsPerSubject > 0
		for i := range s.posts {
			n.post(&s.posts[i])
			if alone {
				n.flush()
			}
		}
		n.flush()
	case "batch":
		for i := range s.posts {
			extra := [][2]string{{jsapi.HdrBatchID, "B"}, {jsapi.HdrBatchSeq, strconv.Itoa(i + 1)}}
			if i == len(s.posts)-1 {
				extra = append(extra, [2]string{jsapi.HdrBatchCommit, "1"})
			}
			n.post(&s.posts[i], extra...)
		}
		n.flush()
	case "delete":
		var c op.Cmd
		if err := n.m.CheckDelete(&jsapi.MsgDeleteRequest{Seq: s.seq}, n.now, &c); err != nil {
			answers = append(answers, fmt.Sprint("error ", err.ErrCode))
			break
		}
		n.b.Add(&c)
		n.flush()
		answers = append(answers, "deleted")
	case "purge":
		var c op.Cmd
		if err := n.m.CheckPurge(&jsapi.PurgeRequest{Filter: s.filter, Seq: s.seq, Keep: s.keep}, n.now, &c); err != nil {
			n.fail(err)
			break
		}
		n.b.Add(&c)
		var before, after store.State
		n.log.State(&before)
		n.flush()
		n.log.State(&after)
		answers = append(answers, fmt.Sprint("purged ", before.Msgs-after.Msgs))
	case "update":
		if next := changed(n.m.Config(), s); next != nil {
			b, err := json.Marshal(next)
			n.fail(err)
			n.b.Add(&op.Cmd{Kind: op.Config, Time: n.now, Payload: b})
			n.flush()
		}
	case "after":
		n.now += int64(s.wait)
	}
	slices.Sort(n.answered) // an error overtakes the answers before it, which wait for the disk
	for _, a := range n.answered {
		if _, a, _ = strings.Cut(a, " "); a != "" {
			answers = append(answers, a)
		}
	}
	n.tick()
	lines := append(answers, n.lines()...)
	n.restart(s.chaos)
	return lines
}

// changed returns what an update makes of a configuration, nil if it is refused.
func changed(old *jsapi.StreamConfig, s *step) *jsapi.StreamConfig {
	next := *old
	s.change(&next)
	if stream.CheckUpdate(old, &next, nil, &stream.Context{}) != nil {
		return nil
	}
	return &next
}

// tick does what is due now.
func (n *node) tick() {
	for range 100 {
		if at, ok := n.f.NextTick(n.now); !ok || at > n.now {
			return
		}
		if n.file != nil {
			n.file.Poll() // what was read for it
		}
		n.f.Tick(n.now, &n.b, &n.out)
		n.flush()
	}
	n.fail(fmt.Errorf("something is due for ever"))
}

// restart goes on as after a stop, a power cut or a change of the leader, if the number says so.
func (n *node) restart(chaos uint64) {
	if !n.v.restart || n.err != nil {
		return
	}
	switch chaos % 12 {
	case 0:
		if n.v.memory { // another leader over the same log
			blob := n.m.AppendState(nil)
			n.m = stream.NewMachine(n.m.Config(), n.log, nil)
			n.fail(n.m.Restore(blob))
			n.lead()
			return
		}
		n.file.Close(n.fail)
		n.open()
	case 1, 2:
		if !n.v.memory {
			r := rng.New(chaos)
			n.disk = n.disk.CrashClone(vfs.Crash{Rand: r.Intn, Keep: int(chaos / 12 % 3 * 50), Torn: chaos%24 > 12})
			n.open()
		}
	case 3, 4, 5:
		if !n.v.memory {
			n.checkpoint()
		}
	}
}

// lines describes the stream as OracleStream.Lines does.
func (n *node) lines() []string {
	var s store.State
	n.log.State(&s)
	lines := []string{fmt.Sprintf("msgs %d bytes %d seqs %d-%d subjects %d", s.Msgs, s.Bytes, s.FirstSeq, s.LastSeq, s.Subjects)}
	var r store.Rec
	for from := uint64(0); ; from = r.Seq + 1 {
		a := n.log.Next(nil, from, &r)
		for range 10 {
			if a == store.Pending {
				a = n.log.Next(nil, from, &r)
			}
		}
		if a != store.Hit {
			if a != store.None {
				n.fail(fmt.Errorf("message after %d: %v", from, a))
			}
			return lines
		}
		m := jstest.OracleMsg{Seq: r.Seq, Time: r.Time, TTL: r.TTL, Subject: string(r.Subject), Header: string(r.Header), Payload: string(r.Payload)}
		lines = append(lines, m.String())
	}
}

// oracle performs a step on the oracle.
func oracle(o *jstest.OracleStream, now *int64, s *step) []string {
	var lines []string
	switch s.kind {
	case "post", "together":
		for i := range s.posts {
			lines = append(lines, o.Publish(*now, &s.posts[i]))
		}
	case "batch":
		lines = append(lines, o.Batch(*now, s.posts))
	case "delete":
		lines = append(lines, o.Delete(s.seq))
	case "purge":
		lines = append(lines, o.Purge(s.filter, s.seq, s.keep))
	case "update":
		if next := changed(&o.Cfg, s); next != nil {
			o.Update(*now, next)
		}
	case "after":
		*now += int64(s.wait)
	}
	o.Tick(*now)
	return append(lines, o.Lines()...)
}

// differs runs the steps on a variant and on the oracle and returns the first difference.
func differs(v *variant, seed uint64, cfg *jsapi.StreamConfig, steps []step) error {
	n := newNode(v, seed, cfg)
	o := jstest.NewOracleStream(&n.cfg)
	now := n.now
	for i := range steps {
		want := oracle(o, &now, &steps[i])
		got := n.do(&steps[i])
		if n.err != nil {
			return fmt.Errorf("step %d, %v: %w", i, steps[i], n.err)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("step %d, %v\ngot\n  %s\nwant\n  %s", i, steps[i], strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
	return nil
}

// TestStreams runs the same operations on a stream in memory, in files, in tiny files and with restarts and power cuts,
// and compares every answer, state and message with the oracle. RAMJET_SEED replays one seed, RAMJET_SEEDS runs that many.
func TestStreams(t *testing.T) {
	first, n := uint64(1), uint64(60)
	if testing.Short() {
		n = 15
	}
	if s := os.Getenv("RAMJET_SEEDS"); s != "" {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	if s := os.Getenv("RAMJET_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		n = 1
	}
	for seed := first; seed < first+n; seed++ {
		r := rng.New(seed)
		cfg := jsapi.StreamConfig{Name: "S", Subjects: []string{"a.>", "b.>"}}
		if err := json.Unmarshal([]byte(streamConfigs[seed%uint64(len(streamConfigs))]), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := stream.CheckCreate(&cfg, &stream.Context{}); err != nil {
			t.Fatal(err)
		}
		steps := makeSteps(r, &cfg, 120)
		for i := range variants {
			v := &variants[i]
			if differs(v, seed, &cfg, steps) == nil {
				continue
			}
			steps = jstest.Reduce(steps, func(s []step) bool { return differs(v, seed, &cfg, s) != nil })
			t.Fatalf("RAMJET_SEED=%d, %s, %s: %d steps: %v\n%v", seed, v.name, streamConfigs[seed%uint64(len(streamConfigs))],
				len(steps), steps, differs(v, seed, &cfg, steps))
		}
	}
}

// TestReduce: what is left are the operations that matter.
func TestReduce(t *testing.T) {
	var ops []int
	for i := range 200 {
		ops = append(ops, i)
	}
	calls := 0
	got := jstest.Reduce(ops, func(s []int) bool {
		calls++
		a, b := slices.Index(s, 17), slices.Index(s, 150)
		return a >= 0 && b > a && slices.Contains(s, 151)
	})
	if !slices.Equal(got, []int{17, 150, 151}) || calls > 1000 {
		t.Fatal(got, calls)
	}
}
