package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/ocsp"
	"ramjet/proto/sysapi"
)

// ocspKind is the kind of connection in log lines and events of client and websocket listeners.
const ocspKind = "Client"

// ocspSet is what one configuration needs for the status of certificates. Immutable.
type ocspSet struct {
	tls, ws, mqtt *ocsp.Listener // nil = the listener has no TLS
	gateway, leaf *ocsp.Listener
	cache         *ocsp.Cache                 // nil = none
	verifies      bool                        // some listener verifies its clients
	plain         map[*tls.Config]*tls.Config // by the configuration in use, what it was made of
}

// listeners lists those that have TLS.
func (t *ocspSet) listeners() (list []*ocsp.Listener) {
	for _, l := range []*ocsp.Listener{t.tls, t.ws, t.mqtt, t.gateway, t.leaf} {
		if l != nil {
			list = append(list, l)
		}
	}
	return list
}

// each calls f for every stapler.
func (t *ocspSet) each(f func(*ocsp.Stapler)) {
	for _, l := range t.listeners() {
		for _, s := range l.Staplers {
			if s != nil {
				f(s)
			}
		}
	}
}

// startOCSP makes o's listeners staple and verify; without a staple that o demands the server does not start.
// It waits for CAs. Control.
func (s *Server) startOCSP(o *config.Options) (*config.Options, error) {
	next := *o
	set, err := s.buildOCSP(&next, nil)
	if err != nil {
		return nil, err
	}
	s.runOCSP(set)
	return &next, nil
}

// prepareOCSP builds what next needs and changes next accordingly; the returned function puts it into
// service. A staple that cannot be had is a warning: the certificate goes out without until it is
// there. Control.
func (s *Server) prepareOCSP(next *config.Options) (commit func(), err error) {
	old := s.ocsp.Load()
	set, err := s.buildOCSP(next, old)
	if err != nil {
		return nil, err
	}
	return func() {
		old.each((*ocsp.Stapler).Stop)
		if old.cache != set.cache {
			old.cache.Stop()
		}
		s.runOCSP(set)
	}, nil
}

// runOCSP puts set into service. Control.
func (s *Server) runOCSP(set *ocspSet) {
	old := s.ocsp.Swap(set)
	set.each(func(st *ocsp.Stapler) {
		s.log.Logf(engine.Info, "", "OCSP Stapling enabled for %s connections", ocspKind)
		st.Start()
	})
	if set.verifies && (old == nil || !old.verifies || old.cache != set.cache) {
		set.cache.Start()
		s.log.Logf(engine.Info, "", "OCSP peer cache online, type [%s]", set.cache.Type())
	}
}

// stopOCSP ends renewing and saves the cache. Control.
func (s *Server) stopOCSP() {
	if set := s.ocsp.Load(); set != nil {
		set.each((*ocsp.Stapler).Stop)
		set.cache.Stop()
	}
	s.responders.Close()
}

// buildOCSP builds the set for o and replaces the TLS blocks of o by ones that use it. old is the set in
// service at a reload, nil at start.
func (s *Server) buildOCSP(o *config.Options, old *ocspSet) (*ocspSet, error) {
	b := &ocspBuild{s: s, o: o, old: old, set: &ocspSet{plain: map[*tls.Config]*tls.Config{}}}
	blocks := []*config.TLSOptions{o.TLS}
	if o.Websocket != nil {
		blocks = append(blocks, o.Websocket.TLS)
	}
	if o.MQTT != nil {
		blocks = append(blocks, o.MQTT.TLS)
	}
	if o.Gateway != nil {
		blocks = append(blocks, o.Gateway.TLS)
	}
	if o.Leafnodes != nil {
		blocks = append(blocks, o.Leafnodes.TLS)
		for _, r := range o.Leafnodes.Remotes {
			blocks = append(blocks, r.TLS)
		}
	}
	for _, t := range blocks {
		b.set.verifies = b.set.verifies || t != nil && ocsp.ParsePeer(t.OCSPPeer) != nil
	}
	if b.set.verifies {
		b.set.cache = ocsp.NewCache(o.OCSPCache, diskFiles{}, s.clk, s.log)
		if old != nil && old.verifies && reflect.DeepEqual(s.opts.Load().OCSPCache, o.OCSPCache) {
			b.set.cache = old.cache
		}
	}
	var err error
	if b.set.tls, o.TLS, err = b.listener(o.TLS); err != nil {
		return nil, err
	}
	if o.Websocket != nil {
		w := *o.Websocket
		if b.set.ws, w.TLS, err = b.listener(w.TLS); err != nil {
			return nil, err
		}
		o.Websocket = &w
	}
	if o.MQTT != nil {
		q := *o.MQTT
		if b.set.mqtt, q.TLS, err = b.listener(q.TLS); err != nil {
			return nil, err
		}
		o.MQTT = &q
	}
	if o.Gateway != nil {
		g := *o.Gateway
		if b.set.gateway, g.TLS, err = b.listener(g.TLS); err != nil {
			return nil, err
		}
		o.Gateway = &g
	}
	if o.Leafnodes != nil {
		n := *o.Leafnodes
		if b.set.leaf, n.TLS, err = b.listener(n.TLS); err != nil {
			return nil, err
		}
		n.Remotes = slices.Clone(n.Remotes)
		for i, r := range n.Remotes {
			c := *r
			c.TLS = b.remote(c.TLS)
			n.Remotes[i] = &c
		}
		o.Leafnodes = &n
	}
	return b.set, nil
}

// ocspBuild is a set in the making.
type ocspBuild struct {
	s        *Server
	o        *config.Options
	set, old *ocspSet // old: nil at start
}

// listener builds one listener's part of the set and the TLS block that uses it.
func (b *ocspBuild) listener(t *config.TLSOptions) (*ocsp.Listener, *config.TLSOptions, error) {
	if t == nil || t.Config == nil {
		return nil, t, nil
	}
	t, base := b.unwrap(t)
	l := &ocsp.Listener{Verifier: b.verifier(t)}
	var err error
	if l.Staplers, err = b.staplers(t); err != nil {
		var bad *ocsp.BadStatusError
		if b.old == nil || errors.As(err, &bad) {
			return nil, nil, err
		}
		b.s.log.Logf(engine.Warn, "RJ-S050", "Can't restart OCSP features: %v", err)
	}
	if t.Config, err = l.Wrap(base); err != nil {
		return nil, nil, err
	}
	b.set.plain[t.Config] = base
	return l, t, nil
}

// unwrap returns a copy of t as it was before it was made to use a set, and its configuration.
func (b *ocspBuild) unwrap(t *config.TLSOptions) (*config.TLSOptions, *tls.Config) {
	c := *t
	if b.old != nil && b.old.plain[c.Config] != nil {
		c.Config = b.old.plain[c.Config] // somebody reloads with the options in force
	}
	return &c, c.Config
}

// verifier returns what judges the peers of t, nil when nobody does.
func (b *ocspBuild) verifier(t *config.TLSOptions) *ocsp.Verifier {
	peer := ocsp.ParsePeer(t.OCSPPeer)
	if peer == nil {
		return nil
	}
	return ocsp.NewVerifier(ocsp.VerifierConfig{Kind: ocspKind, Peer: *peer, Cache: b.set.cache,
		Responders: b.s.responders, Clock: b.s.clk, Logger: b.s.log, Events: b.s.ocspEvents})
}

// remote returns the TLS block for connections that are made with t: with the verification of the server, if t asks for it.
func (b *ocspBuild) remote(t *config.TLSOptions) *config.TLSOptions {
	if t == nil || t.Config == nil {
		return t
	}
	t, base := b.unwrap(t)
	if v := b.verifier(t); v != nil {
		t.Config = v.WrapClient(base)
		b.set.plain[t.Config] = base
	}
	return t
}

// staplers gets the first staple for each certificate of t that needs one. Staplers come also with an error:
// they go on trying.
func (b *ocspBuild) staplers(t *config.TLSOptions) ([]*ocsp.Stapler, error) {
	s := b.s
	list, err := ocsp.Staplers(b.o.OCSP, t, ocsp.StaplerConfig{Kind: ocspKind, StoreDir: b.o.StoreDir,
		Responders: s.responders, Files: diskFiles{}, Clock: s.clk, Logger: s.log,
		OnBad: func() { s.stopOnce.Do(func() { s.ctl.post(s.stop) }) }})
	var before []*ocsp.Stapler
	if b.old != nil {
		b.old.each(func(st *ocsp.Stapler) { before = append(before, st) })
	}
	for _, st := range list {
		if st != nil && err == nil {
			err = st.Obtain(before)
		}
	}
	return list, err
}

// ocspCacheVarz is the block of /varz, nil without a cache. Any goroutine.
func (s *Server) ocspCacheVarz() *sysapi.OCSPResponseCacheVarz {
	set := s.ocsp.Load()
	if set == nil || set.cache == nil {
		return nil
	}
	n := set.cache.Stats()
	return &sysapi.OCSPResponseCacheVarz{Type: set.cache.Type(), Hits: n.Hits, Misses: n.Misses,
		Responses: n.Responses, Revokes: n.Revoked, Goods: n.Good, Unknowns: n.Unknown}
}

// diskFiles implements ocsp.Files.
type diskFiles struct{}

func (diskFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// WriteFile writes beside the file, syncs and renames, so that a crash leaves the old or the new content.
func (diskFiles) WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
