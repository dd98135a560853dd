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

// Kinds of connections in log lines and events.
const (
	ocspClient  = "Client" // websocket and MQTT, too
	ocspRouter  = "Router"
	ocspGateway = "Gateway"
	ocspLeaf    = "Leafnode"
)

// ocspSet is what one configuration needs for the status of certificates. Immutable.
type ocspSet struct {
	blocks   []*ocsp.Listener            // one for each TLS block, no order
	cache    *ocsp.Cache                 // nil = none
	verifies bool                        // some block verifies its peers
	plain    map[*tls.Config]*tls.Config // by the configuration in use, what it was made of
}

// each calls f for every stapler.
func (t *ocspSet) each(f func(*ocsp.Stapler)) {
	for _, l := range t.blocks {
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
		s.log.Logf(engine.Info, "", "OCSP Stapling enabled for %s connections", st.Kind())
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
	o.TLS = b.listener(ocspClient, o.TLS)
	if o.Websocket != nil {
		w := *o.Websocket
		w.TLS = b.listener(ocspClient, w.TLS)
		o.Websocket = &w
	}
	if o.MQTT != nil {
		q := *o.MQTT
		q.TLS = b.listener(ocspClient, q.TLS)
		o.MQTT = &q
	}
	if o.Cluster != nil {
		c := *o.Cluster
		c.TLS = b.listener(ocspRouter, c.TLS)
		o.Cluster = &c
	}
	if o.Gateway != nil {
		g := *o.Gateway
		g.TLS = b.listener(ocspGateway, g.TLS)
		g.Gateways = slices.Clone(g.Gateways)
		for i, r := range g.Gateways {
			c := *r
			c.TLS = b.remote(ocspGateway, c.TLS)
			g.Gateways[i] = &c
		}
		o.Gateway = &g
	}
	if o.Leafnodes != nil {
		n := *o.Leafnodes
		n.TLS = b.listener(ocspLeaf, n.TLS)
		n.Remotes = slices.Clone(n.Remotes)
		for i, r := range n.Remotes {
			c := *r
			c.TLS = b.remote(ocspLeaf, c.TLS)
			n.Remotes[i] = &c
		}
		o.Leafnodes = &n
	}
	return b.set, b.err
}

// ocspBuild is a set in the making.
type ocspBuild struct {
	s        *Server
	o        *config.Options
	set, old *ocspSet // old: nil at start
	err      error    // the first one
}

// listener returns the TLS block of a listener as it uses the set: staples, and what is required of peers.
// Servers of a cluster, and of clusters that are joined, also connect with it.
func (b *ocspBuild) listener(kind string, t *config.TLSOptions) *config.TLSOptions {
	if kind == ocspRouter || kind == ocspGateway {
		return b.block(kind, t, (*ocsp.Listener).WrapBoth)
	}
	return b.block(kind, t, (*ocsp.Listener).Wrap)
}

// remote returns the TLS block for connections that are made with t, as it uses the set.
func (b *ocspBuild) remote(kind string, t *config.TLSOptions) *config.TLSOptions {
	return b.block(kind, t, func(l *ocsp.Listener, base *tls.Config) (*tls.Config, error) { return l.WrapDialer(base), nil })
}

func (b *ocspBuild) block(kind string, t *config.TLSOptions, wrap func(*ocsp.Listener, *tls.Config) (*tls.Config, error)) *config.TLSOptions {
	if t == nil || t.Config == nil || b.err != nil {
		return t
	}
	t, base := b.unwrap(t)
	l := &ocsp.Listener{Verifier: b.verifier(kind, t)}
	var err error
	if kind != ocspLeaf { // leafnodes do not staple
		if l.Staplers, err = b.staplers(kind, t); err != nil {
			var bad *ocsp.BadStatusError
			if b.old == nil || errors.As(err, &bad) {
				b.err = err
				return t
			}
			b.s.log.Logf(engine.Warn, "RJ-S050", "Can't restart OCSP features: %v", err)
		}
	}
	if (kind == ocspRouter || kind == ocspGateway) && (l.Stapled() || err != nil) {
		l.Peers = &ocsp.PeerStaples{Kind: kind, Clock: b.s.clk}
	}
	b.set.blocks = append(b.set.blocks, l)
	if t.Config, b.err = wrap(l, base); b.err == nil {
		b.set.plain[t.Config] = base
	}
	return t
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
func (b *ocspBuild) verifier(kind string, t *config.TLSOptions) *ocsp.Verifier {
	peer := ocsp.ParsePeer(t.OCSPPeer)
	if peer == nil {
		return nil
	}
	s := b.s
	if !b.set.verifies {
		b.set.verifies = true
		b.set.cache = ocsp.NewCache(b.o.OCSPCache, diskFiles{}, s.clk, s.log)
		if b.old != nil && b.old.verifies && reflect.DeepEqual(s.opts.Load().OCSPCache, b.o.OCSPCache) {
			b.set.cache = b.old.cache
		}
	}
	return ocsp.NewVerifier(ocsp.VerifierConfig{Kind: kind, Peer: *peer, Cache: b.set.cache,
		Responders: s.responders, Clock: s.clk, Logger: s.log, Events: s.ocspEvents})
}

// staplers gets the first staple for each certificate of t that needs one. Staplers come also with an error:
// they go on trying.
func (b *ocspBuild) staplers(kind string, t *config.TLSOptions) ([]*ocsp.Stapler, error) {
	s := b.s
	list, err := ocsp.Staplers(b.o.OCSP, t, ocsp.StaplerConfig{Kind: kind, StoreDir: b.o.StoreDir,
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
