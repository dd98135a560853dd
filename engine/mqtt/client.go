package mqtt

import (
	"errors"
	"sync/atomic"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/link"
	"ramjet/engine/netio"
	"ramjet/proto/mqtt"
	"ramjet/proto/sysapi"
	"ramjet/proto/wire"
)

// Client is one MQTT client: link.Protocol and link.Packets; its embedded Conn is the netio.Handler.
// Everything here belongs to the owning loop, but what is atomic or has a lock of its own.
type Client struct {
	link.Conn
	svc *Service

	acct    *account.Account // of the identity, nil before authentication
	perms   *auth.Perms      // nil = unrestricted
	allowed map[string]bool  // publish permission by subject, bounded by permCacheSize
	maxSub  int              // -1 = none
	maxPay  int              // -1 = none
	rnd     uint64

	req  *auth.Request // what the client presented; kept for reload
	ws   *WSMeta       // websocket only
	gen  uint32        // of the authentication under way
	id   string        // client identifier
	name atomic.Pointer[string]
	will atomic.Pointer[mqtt.Will] // nil: none, or not to be published any more

	m     *Manager
	sess  *Session
	holds bool // m.locked has the session for us
	gone  bool // the connection is closed

	keep   int64 // longest silence of the client, nanoseconds; 0 = any
	heard  int64 // when something arrived last
	lim    mqtt.Limits
	packet mqtt.Packet
	pipe   pipeline
	held   heldPackets // QoS 2
	subj   []byte      // scratch
	mapped []byte      // scratch
}

var (
	_ link.Protocol = (*Client)(nil)
	_ link.Packets  = (*Client)(nil)
)

var (
	errSecond  = errors.New("received a second CONNECT packet")
	errSession = errors.New("invalid MQTT session")
	errQoS2    = errors.New("QoS=2 is disabled for PUBLISH messages")
)

// Next implements link.Packets.
func (c *Client) Next(data []byte) (n, need int, err error) {
	c.heard = c.Lane().Now
	return mqtt.Next(data, &c.lim, &c.packet)
}

// OnOp implements link.Protocol; packets do not come here.
func (c *Client) OnOp(*wire.Op) error { return link.ErrClosed }

// OnPacket implements link.Packets.
func (c *Client) OnPacket() error {
	p := &c.packet
	if c.Lane().Trace {
		c.traceIn(p)
	}
	switch p.Type {
	case mqtt.PUBLISH:
		return c.onPublish(p)
	case mqtt.PUBREL:
		return c.onPubRel(p.ID)
	case mqtt.PUBACK, mqtt.PUBREC:
		return c.onReceived(p.ID, p.Type == mqtt.PUBREC)
	case mqtt.PUBCOMP:
		c.onPubComp(p.ID)
	case mqtt.SUBSCRIBE, mqtt.UNSUBSCRIBE:
		return c.onSubscribe(p)
	case mqtt.PINGREQ:
		c.Send(mqtt.AppendPingResp(nil))
		if c.Lane().Trace {
			c.Logf(engine.Trace, "", "->> [PINGRESP]")
		}
	case mqtt.CONNECT:
		if c.lim.Connected {
			return c.fail(errSecond)
		}
		return c.onConnect(p.Body)
	case mqtt.DISCONNECT:
		c.will.Store(nil)
		c.CloseErr("", netio.ReasonClientClosed)
		return link.ErrClosed
	}
	return nil
}

// OnBad implements link.Packets.
func (c *Client) OnBad(err error) {
	if errors.Is(err, mqtt.ErrTooLarge) {
		c.tooLarge(err)
		return
	}
	c.fail(err)
}

// fail closes the connection for a packet that must not be, or a failure that the client can only recover from
// by coming back.
func (c *Client) fail(err error) error {
	switch {
	case c.Closing():
	case errors.Is(err, ErrStopped):
		c.CloseErr("", netio.ReasonServerShutdown)
	default:
		c.Logf(engine.Error, "RJ-Q002", "%v", err)
		c.CloseErr("", netio.ReasonProtocolViolation)
	}
	return link.ErrClosed
}

func (c *Client) tooLarge(err error) error {
	c.Logf(engine.Error, "RJ-Q003", "%v", err)
	c.CloseErr("", netio.ReasonMaxPayload)
	return link.ErrClosed
}

// post runs fn on the loop, unless the connection has been closed by then: what it held is released then.
// from is the LoopID of the caller.
func (c *Client) post(fn func()) {
	c.Net().Loop().Post(func() {
		if !c.Closing() {
			fn()
			return
		}
		c.unlock()
		if c.gone {
			c.leave()
		}
	})
}

// unlock gives the session free for others.
func (c *Client) unlock() {
	if c.holds {
		c.holds = false
		c.m.unlock(c, c.id)
	}
}

// OnPeerClose implements link.Protocol.
func (c *Client) OnPeerClose(netio.Reason) {
	c.gen++ // a pending authentication finds nobody
	c.gone = true
	c.pipe.kill()
	c.held = heldPackets{}
	c.allowed, c.ws = nil, nil
	if !c.holds { // else what is under way ends first
		c.leave()
	}
}

// leave takes the client out of its session and publishes its will.
func (c *Client) leave() {
	if c.sess == nil {
		return
	}
	bound, clean := c.m.release(c)
	if !bound {
		return
	}
	if clean {
		c.sess.clear(c.LoopID(), nil)
	}
	if w := c.will.Swap(nil); w != nil && c.lim.Connected {
		c.publishWill(w)
	}
	c.sess = nil
}

// Describe implements link.Protocol.
func (c *Client) Describe(i *sysapi.ConnInfo) {
	if n := c.name.Load(); n != nil {
		i.MQTTClient = *n
	}
}

// random returns the next number of a sequence, for weighted mappings (xorshift).
func (c *Client) random() uint64 {
	c.rnd ^= c.rnd << 13
	c.rnd ^= c.rnd >> 7
	c.rnd ^= c.rnd << 17
	return c.rnd
}

// applyUser puts permissions and limits of u into force.
func (c *Client) applyUser(u *auth.User, o *config.Options) {
	snap := c.acct.Snap()
	c.perms, c.allowed = u.Perms, nil
	var r *config.ResponsePerm
	if u.Perms != nil {
		r = u.Perms.Responses()
	}
	c.TrackReplies(r)
	c.maxSub = link.MinLimit(o.MaxSubs, snap.Limits.MaxSubs, u.MaxSubs)
	c.maxPay = link.MinLimit(o.MaxPayload, snap.Limits.MaxPayload, u.MaxPayload)
}

// maxConnect is the longest CONNECT there can be, in bytes: header, protocol, and five strings.
const maxConnect = 5 + 2 + 4 + 1 + 1 + 2 + 5*(2+65535)

// limitPackets bounds packets by what payloads may be, the first one also by what it can be.
func (c *Client) limitPackets() {
	c.lim.MaxPacket = c.maxPay
	switch {
	case !c.lim.Connected && (c.maxPay < 0 || c.maxPay > maxConnect):
		c.lim.MaxPacket = maxConnect
	case c.lim.Connected && c.maxPay >= 0:
		c.lim.MaxPacket += mqtt.Overhead
	}
}
