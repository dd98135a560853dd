package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"

	"ramjet/proto/jsapi"
	"ramjet/store"
)

// Names in the tar of the older format.
const (
	fileMeta     = "meta.inf"
	fileSum      = "meta.sum"
	fileState    = "o.dat"
	fileIndex    = "index.db"
	fileErrors   = "errors.txt"
	dirMessages  = "msgs/"
	dirConsumers = "obs/"
	blockSuffix  = ".blk"

	sumLen       = 8
	maxSum       = 1 << 10
	maxConsumers = 1 << 17
	maxConfig    = 4 << 20
)

// keyed returns the checksum of nats-server's files whose key is made of s.
func keyed(s string) hash.Hash64 {
	key := sha256.Sum256([]byte(s))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return h
}

// oldBackup reads the tar of nats-server 2.10 to 2.14: meta.inf and meta.sum, msgs/<n>.blk in order, msgs/index.db,
// and for each consumer obs/<name>/meta.inf, meta.sum and o.dat. Blocks in it are neither compressed nor encrypted,
// however they were stored. What was deleted is known at the end only: the index comes last, and so do the records in
// a block that tell of deletions.
type oldBackup struct {
	h      Handler
	opt    *Options
	tar    tarReader
	name   string // of the file being read
	doc    []byte // the file being read, if it is no block
	max    int    // bound of doc
	block  blockReader
	db     *indexReader // nil unless the file being read is the index
	index  uint32       // of the last block
	blocks bool         // seen any
	meta   []byte       // of the stream or a consumer, until its sum was verified
	stream string       // "" until the configuration was verified
	gone   deletions
	rest   bool // blocks are done
	cur    *Consumer
	seen   map[string]bool // consumers
}

// newOldBackup returns a reader of the older format.
func newOldBackup(h Handler, o *Options) *oldBackup {
	b := &oldBackup{h: h, opt: o, seen: make(map[string]bool)}
	b.tar.files, b.tar.size = b, -1
	b.block.out = b
	return b
}

func (o *oldBackup) feed(b []byte) error { return o.tar.feed(b) }

func (o *oldBackup) close() error {
	if err := o.tar.close(); err != nil {
		return err
	}
	if err := o.unsummed(); err != nil {
		return err
	}
	if err := o.complete(); err != nil {
		return err
	}
	first, last := o.gone.bounds(o.opt.FirstSeq)
	if err := o.gone.ranges(first, last, o.h.Deleted); err != nil {
		return err
	}
	return o.h.End(first, last)
}

// complete checks that the consumer before is complete.
func (o *oldBackup) complete() error {
	if o.cur != nil {
		return fmt.Errorf("%w: consumer %q has no state", ErrDamaged, o.cur.Name)
	}
	if o.meta != nil {
		return fmt.Errorf("%w: no checksum after a %s", ErrDamaged, fileMeta)
	}
	return nil
}

func (o *oldBackup) begin(name string, size int64) error {
	o.name, o.doc, o.max = name, nil, o.opt.MaxDoc
	base := name[strings.LastIndexByte(name, '/')+1:]
	if name != fileErrors && name != fileMeta && name != fileSum {
		if err := o.unsummed(); err != nil {
			return err
		}
	}
	switch {
	case name == fileErrors:
		o.max = maxSum
	case base == fileSum:
		o.max = maxSum
	case strings.HasPrefix(name, dirMessages) && strings.HasSuffix(name, blockSuffix):
		num := name[len(dirMessages) : len(name)-len(blockSuffix)]
		n, err := strconv.ParseUint(num, 10, 32)
		switch {
		case err != nil:
			return fmt.Errorf("%w: file %.100q", ErrUnsupported, name)
		case o.rest || o.blocks && uint32(n) <= o.index:
			return fmt.Errorf("%w: %s is out of order", ErrDamaged, name)
		}
		o.index, o.blocks = uint32(n), true
		o.block.start(name, keyed(o.stream+"-"+strconv.FormatUint(n, 10)))
		return nil
	case name == dirMessages+fileIndex:
		if o.rest {
			return fmt.Errorf("%w: second or late %s", ErrDamaged, fileIndex)
		}
		o.rest = true
		var err error
		o.db, err = newIndexReader(&o.gone, size, keyed(o.stream))
		return err
	case base == fileMeta:
		o.max = min(o.max, maxConfig)
	}
	if size > int64(o.max) {
		return fmt.Errorf("%w: %.100q has %d bytes, limit is %d", ErrTooLarge, name, size, o.max)
	}
	return nil
}

func (o *oldBackup) inBlock() bool { return o.block.name != "" }

func (o *oldBackup) data(b []byte) error {
	switch {
	case o.inBlock():
		return o.block.feed(b)
	case o.db != nil:
		return o.db.feed(b)
	}
	o.doc = append(o.doc, b...)
	return nil
}

func (o *oldBackup) end() error {
	switch {
	case o.inBlock():
		return o.block.close()
	case o.db != nil:
		db := o.db
		o.db = nil
		return db.close()
	}
	doc := o.doc
	o.doc = nil
	switch {
	case o.name == fileErrors:
		return fmt.Errorf("%w: the server that made it failed: %.200q", ErrDamaged, doc)
	case o.name == fileMeta:
		if o.stream != "" || o.meta != nil {
			return fmt.Errorf("%w: second %s", ErrDamaged, fileMeta)
		}
		o.meta = append([]byte{}, doc...)
	case o.name == fileSum:
		return o.streamMeta(append([]byte{}, doc...))
	case strings.HasPrefix(o.name, dirConsumers):
		o.rest = true
		name, file, _ := strings.Cut(o.name[len(dirConsumers):], "/")
		return o.consumerFile(name, file, doc)
	default: // among them the per-block indexes of servers before 2.10, without which deleted messages would come back
		return fmt.Errorf("%w: file %.100q", ErrUnsupported, o.name)
	}
	return nil
}

// checkSum verifies a document against the hexadecimal checksum beside it.
func checkSum(doc, sum []byte, key, what string) error {
	h := keyed(key)
	h.Write(doc)
	if string(sum) != hex.EncodeToString(h.Sum(nil)) {
		return fmt.Errorf("%w: of the configuration of %s", ErrChecksum, what)
	}
	return nil
}

// unsummed takes the configuration of a stream without a checksum beside it, as nats-server does: the compression around
// the tar has checksums too.
func (o *oldBackup) unsummed() error {
	switch {
	case o.stream != "":
		return nil
	case o.meta == nil:
		return fmt.Errorf("%w: no %s", ErrDamaged, fileMeta)
	}
	return o.streamMeta(nil)
}

// streamMeta takes the configuration of the stream; sum is nil if there is none.
func (o *oldBackup) streamMeta(sum []byte) error {
	if o.meta == nil {
		return fmt.Errorf("%w: %s without %s", ErrDamaged, fileSum, fileMeta)
	}
	var x struct {
		Created time.Time
		jsapi.StreamConfig
	}
	if err := json.Unmarshal(o.meta, &x); err != nil {
		return fmt.Errorf("%w: configuration of the stream: %v", ErrDamaged, err)
	}
	if x.Name == "" {
		return fmt.Errorf("%w: the stream has no name", ErrDamaged)
	}
	if sum != nil {
		if err := checkSum(o.meta, sum, x.Name, "the stream"); err != nil {
			return err
		}
	}
	if o.opt.Name != "" && x.Name != o.opt.Name {
		return fmt.Errorf("stream names do not match: backup of %q, restore of %q", x.Name, o.opt.Name)
	}
	o.stream, o.meta = x.Name, nil
	return o.h.Stream(&Stream{Config: &x.StreamConfig, Created: nanos(x.Created)})
}

// nanos returns t as unix nanoseconds, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (o *oldBackup) consumerFile(name, file string, doc []byte) error {
	if name == "" {
		return fmt.Errorf("%w: consumer without name", ErrDamaged)
	}
	if file == fileMeta {
		if err := o.complete(); err != nil {
			return err
		}
		switch {
		case o.seen[name]:
			return fmt.Errorf("%w: consumer %q comes twice", ErrDamaged, name)
		case len(o.seen) == maxConsumers:
			return fmt.Errorf("%w: more than %d consumers", ErrTooLarge, maxConsumers)
		}
		o.seen[name] = true
		o.cur, o.meta = &Consumer{Name: name}, append([]byte{}, doc...)
		return nil
	}
	c := o.cur
	if c == nil || c.Name != name {
		return fmt.Errorf("%w: %.100q without %s before it", ErrDamaged, o.name, fileMeta)
	}
	switch {
	case file == fileSum && o.meta != nil:
		return o.consumerMeta(c, doc)
	case file == fileState && o.meta == nil:
		if err := readConsumerState(doc, &c.State); err != nil {
			return fmt.Errorf("consumer %q: %w", c.Name, err)
		}
		o.cur = nil
		return handConsumer(o.h, c)
	}
	return fmt.Errorf("%w: file %.100q", ErrDamaged, o.name)
}

func (o *oldBackup) consumerMeta(c *Consumer, sum []byte) error {
	if err := checkSum(o.meta, sum, o.stream+"/"+c.Name, fmt.Sprintf("consumer %q", c.Name)); err != nil {
		return err
	}
	var x struct {
		Created time.Time
		Name    string
		jsapi.ConsumerConfig
	}
	if err := json.Unmarshal(o.meta, &x); err != nil {
		return fmt.Errorf("%w: configuration of consumer %q: %v", ErrDamaged, c.Name, err)
	}
	if x.Name != "" && x.Name != c.Name {
		return fmt.Errorf("%w: consumer %q has the configuration of %q", ErrDamaged, c.Name, x.Name)
	}
	c.Config, c.Created, o.meta = x.ConsumerConfig, nanos(x.Created), nil
	return nil
}

// record takes a message of a block.
func (o *oldBackup) record(r *store.Rec) error {
	if !o.gone.stored(r.Seq) || r.Seq < o.opt.FirstSeq {
		return nil
	}
	if err := o.opt.check(r); err != nil {
		return err
	}
	if over, err := o.opt.lifetime(r); err != nil || over {
		return err
	}
	return o.h.Record(r)
}

// removed takes a deletion of a block.
func (o *oldBackup) removed(seq uint64, erased bool) error { return o.gone.removed(seq, erased) }
