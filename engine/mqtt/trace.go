package mqtt

import (
	"fmt"
	"strings"

	"ramjet/engine"
	"ramjet/proto/mqtt"
)

// traceIn logs a packet of the client; CONNECT is logged when it was read.
func (c *Client) traceIn(p *mqtt.Packet) {
	switch p.Type {
	case mqtt.CONNECT:
	case mqtt.PUBLISH:
		id := ""
		if p.ID != 0 {
			id = fmt.Sprintf(" pi=%v", p.ID)
		}
		c.Logf(engine.Trace, "", "<<- [PUBLISH %s dup=%v QoS=%v retain=%v size=%v%s]", p.Topic, p.Flags&mqtt.FlagDup != 0,
			mqtt.QoS(p.Flags), p.Flags&mqtt.FlagRetain != 0, len(p.Payload), id)
		c.TracePayload("<<-", nil, p.Payload)
	case mqtt.SUBSCRIBE, mqtt.UNSUBSCRIBE:
		var list []string
		p.Filters(func(topic []byte, qos byte) {
			subject, _ := mqtt.AppendSubject(nil, topic, true)
			text := fmt.Sprintf("%s (%s)", topic, subject)
			if p.Type == mqtt.SUBSCRIBE {
				text += fmt.Sprintf(" QoS=%v", qos)
			}
			list = append(list, text)
		})
		c.Logf(engine.Trace, "", "<<- [%s [%s] pi=%v]", p.Type, strings.Join(list, ", "), p.ID)
	case mqtt.PINGREQ, mqtt.DISCONNECT:
		c.Logf(engine.Trace, "", "<<- [%s]", p.Type)
	default:
		c.traceAck("<<-", p.Type, p.ID)
	}
}

func (c *Client) traceConnect(cn *mqtt.Connect) {
	b := "clientID=" + cn.ClientID
	if cn.KeepAlive > 0 {
		b += fmt.Sprintf(" keepAlive=%v", silence(cn.KeepAlive))
	}
	if w := cn.Will; w != nil {
		b += fmt.Sprintf(" will=(topic=%s QoS=%v retain=%v)", w.Topic, w.QoS, w.Retain)
	}
	if cn.Clean {
		b += " clean"
	}
	if cn.User != "" {
		b += " username=" + cn.User
	}
	if cn.Password != "" {
		b += " password=****"
	}
	c.Logf(engine.Trace, "", "<<- [CONNECT %s]", b)
}

// traceAck logs a packet that has only an identifier.
func (c *Client) traceAck(dir string, t mqtt.Type, id uint16) {
	if c.Lane().Trace {
		c.Logf(engine.Trace, "", "%s [%s pi=%v]", dir, t, id)
	}
}

// traceOut logs a delivered message. Any goroutine.
func (c *Client) traceOut(subject []byte, flags byte, id uint16, size int) {
	text := ""
	if id != 0 {
		text = fmt.Sprintf(" pi=%v", id)
	}
	c.Logf(engine.Trace, "", "->> [PUBLISH %s dup=%v QoS=%v retain=%v size=%v%s]", mqtt.AppendTopic(nil, subject),
		flags&mqtt.FlagDup != 0, mqtt.QoS(flags), flags&mqtt.FlagRetain != 0, size, text)
}
