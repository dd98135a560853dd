package server

import (
	"cmp"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/wire"
)

// Reload applies opts: all of it, or on error nothing. One reload runs at a time. Never from a loop.
func (s *Server) Reload(opts *config.Options) error {
	o := *opts
	config.Baseline(&o)
	return s.ctl.call(func() error { return s.reloadLogged(func() (*config.Options, error) { return &o, nil }) })
}

// ReloadFile reads the configuration file again and applies it as Reload does.
func (s *Server) ReloadFile() error {
	return s.ctl.call(func() error { return s.reloadLogged(s.loadFile) })
}

func (s *Server) loadFile() (*config.Options, error) {
	cur := s.opts.Load()
	if cur.File == "" {
		return nil, errors.New("can only reload config when a file is provided using -c or --config")
	}
	load := s.env.Load
	if load == nil {
		load = func() (*config.Options, []string, error) { return config.Load(cur.File, nil) }
	}
	o, warnings, err := load()
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		s.log.Logf(engine.Warn, "RJ-S040", "%s", w)
	}
	return o, nil
}

// reloadLogged reloads and logs how it went. Control.
func (s *Server) reloadLogged(get func() (*config.Options, error)) error {
	next, err := get()
	if err == nil {
		err = s.reload(next)
	}
	if err != nil {
		s.log.Logf(engine.Error, "RJ-S041", "Failed to reload server configuration: %s", err)
		return err
	}
	s.log.Logf(engine.Info, "", "Reloaded server configuration (%s)", next.Digest)
	return nil
}

// What is logged for every reload: users and accounts are always looked at again.
const (
	usersLine    = "Reloaded: authorization users"
	accountsLine = "Reloaded: accounts"
)

// prepared is a reload that can only succeed.
type prepared struct {
	next     *config.Options
	plan     *config.Plan
	accounts func()
	log      func()
	ocsp     func()
	resolver *resolver // another one; nil: the same as before
	warnings []string
}

// reload is the six steps of architecture.md, section 6.4; parsing was done. Control.
func (s *Server) reload(next *config.Options) error {
	if st := state(s.state.Load()); st != stateRunning && st != stateLameDuck {
		return errStopped
	}
	if err := checkOptions(next); err != nil {
		return err
	}
	cur := s.opts.Load()
	s.keepPorts(cur, next)
	p := &prepared{next: next}
	if err := s.prepareResolver(cur, p); err != nil {
		return err
	}
	p.plan = config.Diff(cur, next)
	if r := p.plan.Refused; len(r) > 0 {
		return errors.New(r[0].Refusal())
	}
	if err := s.prepare(cur, p); err != nil {
		return err
	}
	s.commit(p)
	s.tidy(cur, p)
	return nil
}

// keepPorts makes a random port (-1) and the port it turned out to be the same thing: no change.
func (s *Server) keepPorts(cur, next *config.Options) {
	bound := source{s}.Listeners()
	keep := func(name string, was int, now *int) {
		if was == -1 && strings.HasSuffix(bound[name], ":"+strconv.Itoa(*now)) {
			*now = -1
		}
	}
	keep("client", cur.Port, &next.Port)
	keep("monitoring", cur.HTTPPort, &next.HTTPPort)
	keep("monitoring_tls", cur.HTTPSPort, &next.HTTPSPort)
	if cur.Cluster != nil && next.Cluster != nil {
		keep("cluster", cur.Cluster.Port, &next.Cluster.Port)
	}
	if cur.Gateway != nil && next.Gateway != nil {
		keep(gatewayListener, cur.Gateway.Port, &next.Gateway.Port)
	}
	if cur.Leafnodes != nil && next.Leafnodes != nil {
		keep("leafnode", cur.Leafnodes.Port, &next.Leafnodes.Port)
	}
	if cur.Websocket != nil && next.Websocket != nil {
		keep("websocket", cur.Websocket.Port, &next.Websocket.Port)
	}
	if cur.MQTT != nil && next.MQTT != nil {
		keep("mqtt", cur.MQTT.Port, &next.MQTT.Port)
	}
}

// prepare does what may fail and changes nothing that is in use.
func (s *Server) prepare(cur *config.Options, p *prepared) error {
	// The authenticator refers to accounts. What can be wrong with it is found on accounts made for the
	// purpose, so that the real ones stay untouched until the commit.
	scratch, err := s.accounts.Trial(p.next)
	if err != nil {
		return err
	}
	if _, _, err := auth.New(p.next, scratch); err != nil {
		return err
	}
	if p.accounts, err = s.accounts.Prepare(p.next); err != nil {
		return err
	}
	// It waits for CAs: last but for the log, which opens a file.
	if p.ocsp, err = s.prepareOCSP(p.next); err != nil {
		return err
	}
	if s.ownLog != nil {
		if p.log, err = s.ownLog.reconfigure(&cur.Log, &p.next.Log); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the new configuration current. It cannot fail.
func (s *Server) commit(p *prepared) {
	if p.log != nil {
		p.log()
	}
	s.opts.Store(p.next)
	p.ocsp()
	p.accounts()
	if p.resolver != nil {
		s.changeResolver(p.resolver)
	}
	a, warnings, err := auth.New(p.next, s.accounts)
	if err != nil {
		// Excluded by prepare. Refusing everybody would be worse than the users of before.
		s.log.Logf(engine.Error, "RJ-S042", "Users not reloaded: %v", err)
	} else {
		a.Inherit(s.auth.Load())
		s.auth.Store(a)
		for _, w := range append(p.warnings, warnings...) {
			s.log.Logf(engine.Warn, "RJ-S017", "%s", w)
		}
	}
	s.warnAccounts()
	s.confTime.Store(s.clk.Now().UnixNano())
	s.updateInfo()
}

// tidy brings connections and files in line, at their own pace.
func (s *Server) tidy(cur *config.Options, p *prepared) {
	next := p.next
	var inform bool
	for _, c := range p.plan.Changes() {
		if c.Line != usersLine && c.Line != accountsLine {
			s.log.Logf(engine.Info, "", "%s", c.Line)
		}
		inform = inform || c.Key == "client_advertise"
	}
	if cur.MaxConn != next.MaxConn {
		s.shrinkTo(next.MaxConn)
	}
	s.shrinkAccounts()
	if cur.NoFastProducerStall != next.NoFastProducerStall {
		for i, l := range s.group.Loops() {
			ctx := s.ctxs[i]
			l.Post(func() { ctx.NoStall = next.NoFastProducerStall })
		}
	}
	if cur.ProfBlockRate != next.ProfBlockRate && s.profile != nil {
		runtime.SetBlockProfileRate(next.ProfBlockRate)
	}
	if cur.PidFile != next.PidFile {
		if err := writePidFile(next.PidFile); err != nil {
			s.log.Logf(engine.Error, "RJ-S043", "%s", err.Error())
		}
	}
	if cur.PortsFileDir != next.PortsFileDir {
		if err := removePortsFile(cur.PortsFileDir); err != nil {
			s.log.Logf(engine.Error, "RJ-S022", "Removing the ports file: %v", err)
		}
		if err := writePortsFile(next.PortsFileDir, s.ports()); err != nil {
			s.log.Logf(engine.Error, "RJ-S015", "%s", err.Error())
		}
	}
	// Users and accounts are always looked at again: what a certificate or a mapping file says may have
	// changed although the configuration did not.
	s.log.Logf(engine.Info, "", usersLine)
	s.log.Logf(engine.Info, "", accountsLine)
	s.syncSysacc()
	s.reloadJetStream(cur, next)
	s.reloadCluster(cur, next)
	s.reloadGateways()
	s.clients.Recheck()
	if s.mqtt != nil {
		s.mqtt.Recheck()
	}
	s.reloadLeafs(next)
	if inform {
		s.clients.BroadcastInfo()
	}
}

// shrinkTo closes the youngest clients beyond limit.
func (s *Server) shrinkTo(limit int) {
	if n := s.closeNewest(nil, max(limit, 0), wire.TextMaxConnections, netio.ReasonMaxConnections); n > 0 {
		s.log.Logf(engine.Info, "", "Closed %d connections to fall within max_connections", n)
	}
}

// shrinkAccounts closes the newest clients of accounts that have more than their max_connections now.
func (s *Server) shrinkAccounts() {
	s.accounts.Range(func(a *account.Account) bool { s.shrinkAccount(a); return true })
}

// shrinkAccount closes the newest clients of an account that has more than its max_connections, those on other servers
// included. Any goroutine but a loop's.
func (s *Server) shrinkAccount(a *account.Account) {
	clients, _ := a.Conns()
	elsewhere, leafs := a.RemoteConns()
	limit := a.Snap().Limits.MaxConn
	if limit < 0 || clients+elsewhere+leafs <= limit {
		return
	}
	// The others close theirs too: rather too many than one server all of them.
	if n := s.closeNewest(a, max(limit-elsewhere-leafs, 0), wire.TextMaxAccountConnections, netio.ReasonMaxAccountConnections); n > 0 {
		s.log.Logf(engine.Info, "", "Closed %d connections to fall within max_connections of account %q", n, a.Name())
	}
}

// closeNewest closes the newest clients, of account a or of all, until limit are left, and returns how many.
func (s *Server) closeNewest(a *account.Account, limit int, text string, why netio.Reason) int {
	var conns []*link.Conn
	s.registry.Range(engine.Client, func(c *link.Conn) bool {
		if a == nil || c.Account() == a {
			conns = append(conns, c)
		}
		return true
	})
	if len(conns) <= limit {
		return 0
	}
	slices.SortFunc(conns, func(a, b *link.Conn) int { return cmp.Compare(b.ID(), a.ID()) })
	conns = conns[:len(conns)-limit]
	for _, c := range conns {
		c.Net().Loop().Post(func() { c.CloseErr(text, why) })
	}
	return len(conns)
}
