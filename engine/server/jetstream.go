package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"sync/atomic"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/config"
	"ramjet/js/host"
	"ramjet/proto/base/rng"
	"ramjet/store/vfs"
)

const (
	// maxShards bounds the workers of JetStream: each has a lane and a staging area in the server.
	maxShards = 32
	// recoveryGrace is how long the listeners wait for JetStream to recover, so that a small store serves from the first connection on. A
	// large one goes on in the background.
	recoveryGrace = 500 * time.Millisecond
)

// jsShards is how many workers JetStream has when it runs.
func jsShards() int { return min(runtime.GOMAXPROCS(0), maxShards) }

// jetStream is JetStream in this server: from the moment it is switched on, also while it recovers.
type jetStream struct {
	s      *Server
	o      host.Options
	tune   tuning
	host   atomic.Pointer[host.Host]                                // set when it has recovered
	ready  atomic.Bool                                              // it serves
	limits atomic.Pointer[jsSizes]                                  // what the server may use
	kept   atomic.Pointer[map[*account.Account]*host.AccountLimits] // limits of accounts in place of what their JWTs say; see keepLimits
	ended  chan struct{}                                            // closed when the recovery has ended, one way or the other
	err    error                                                    // why it could not start; read after ended

	// Owner: control goroutine.
	must   bool                      // the server is not started without
	done   bool                      // the end of the recovery was noticed
	served map[*account.Account]bool // accounts the host answers in
	agreed map[*account.Account]*host.AccountLimits
	wait   *jsWaiting
}

// jsSizes are the bytes that JetStream may use.
type jsSizes struct{ memory, store int64 }

// startJetStream switches JetStream on if the options say so; it recovers in the background. must: the
// server does not run without. Control.
func (s *Server) startJetStream(o *config.Options, must bool) error {
	if o.JetStream == nil || !o.JetStream.Enabled {
		return nil
	}
	s.log.Logf(engine.Info, "", "Starting JetStream")
	if o.JetStream.TPM != nil { // as a nats-server does everywhere but on Windows
		return errors.New("Can't start JetStream: TPM functionality is not supported on this platform") //lint:ignore ST1005 the text of nats-server
	}
	dir, temporary := jsDir(o)
	if temporary {
		s.log.Logf(engine.Warn, "RJ-S060", "Temporary storage directory used, data could be lost on system reboot")
	}
	if err := usableDir(s.disk(), dir); err != nil {
		return fmt.Errorf("Can't start JetStream: %w", err) //lint:ignore ST1005 the text of nats-server
	}
	js := &jetStream{s: s, must: must, ended: make(chan struct{}), served: map[*account.Account]bool{}}
	js.o = s.jsOptions(o, dir)
	s.buses.domain = js.o.Domain
	js.o.Tunable = js.tune.of(o)
	js.limits.Store(&jsSizes{js.o.MaxMemory, max(js.o.MaxStore, 0)})
	s.js.Store(js)
	js.wait = s.answerWaiting()
	go js.open()
	return nil
}

// usableDir makes the directory and reports why it cannot be used.
func usableDir(disk vfs.FS, dir string) error {
	if i, err := disk.Stat(dir); err == nil && !i.IsDir() {
		return errors.New("storage directory is not a directory")
	}
	if err := makeDir(disk, dir); err != nil {
		return fmt.Errorf("could not create storage directory - %w", err)
	}
	unlock, err := disk.Lock(dir + "/lock")
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("storage directory is not writable - %w", err)
	case err != nil:
		return fmt.Errorf("storage directory %s is in use by another server - %w", dir, err)
	}
	return unlock()
}

// makeDir makes dir with what is missing above it, so that their names survive a power cut.
func makeDir(disk vfs.FS, dir string) error {
	var parents []string // of what is made
	for d := dir; ; d = path.Dir(d) {
		if _, err := disk.Stat(d); err == nil || d == path.Dir(d) {
			break
		}
		parents = append(parents, path.Dir(d))
	}
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	for _, p := range parents {
		if err := disk.SyncDir(p); err != nil {
			return err
		}
	}
	return nil
}

// open recovers the store.
func (js *jetStream) open() {
	s := js.s
	env := host.Env{
		FS: s.disk(), Clock: s.clk, Rand: rng.New(s.seed + 5), Bus: s.jsBus, Limits: jsLimits{s}, Events: host.Events{Log: s.jsLog},
		ClientInfo: s.clientInfo, Freed: noteFreed,
	}
	o := js.o
	own := o.MaxStore == dynamic // known when it is known what the store takes: looking at every file would double the start
	if !own {
		s.logJetStream(&o)
	}
	h, err := host.Open(env, o)
	js.err = err
	if err == nil && own {
		o.MaxStore = diskLimit(s.disk(), o.Dir, h.Recovery().FileBytes)
		js.limits.Store(&jsSizes{o.MaxMemory, o.MaxStore})
		h.SetMax(o.MaxMemory, o.MaxStore)
		s.logJetStream(&o)
	}
	if err == nil {
		h.Router().OnPanic(func(v any, stack []byte) {
			s.log.Logf(engine.Error, "RJ-S061", "panic in a JetStream API request: %v\n%s", v, stack)
		})
		js.host.Store(h)
	}
	close(js.ended)
	s.ctl.post(func() { js.recovered() })
}

// recovered begins to serve, or ends a server that cannot have what it was asked for. Control.
func (js *jetStream) recovered() {
	s := js.s
	if js.done || s.js.Load() != js {
		return // it was noticed before, or switched off meanwhile
	}
	js.done = true
	h := js.host.Load()
	if h == nil {
		err := js.failure()
		if !js.must {
			s.log.Logf(engine.Error, "RJ-S065", "%s", err.Error())
			return
		}
		s.failed.Store(&err)
		_ = s.logFatal("RJ-S062", err)
		s.stopOnce.Do(func() { s.ctl.post(s.stop) })
		return
	}
	js.sync(h)
	js.wait.end()
	js.ready.Store(true)
	r := h.Recovery()
	s.log.Logf(engine.Info, "", "JetStream is ready: %d streams and %d consumers, %d journal records replayed, in %v", r.Streams, r.Consumers, r.Records, r.Took.Round(time.Microsecond))
	if r.Failed > 0 || r.Rebuilt > 0 {
		s.log.Logf(engine.Warn, "RJ-S063", "JetStream: %d streams do not serve, %d were rebuilt from their segments", r.Failed, r.Rebuilt)
	}
}

// failure is why JetStream could not start.
func (js *jetStream) failure() error {
	return fmt.Errorf("Can't start JetStream: %w", js.err) //lint:ignore ST1005 the text of nats-server
}

// sync makes the host answer in the accounts that exist, as their limits say. Control.
func (js *jetStream) sync(h *host.Host) {
	js.agreed = js.keepLimits(js.agreed)
	live := map[*account.Account]bool{}
	js.s.accounts.Range(func(a *account.Account) bool {
		if limits, ok := (*js.kept.Load())[a]; ok && limits == nil {
			return true
		}
		live[a] = true
		if err := h.ServeAccount(a.Name()); err != nil {
			js.s.log.Logf(engine.Error, "RJ-S064", "JetStream: account %q: %v", a.Name(), err)
		}
		return true
	})
	for a := range js.served {
		if !live[a] {
			h.DropAccount(a.Name())
		}
	}
	js.served = live
}

// reloadJetStream follows a change of the options. Control.
func (s *Server) reloadJetStream(cur, next *config.Options) {
	on := next.JetStream != nil && next.JetStream.Enabled
	js := s.js.Load()
	switch {
	case js == nil && on:
		if err := s.startJetStream(next, false); err != nil {
			s.log.Logf(engine.Error, "RJ-S065", "%s", err.Error())
		}
		s.updateInfo()
	case js != nil && !on:
		s.stopJetStream()
		s.updateInfo()
	case js != nil:
		js.tune.set(next)
		js.wait.sync()
		if h := js.host.Load(); h != nil {
			h.Tune(js.tune.of(next))
			l := *js.limits.Load() // what is found out at the start stays
			if next.JetStream.MaxMemory > 0 {
				l.memory = next.JetStream.MaxMemory
			}
			if next.JetStream.MaxStore > 0 {
				l.store = next.JetStream.MaxStore
			}
			js.limits.Store(&l)
			h.SetMax(l.memory, l.store)
			js.sync(h)
		}
	}
}

// awaitJetStream waits a moment for the recovery, so that a small store serves from the first connection on. Control.
func (s *Server) awaitJetStream() error {
	js := s.js.Load()
	if js == nil {
		return nil
	}
	late := make(chan struct{})
	t := s.clk.AfterFunc(recoveryGrace, func() { close(late) })
	defer t.Stop()
	select {
	case <-js.ended:
	case <-late:
		s.log.Logf(engine.Info, "", "JetStream goes on recovering in the background")
		return nil
	}
	if js.err != nil {
		js.done = true
		return js.failure()
	}
	js.recovered()
	return nil
}

// stopJetStream ends JetStream: nothing is accepted any more, what was accepted is written, checkpoints are made. A recovery that is under
// way is waited for, but not for ever. Control.
func (s *Server) stopJetStream() {
	js := s.js.Swap(nil)
	if js == nil {
		return
	}
	js.wait.end()
	ctx, cancel := s.withTimeout(stopTimeout)
	defer cancel()
	select {
	case <-js.ended:
	case <-ctx.Done():
		s.log.Logf(engine.Warn, "RJ-S066", "JetStream: the recovery is not waited for; it begins anew at the next start")
		return
	}
	h := js.host.Load()
	if h == nil {
		return
	}
	if err := h.Close(); err != nil {
		s.log.Logf(engine.Error, "RJ-S067", "Stopping JetStream: %v", err)
	}
}

// jsBus returns the bus of a shard, or of the API.
func (s *Server) jsBus(shard int) host.Bus {
	if shard < 0 {
		return newAPIBus(s.buses, s.seed+6)
	}
	id := engine.LoopID(len(s.group.Loops()) + shard)
	return newBus(s.buses, s.linkEnv.Load(), id, s.seed+7+uint64(shard)*0x9e3779b97f4a7c15)
}

// jsLog writes what the host tells. Any goroutine.
func (s *Server) jsLog(id, format string, args ...any) {
	level := engine.Error
	if id == "" {
		level = engine.Info
	}
	s.log.Logf(level, id, "JetStream: "+format, args...)
}

// disk is the file system of the server.
func (s *Server) disk() vfs.FS {
	if s.env.FS != nil {
		return s.env.FS
	}
	return vfs.OS()
}
