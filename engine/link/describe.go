package link

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"ramjet/engine"
	"ramjet/engine/interest"
	"ramjet/engine/netio"
	"ramjet/proto/sysapi"
)

// Snapshot is the monitoring view of a connection, taken on any goroutine without touching the loop:
// every field comes from atomics or immutable pointers; Subs detail asks the owner loop.
func (c *Conn) Snapshot(info *sysapi.ConnInfo, now time.Time, authDetail bool) {
	id := c.ident.Load()
	last := max(c.stats.lastIn.Load(), c.stats.lastOut.Load())
	*info = sysapi.ConnInfo{
		Cid:          c.id,
		Kind:         c.kind.String(),
		Type:         typeName(c.kind, c.ctype),
		Start:        time.Unix(0, c.start).UTC(),
		LastActivity: time.Unix(0, last).UTC(),
		Uptime:       Uptime(now.Sub(time.Unix(0, c.start))),
		Idle:         Uptime(now.Sub(time.Unix(0, last))),
		Pending:      int(c.out.Pending()),
		InMsgs:       c.stats.inMsgs.Load(),
		OutMsgs:      c.stats.outMsgs.Load(),
		InBytes:      c.stats.inBytes.Load(),
		OutBytes:     c.stats.outBytes.Load(),
		Stalls:       c.stats.stalls.Load(),
		NumSubs:      uint32(max(0, c.nsubs.Load())),
		Name:         id.Name,
		Lang:         id.Lang,
		Version:      id.Version,
		TLSFirst:     id.TLSFirst,
	}
	setAddr(info, c.nc.RemoteAddr())
	if rtt := c.stats.rtt.Load(); rtt > 0 {
		info.RTT, info.RTTNanos = time.Duration(rtt).String(), rtt
	}
	if st := c.nc.TLS(); st != nil {
		info.TLSVersion, info.TLSCipher = tlsVersion(st.Version), tls.CipherSuiteName(st.CipherSuite)
		if authDetail {
			info.TLSPeerCerts = peerCerts(st)
		}
	}
	if authDetail {
		if u := id.User; u != nil {
			info.JWT, info.IssuerKey, info.Tags = u.ShownJWT(), u.IssuerKey, u.Tags
		}
		info.AuthorizedUser = id.user()
		if id.Account != nil {
			info.Account, info.NameTag = id.Account.Name(), id.Account.NameTag()
		}
	}
	if id.User != nil && id.User.ProxyKey != "" {
		info.Proxy = &sysapi.ProxyInfo{Key: id.User.ProxyKey}
	}
	c.proto.Describe(info)
}

// ClientInfo describes the connection to others: account and round trip, or everything. Any goroutine.
func (c *Conn) ClientInfo(detailed bool) *sysapi.ClientInfo {
	if !detailed {
		info := &sysapi.ClientInfo{RTT: c.RTT()}
		if a := c.Account(); a != nil {
			info.Account = a.Name()
		}
		return info
	}
	var i sysapi.ConnInfo
	c.Snapshot(&i, time.Unix(0, c.start), true)
	i.NameTag = "" // of the user here, not of the account
	if u := c.ident.Load().User; u != nil {
		i.NameTag = u.NameTag
	}
	return ClientInfoOf(&i)
}

// ClientInfoOf is what events and services are told of the connection that i describes.
func ClientInfoOf(i *sysapi.ConnInfo) *sysapi.ClientInfo {
	start := i.Start
	return &sysapi.ClientInfo{
		Start: &start, Host: i.IP, ID: i.Cid, Account: i.Account, User: i.AuthorizedUser, Name: i.Name, Lang: i.Lang,
		Version: i.Version, RTT: time.Duration(i.RTTNanos), NameTag: i.NameTag, Kind: i.Kind, ClientType: i.Type,
		MQTTClient: i.MQTTClient, JWT: i.JWT, IssuerKey: i.IssuerKey, Tags: i.Tags,
	}
}

// typeName is the transport shown for clients.
func typeName(k engine.Kind, t engine.ConnType) string {
	if k != engine.Client {
		return ""
	}
	switch t {
	case engine.Websocket:
		return "websocket"
	case engine.MQTT, engine.MQTTWS:
		return "mqtt"
	}
	return "nats"
}

func setAddr(info *sysapi.ConnInfo, a netip.AddrPort) {
	if a.IsValid() {
		info.IP, info.Port = a.Addr().Unmap().String(), int(a.Port())
	}
}

// tlsVersion is the short name of a TLS version, as nats-server shows it.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return fmt.Sprintf("Unknown [0x%x]", v)
}

// peerCerts describes the certificates the peer presented.
func peerCerts(st *tls.ConnectionState) []*sysapi.TLSPeerCert {
	if len(st.PeerCertificates) == 0 {
		return nil
	}
	out := make([]*sysapi.TLSPeerCert, 0, len(st.PeerCertificates))
	for _, x := range st.PeerCertificates {
		key, all := sha256.Sum256(x.RawSubjectPublicKeyInfo), sha256.Sum256(x.Raw)
		out = append(out, &sysapi.TLSPeerCert{
			Subject:          x.Subject.String(),
			SubjectPKISha256: hex.EncodeToString(key[:]),
			CertSha256:       hex.EncodeToString(all[:]),
		})
	}
	return out
}

// Uptime renders d as monitoring does: "1m23s", "2d3h4m5s", "1y2d3h4m5s".
func Uptime(d time.Duration) string {
	s := max(0, int64(d/time.Second))
	const minute, hour, day, year = 60, 3600, 86400, 365 * 86400
	var b []byte
	part := func(n int64, unit byte) {
		b = append(strconv.AppendInt(b, n, 10), unit)
	}
	switch {
	case s >= year:
		part(s/year, 'y')
		fallthrough
	case s >= day:
		part(s%year/day, 'd')
		fallthrough
	case s >= hour:
		part(s%day/hour, 'h')
		fallthrough
	case s >= minute:
		part(s%hour/minute, 'm')
		fallthrough
	default:
		part(s%minute, 's')
	}
	return string(b)
}

// maxClosedSubs bounds how many subscriptions of a closed connection are remembered.
const maxClosedSubs = 64

// closedConn is a closed connection, a third of the size of its monitoring entry.
type closedConn struct {
	cid                                uint64
	start, last, stop, rtt             int64
	inMsgs, outMsgs, inBytes, outBytes int64
	stalls, pending                    int64
	addr                               netip.AddrPort
	name, lang, version                string
	user, account, proxy               string
	jwt, issuerKey, nameTag            string
	tags                               []string
	mqtt                               string
	certs                              []*sysapi.TLSPeerCert
	subs                               []sysapi.SubDetail
	nsubs                              uint32
	tlsVersion, cipher                 uint16
	kind                               engine.Kind
	ctype                              engine.ConnType
	why                                netio.Reason
	tlsFirst                           bool
}

// compact captures c as it closes. Owning loop of c.
func compact(c *Conn, why netio.Reason, now time.Time) closedConn {
	id := c.ident.Load()
	e := closedConn{
		cid: c.id, start: c.start, stop: now.UnixNano(), rtt: c.stats.rtt.Load(),
		last:   max(c.stats.lastIn.Load(), c.stats.lastOut.Load()),
		inMsgs: c.stats.inMsgs.Load(), outMsgs: c.stats.outMsgs.Load(),
		inBytes: c.stats.inBytes.Load(), outBytes: c.stats.outBytes.Load(),
		stalls: c.stats.stalls.Load(), pending: c.out.Left(),
		addr: c.nc.RemoteAddr(),
		name: id.Name, lang: id.Lang, version: id.Version, tlsFirst: id.TLSFirst,
		nsubs: uint32(max(0, c.nsubs.Load())), kind: c.kind, ctype: c.ctype, why: why,
	}
	e.user = id.user()
	if id.User != nil {
		e.proxy = id.User.ProxyKey
		e.jwt, e.issuerKey, e.tags = id.User.ShownJWT(), id.User.IssuerKey, id.User.Tags
	}
	if id.Account != nil {
		e.account, e.nameTag = id.Account.Name(), id.Account.NameTag()
	}
	if st := c.nc.TLS(); st != nil {
		e.tlsVersion, e.cipher, e.certs = st.Version, st.CipherSuite, peerCerts(st)
	}
	if n := min(c.subs.Len(), maxClosedSubs); n > 0 {
		e.subs = make([]sysapi.SubDetail, 0, n)
		c.subs.Range(func(s *interest.Sub) bool {
			var d sysapi.SubDetail
			c.SubDetail(&d, s)
			e.subs = append(e.subs, d)
			return len(e.subs) < n
		})
	}
	var d sysapi.ConnInfo
	c.proto.Describe(&d)
	e.mqtt = d.MQTTClient
	return e
}

// expand renders a closed connection as its monitoring entry, with everything auth detail shows.
func (e *closedConn) expand() (*sysapi.ConnInfo, string) {
	stop := time.Unix(0, e.stop).UTC()
	info := &sysapi.ConnInfo{
		Cid:          e.cid,
		Kind:         e.kind.String(),
		Type:         typeName(e.kind, e.ctype),
		Start:        time.Unix(0, e.start).UTC(),
		LastActivity: time.Unix(0, e.last).UTC(),
		Stop:         &stop,
		Reason:       e.why.String(),
		Uptime:       Uptime(time.Duration(e.stop - e.start)),
		Idle:         Uptime(time.Duration(e.stop - e.last)),
		InMsgs:       e.inMsgs, OutMsgs: e.outMsgs, InBytes: e.inBytes, OutBytes: e.outBytes,
		Stalls: e.stalls, Pending: int(e.pending), NumSubs: e.nsubs,
		Name: e.name, Lang: e.lang, Version: e.version, TLSFirst: e.tlsFirst,
		AuthorizedUser: e.user, Account: e.account, MQTTClient: e.mqtt,
		JWT: e.jwt, IssuerKey: e.issuerKey, NameTag: e.nameTag, Tags: e.tags,
		TLSPeerCerts: e.certs, SubsDetail: e.subs,
	}
	setAddr(info, e.addr)
	if e.rtt > 0 {
		info.RTT, info.RTTNanos = time.Duration(e.rtt).String(), e.rtt
	}
	if e.tlsVersion != 0 {
		info.TLSVersion, info.TLSCipher = tlsVersion(e.tlsVersion), tls.CipherSuiteName(e.cipher)
	}
	if e.proxy != "" {
		info.Proxy = &sysapi.ProxyInfo{Key: e.proxy}
	}
	return info, e.account
}
