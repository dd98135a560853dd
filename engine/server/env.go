package server

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/nats-io/nkeys"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/netio"
	"ramjet/proto/base/clock"
	"ramjet/store/vfs"
)

// Env is what a server takes from outside; zero members get the real ones.
type Env struct {
	Clock   clock.Clock
	Logger  engine.Logger // default: built from the options
	Backend string        // netio backend override (simulation)
	Net     *netio.MemNet // the network of backend "mem"
	FS      vfs.FS        // of JetStream; default: the machine's
	Seed    uint64        // 0 = from crypto/rand; else identity and choices repeat (simulation)

	// Load reads the configuration again for ReloadFile: the file the server was started with, with the
	// same command line over it. nil: ReloadFile reads the file of the options, without flags.
	Load func() (opts *config.Options, warnings []string, err error)
	// Warnings are logged at start: what config.Load reported.
	Warnings []string
}

// identity is what makes a server distinct; new at each start.
type identity struct {
	id   string // public server key, N...
	xkey string // public curve key, X...
	// key and curve are the secret ones.
	key, curve nkeys.KeyPair
	seed       uint64 // of all random choices that are no secrets
}

func newIdentity(seed uint64) (identity, error) {
	random := io.Reader(cryptorand.Reader)
	if seed != 0 {
		random = &seedReader{seed: seed}
	}
	var id identity
	kp, err := nkeys.CreatePairWithRand(nkeys.PrefixByteServer, random)
	if err != nil {
		return id, fmt.Errorf("creating the server key: %w", err)
	}
	id.key = kp
	if id.id, err = kp.PublicKey(); err != nil {
		return id, fmt.Errorf("creating the server key: %w", err)
	}
	xkp, err := nkeys.CreateCurveKeysWithRand(random)
	if err != nil {
		return id, fmt.Errorf("creating the curve key: %w", err)
	}
	id.curve = xkp
	if id.xkey, err = xkp.PublicKey(); err != nil {
		return id, fmt.Errorf("creating the curve key: %w", err)
	}
	id.seed = seed
	if seed == 0 {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return id, fmt.Errorf("reading random bytes: %w", err)
		}
		id.seed = binary.LittleEndian.Uint64(b[:])
	}
	return id, nil
}

// seedReader is a repeatable byte stream for simulation: SHA-256 of seed and counter. Not for secrets.
type seedReader struct {
	seed, n uint64
	rest    []byte
}

func (r *seedReader) Read(p []byte) (int, error) {
	for i := range p {
		if len(r.rest) == 0 {
			var in [16]byte
			binary.LittleEndian.PutUint64(in[:], r.seed)
			binary.LittleEndian.PutUint64(in[8:], r.n)
			r.n++
			sum := sha256.Sum256(in[:])
			r.rest = sum[:]
		}
		p[i], r.rest = r.rest[0], r.rest[1:]
	}
	return len(p), nil
}
