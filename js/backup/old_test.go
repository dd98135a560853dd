package backup

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"ramjet/store"
)

// tarball builds backups of the older format.
type tarball struct {
	bytes.Buffer
	w *tar.Writer
}

func newTarball() *tarball {
	b := &tarball{}
	b.w = tar.NewWriter(b)
	b.file(fileMeta, []byte(`{"Created":"2024-01-02T03:04:05Z","name":"S","retention":"limits","storage":"file"}`))
	return b.sum("S", fileMeta, []byte(`{"Created":"2024-01-02T03:04:05Z","name":"S","retention":"limits","storage":"file"}`))
}

func (b *tarball) file(name string, content []byte) *tarball {
	h := tar.Header{Name: name, Mode: 0o600, ModTime: time.Unix(1, 5), Size: int64(len(content)), Format: tar.FormatPAX}
	if err := b.w.WriteHeader(&h); err != nil {
		panic(err)
	}
	if _, err := b.w.Write(content); err != nil {
		panic(err)
	}
	return b
}

func (b *tarball) sum(key, meta string, content []byte) *tarball {
	h := keyed(key)
	h.Write(content)
	return b.file(strings.TrimSuffix(meta, fileMeta)+fileSum, []byte(hex.EncodeToString(h.Sum(nil))))
}

func (b *tarball) block(n int, records ...record) *tarball {
	var body []byte
	for _, r := range records {
		body = r.append(body, fmt.Sprint("S-", n))
	}
	return b.file(fmt.Sprint(dirMessages, n, blockSuffix), body)
}

func (b *tarball) consumer(name, config string, state []byte) *tarball {
	dir := dirConsumers + name + "/"
	return b.file(dir+fileMeta, []byte(config)).sum("S/"+name, dir+fileMeta, []byte(config)).file(dir+fileState, state)
}

// content returns the tar.
func (b *tarball) content() []byte {
	if err := b.w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// framed compresses content.
func framed(content []byte) []byte {
	var w frameWriter
	w.write(content)
	w.flush()
	return w.out
}

// record is one of a block.
type record struct {
	seq  uint64 // with flags
	subj string
	hdr  string
	data string
}

func (r record) append(dst []byte, key string) []byte {
	le := binary.LittleEndian
	n := recMin + len(r.subj) + len(r.hdr) + len(r.data)
	flag := 0
	if r.hdr != "" {
		n += 4
		flag = recHasHeader
	}
	at := len(dst)
	dst = le.AppendUint32(dst, uint32(n|flag))
	dst = le.AppendUint64(dst, r.seq)
	dst = le.AppendUint64(dst, 1000+r.seq&^(seqErased|seqTombstone))
	dst = le.AppendUint16(dst, uint16(len(r.subj)))
	h := keyed(key)
	h.Write(dst[at+4 : at+20])
	h.Write([]byte(r.subj + r.hdr + r.data))
	dst = append(dst, r.subj...)
	if r.hdr != "" {
		dst = le.AppendUint32(dst, uint32(len(r.hdr)))
	}
	dst = append(dst, r.hdr+r.data...)
	return h.Sum(dst)
}

func msgs(seqs ...uint64) (list []record) {
	for _, s := range seqs {
		list = append(list, record{seq: s, subj: "a", data: fmt.Sprint("d", s)})
	}
	return list
}

// index makes an index.db of a version for blocks of first, last and deleted sequences.
func index(version byte, first, last uint64, blocks ...[]uint64) []byte {
	b := []byte{11, version}
	num := func(vs ...uint64) {
		for _, v := range vs {
			b = binary.AppendUvarint(b, v)
		}
	}
	num(0, 0, first)
	b = binary.AppendVarint(b, 5)
	num(last)
	b = binary.AppendVarint(b, -6)
	num(2) // subjects
	num(1)
	b = append(b, 'a')
	num(1, 1)
	if version >= 4 {
		num(1)
	}
	num(3)
	b = append(b, "b.c"...)
	num(2, 1, 1)
	num(uint64(len(blocks)))
	for i, blk := range blocks {
		num(uint64(i+1), 0, blk[0])
		b = binary.AppendVarint(b, 0)
		num(blk[1])
		b = binary.AppendVarint(b, 0)
		num(uint64(len(blk) - 2))
		if version >= 2 {
			num(0)
		}
		if version >= 3 {
			num(0)
		}
		if len(blk) > 2 {
			b = append(b, set(1+version%2, blk[2:])...)
		}
	}
	num(uint64(len(blocks)))
	b = append(b, "checksum"...)
	h := keyed("S")
	h.Write(b)
	return h.Sum(b)
}

// set encodes sequences as nats-server does, a node for each, the last one first.
func set(version byte, seqs []uint64) []byte {
	words := 32
	if version == 1 {
		words = 64
	}
	b := []byte{22, version}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(seqs)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(seqs)))
	for i := len(seqs) - 1; i >= 0; i-- {
		bit := seqs[i] % (uint64(words) * 64)
		b = binary.LittleEndian.AppendUint64(b, seqs[i]-bit)
		for w := range uint64(words) {
			b = binary.LittleEndian.AppendUint64(b, bits.RotateLeft64(1, int(bit%64))*b2i(w == bit/64))
		}
		b = append(b, 1, 0)
	}
	return b
}

func b2i(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// TestNoSum: nats-server restores a stream whose configuration has no checksum beside it.
func TestNoSum(t *testing.T) {
	start := func() *tarball { return (&tarball{}).start().file(fileMeta, []byte(`{"name":"S"}`)) }
	for want, content := range map[string][]byte{
		"end 0 0":     start().content(),
		"1 2 end 1 2": start().block(1, msgs(1, 2)...).content(),
	} {
		h := &sequences{}
		d := NewDecoder(h, Options{Name: "S"})
		if err := errors.Join(d.Feed(framed(content)), d.Close()); err != nil || strings.Join(h.list, " ") != want {
			t.Errorf("%v %v, want %s", err, h.list, want)
		}
	}
	late := start().block(1, msgs(1)...).file(fileSum, []byte("00")).content()
	if _, err := decode(framed(late), 1<<10, Options{}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestDeletedInOldFormat(t *testing.T) {
	tomb := func(seq uint64) record { return record{seq: seq | seqTombstone} }
	erased := func(seq uint64) record { return record{seq: seq | seqErased} }
	for name, c := range map[string]struct {
		build func(b *tarball)
		o     Options
		want  string
	}{
		"no blocks":           {func(b *tarball) {}, Options{}, "end 0 0"},
		"no index":            {func(b *tarball) { b.block(1, msgs(1, 2, 3)...).block(4, msgs(4, 5)...) }, Options{}, "1 2 3 4 5 end 1 5"},
		"tombstones":          {func(b *tarball) { b.block(1, msgs(1, 2, 3, 4)...).block(2, tomb(2), tomb(3), tomb(0)) }, Options{}, "1 2 3 4 deleted 2 3 end 1 4"},
		"only a tombstone":    {func(b *tarball) { b.block(1, tomb(7)) }, Options{}, "end 8 7"},
		"erased":              {func(b *tarball) { b.block(1, append(msgs(1), erased(2), erased(0), erased(9))...) }, Options{}, "1 end 1 9"},
		"left overs":          {func(b *tarball) { b.block(1, msgs(4, 5)...).block(2, msgs(3, 5, 6)...) }, Options{}, "4 5 6 end 4 6"},
		"first of the client": {func(b *tarball) { b.block(1, msgs(1, 2, 3, 4)...) }, Options{FirstSeq: 3}, "3 4 end 3 4"},
		"first above all":     {func(b *tarball) { b.block(1, msgs(1, 2)...) }, Options{FirstSeq: 3}, "end 3 2"},
		"index": {func(b *tarball) {
			b.block(1, msgs(1, 2, 3, 4)...).block(2, msgs(5, 6, 7)...).file("msgs/index.db", index(4, 2, 9, []uint64{2, 4, 3}, []uint64{6, 7}))
		}, Options{}, "1 2 3 4 5 6 7 deleted 3 3 deleted 5 5 deleted 8 9 end 2 9"},
		"index overrules tombstones": {func(b *tarball) {
			b.block(1, append(msgs(1, 2, 3), tomb(2))...).file("msgs/index.db", index(1, 1, 3, []uint64{1, 3}))
		}, Options{}, "1 2 3 end 1 3"},
		"index is older": {func(b *tarball) {
			b.block(1, append(msgs(1, 2, 3, 4, 5), tomb(4))...).file("msgs/index.db", index(2, 1, 3, []uint64{1, 3, 2}))
		}, Options{}, "1 2 3 4 5 deleted 2 2 deleted 4 4 end 1 5"},
		"index says empty": {func(b *tarball) {
			b.block(1, msgs(1, 2, 3)...).file("msgs/index.db", index(3, 4, 3))
		}, Options{}, "1 2 3 end 4 3"},
		"nodes of other sizes": {func(b *tarball) {
			b.block(1, msgs(1, 3000, 9000)...).file("msgs/index.db", index(3, 1, 9000, []uint64{1, 9000, 5, 2049, 8999}))
		}, Options{}, "1 3000 9000 deleted 5 5 deleted 2049 2049 deleted 8999 8999 end 1 9000"},
		"lifetime over": {func(b *tarball) {
			b.block(1, append(msgs(1), record{seq: 2, subj: "a", hdr: "NATS/1.0\r\nNats-TTL: 5\r\n\r\n"})...)
		}, Options{Now: 1002 + 5e9}, "1 end 1 2"},
		"lifetime not over": {func(b *tarball) {
			b.block(1, append(msgs(1), record{seq: 2, subj: "a", hdr: "NATS/1.0\r\nNats-TTL: 5\r\n\r\n"})...)
		}, Options{Now: 1001 + 5e9}, "1 2 end 1 2"},
	} {
		b := newTarball()
		c.build(b)
		h := &sequences{}
		d := NewDecoder(h, c.o)
		if err := errors.Join(d.Feed(framed(b.content())), d.Close()); err != nil || strings.Join(h.list, " ") != c.want {
			t.Errorf("%s: got %q %v, want %q", name, strings.Join(h.list, " "), err, c.want)
		}
	}
}

// sequences notes sequences only.
type sequences struct{ list []string }

func (s *sequences) Stream(*Stream) error     { return nil }
func (s *sequences) Consumer(*Consumer) error { return nil }

func (s *sequences) Record(r *store.Rec) error {
	s.list = append(s.list, fmt.Sprint(r.Seq))
	return nil
}

func (s *sequences) Deleted(from, to uint64) error {
	s.list = append(s.list, fmt.Sprint("deleted ", from, " ", to))
	return nil
}

func (s *sequences) End(first, last uint64) error {
	s.list = append(s.list, fmt.Sprint("end ", first, " ", last))
	return nil
}

func TestConsumerStateOfVersion1(t *testing.T) {
	b := []byte{22, 1}
	for _, v := range []uint64{4, 10, 3, 2, 2} { // acknowledged, delivered, pending
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(b, 100)
	for _, p := range [][2]int64{{2, 7}, {1, 3}} {
		b = binary.AppendUvarint(b, uint64(p[0]))
		b = binary.AppendVarint(b, p[1])
	}
	b = append(b, 2, 1, 3, 0, 5) // redelivered, one of them without sequence
	got, err := decode(framed(newTarball().consumer("c", `{"ack_policy":"explicit"}`, b).content()), 1000, Options{})
	want := `"state {"delivered":{"consumer_seq":6,"stream_seq":11},"ack_floor":{"consumer_seq":4,"stream_seq":10},"pending":{"11":{"Sequence":0,"Timestamp":103000000000},"12":{"Sequence":0,"Timestamp":107000000000}},"redelivered":{"11":3}}`
	if err == nil || !strings.Contains(err.Error(), "pending message outside") { // 12 was not delivered
		t.Errorf("%v %s", err, got)
	}
	b[4] = 4 // delivered
	b[5] = 3
	got, err = decode(framed(newTarball().consumer("c", `{"ack_policy":"explicit"}`, b).content()), 1000, Options{})
	want = strings.Replace(strings.Replace(want[1:], `"consumer_seq":6`, `"consumer_seq":7`, 1), `"stream_seq":11`, `"stream_seq":12`, 1)
	if err != nil || !strings.Contains(got.String(), want) {
		t.Errorf("%v %s", err, got)
	}
}

func TestDamagedOldFormat(t *testing.T) {
	good := func() *tarball { return newTarball().block(1, msgs(1, 2)...) }
	wrongKey := record{seq: 3, subj: "a"}.append(nil, "S-2")
	state := []byte{22, 2, 0, 0, 0, 0, 0, 0}
	config := []byte(`{"name":"c"}`)
	badIndex := index(4, 1, 2, []uint64{1, 2})
	badIndex[3]++
	for name, c := range map[string]struct {
		content []byte
		o       Options
		want    error
		text    string
	}{
		"no tar":                 {bytes.Repeat([]byte("garbage!"), 100), Options{}, ErrDamaged, "neither an archive nor a tar"},
		"block before meta":      {(&tarball{}).start().block(1, msgs(1)...).content(), Options{}, ErrDamaged, "no meta.inf"},
		"sum before meta":        {(&tarball{}).start().file(fileSum, nil).content(), Options{}, ErrDamaged, "meta.sum without meta.inf"},
		"wrong sum":              {(&tarball{}).start().file(fileMeta, []byte(`{"name":"S"}`)).file(fileSum, []byte("00")).content(), Options{}, ErrChecksum, "configuration of the stream"},
		"no name":                {(&tarball{}).start().file(fileMeta, []byte(`{}`)).file(fileSum, []byte("00")).content(), Options{}, ErrDamaged, "no name"},
		"no json":                {(&tarball{}).start().file(fileMeta, []byte(`{`)).file(fileSum, []byte("00")).content(), Options{}, ErrDamaged, "configuration of the stream"},
		"nothing":                {(&tarball{}).start().content(), Options{}, ErrDamaged, "no meta.inf"},
		"of another stream":      {good().content(), Options{Name: "T"}, nil, "stream names do not match"},
		"blocks out of order":    {good().block(1, msgs(3)...).content(), Options{}, ErrDamaged, "msgs/1.blk is out of order"},
		"block after the index":  {good().file("msgs/index.db", index(4, 1, 2, []uint64{1, 2})).block(2, msgs(3)...).content(), Options{}, ErrDamaged, "msgs/2.blk is out of order"},
		"block of another":       {good().file("msgs/3.blk", wrongKey).content(), Options{}, ErrChecksum, "record in msgs/3.blk at offset 0"},
		"block cut":              {good().file("msgs/2.blk", wrongKey[:len(wrongKey)-1]).content(), Options{}, ErrDamaged, "incomplete record in msgs/2.blk"},
		"compressed block":       {good().file("msgs/2.blk", append([]byte("cmp\x81"), make([]byte, 40)...)).content(), Options{}, ErrUnsupported, "compression in msgs/2.blk"},
		"zeros in a block":       {good().file("msgs/2.blk", make([]byte, 40)).content(), Options{}, ErrDamaged, "record of 0 bytes in msgs/2.blk"},
		"index of 2.9":           {good().file("msgs/1.idx", make([]byte, 40)).content(), Options{}, ErrUnsupported, "msgs/1.idx"},
		"index with a wrong sum": {good().file("msgs/index.db", badIndex).content(), Options{}, ErrChecksum, "of index.db"},
		"short index":            {good().file("msgs/index.db", badIndex[:9]).content(), Options{}, ErrDamaged, "too short"},
		"unknown index":          {good().file("msgs/index.db", index(5, 1, 2, []uint64{1, 2})).content(), Options{}, ErrUnsupported, "version 5"},
		"failed server":          {good().file(fileErrors, []byte("disk gone")).content(), Options{}, ErrDamaged, "disk gone"},
		"foreign file":           {good().file("../x", nil).content(), Options{}, ErrUnsupported, "../x"},
		"consumer without sum":   {good().file("obs/c/meta.inf", config).file("obs/c/o.dat", state).content(), Options{}, ErrDamaged, "obs/c/o.dat"},
		"consumer without state": {good().file("obs/c/meta.inf", config).sum("S/c", "obs/c/meta.inf", config).content(), Options{}, ErrDamaged, `consumer "c" has no state`},
		"consumer of wrong sum":  {good().file("obs/c/meta.inf", config).sum("S/d", "obs/c/meta.inf", config).content(), Options{}, ErrChecksum, `consumer "c"`},
		"consumer twice":         {good().consumer("c", "{}", state).consumer("c", "{}", state).content(), Options{}, ErrDamaged, `"c" comes twice`},
		"consumer of other name": {good().consumer("d", `{"name":"c"}`, state).content(), Options{}, ErrDamaged, `"d" has the configuration of "c"`},
		"state without meta":     {good().file("obs/c/o.dat", state).content(), Options{}, ErrDamaged, "without meta.inf"},
		"state of future":        {good().consumer("c", "{}", []byte{22, 3}).content(), Options{}, ErrUnsupported, "unknown format"},
		"state cut":              {good().consumer("c", "{}", state[:5]).content(), Options{}, ErrDamaged, `consumer "c"`},
		"large message":          {newTarball().block(1, record{seq: 1, subj: "a", hdr: "NATS/1.0\r\n\r\n", data: "xy"}).content(), Options{MaxPayload: 13}, ErrTooLarge, "sequence 1 has 14 bytes"},
		"large document":         {good().consumer("c", "{}", make([]byte, 3000)).content(), Options{MaxDoc: 2000}, ErrTooLarge, "o.dat"},
		"directory":              {good().dir("msgs/").content(), Options{}, ErrUnsupported, "kind"},
		"truncated":              {good().content()[:2048], Options{}, errTruncated, ""},
	} {
		_, err := decode(framed(c.content), 100, c.o)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (b *tarball) start() *tarball {
	b.w = tar.NewWriter(b)
	return b
}

func (b *tarball) dir(name string) *tarball {
	if err := b.w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir}); err != nil {
		panic(err)
	}
	return b
}

// A name longer than the header's field comes in an extended header.
func TestLongName(t *testing.T) {
	name := strings.Repeat("n", 200)
	got, err := decode(framed(newTarball().consumer(name, "{}", []byte{22, 2, 0, 0, 0, 0, 0, 0}).content()), 99, Options{})
	if err != nil || !strings.Contains(got.String(), "consumer "+name) {
		t.Error(err, got)
	}
}
