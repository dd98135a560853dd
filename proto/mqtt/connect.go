package mqtt

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bits of the connect flags.
const (
	flagReserved     = 0x01
	flagClean        = 0x02
	flagWill         = 0x04
	flagWillQoS      = 0x18
	flagWillRetain   = 0x20
	flagPassword     = 0x40
	flagUser         = 0x80
	protocolLevel    = 4
	protocolName     = "MQTT"
	protocolNameMQ31 = "MQIsdp"
)

// Connect is a decoded CONNECT; it owns its memory.
type Connect struct {
	// ClientID as sent; empty is only possible with Clean, and the server then chooses one.
	ClientID string
	// KeepAlive in seconds, 0 = none.
	KeepAlive      uint16
	Clean          bool
	HasUser        bool
	HasPassword    bool
	User, Password string
	Will           *Will // nil = none
}

// Will is the message that is published when the client is lost.
type Will struct {
	Topic   []byte
	Message []byte
	QoS     byte
	Retain  bool
}

var (
	errConnectFlag  = errors.New("connect flags reserved bit not set to 0")
	errWillRetain   = errors.New("if Will flag is set to 0, Will Retain flag must be 0 too")
	errNoUser       = errors.New("password flag set but username flag is not")
	errNeedsClean   = errors.New("when client ID is empty, clean session flag must be set to 1")
	errNoWillTopic  = errors.New("empty Will topic not allowed")
	errEmptyUser    = errors.New("empty user name not allowed")
	errWillQoS2     = errors.New("server does not accept QoS2 for Will messages")
	errConnectTrail = errors.New("bytes after the last field of CONNECT")
)

// ParseConnect decodes the body of a CONNECT into c. code is the return code to answer an error with;
// with Accepted the connection is closed without CONNACK. rejectQoS2 refuses wills with QoS 2. When an
// error comes after it, ClientID is set. The rules and their order: reference/websocket_mqtt.md, B1.
func ParseConnect(body []byte, rejectQoS2 bool, c *Connect) (code byte, err error) {
	*c = Connect{}
	name, b, ok := cutString(body)
	switch {
	case !ok:
		return 0, short("protocol name")
	case string(name) == protocolNameMQ31:
		return 0, fmt.Errorf("older protocol %q not supported", name)
	case string(name) != protocolName:
		return 0, fmt.Errorf("expected connect packet with protocol name %q, got %q", protocolName, name)
	case len(b) == 0:
		return 0, short("protocol level")
	case b[0] != protocolLevel:
		return BadProtocolVersion, fmt.Errorf("unacceptable protocol version of %v", b[0])
	case len(b) < 2:
		return 0, short("flags")
	}
	flags := b[1]
	if code, err := checkConnectFlags(flags, rejectQoS2); err != nil {
		return code, err
	}
	if b = b[2:]; len(b) < 2 {
		return 0, short("keep alive")
	}
	c.KeepAlive, c.Clean = uint16(b[0])<<8|uint16(b[1]), flags&flagClean != 0
	id, b, ok := cutString(b[2:])
	if !ok {
		return 0, short("client ID")
	}
	c.ClientID = string(id)
	if len(id) == 0 && !c.Clean {
		return IdentifierRejected, errNeedsClean
	}
	if err := checkText(id, "client ID"); err != nil {
		return IdentifierRejected, err
	}
	if !validClientID(id) {
		return IdentifierRejected, fmt.Errorf("invalid character in %s %q", "client ID", id)
	}
	if flags&flagWill != 0 {
		if b, err = c.parseWill(flags, b); err != nil {
			return 0, err
		}
	}
	return c.parseLogin(flags, b)
}

func checkConnectFlags(flags byte, rejectQoS2 bool) (code byte, err error) {
	qos := flags & flagWillQoS >> 3
	switch {
	case flags&flagReserved != 0:
		return 0, errConnectFlag
	case flags&flagWill == 0 && qos != 0:
		return 0, fmt.Errorf("if Will flag is set to 0, Will QoS must be 0 too, got %v", qos)
	case flags&flagWill == 0 && flags&flagWillRetain != 0:
		return 0, errWillRetain
	case qos == 3:
		return 0, fmt.Errorf("if Will flag is set to 1, Will QoS can be 0, 1 or 2, got %v", qos)
	case rejectQoS2 && qos == 2:
		return WillQoS2Rejected, errWillQoS2
	case flags&flagUser == 0 && flags&flagPassword != 0:
		return 0, errNoUser
	}
	return 0, nil
}

func (c *Connect) parseWill(flags byte, b []byte) (rest []byte, err error) {
	topic, b, ok := cutString(b)
	switch {
	case !ok:
		return nil, short("Will topic")
	case len(topic) == 0:
		return nil, errNoWillTopic
	}
	if err := checkText(topic, "Will topic"); err != nil {
		return nil, err
	}
	if _, err := AppendSubject(nil, topic, false); err != nil {
		return nil, err
	}
	msg, b, ok := cutString(b)
	if !ok {
		return nil, short("Will message")
	}
	c.Will = &Will{
		Topic: append([]byte(nil), topic...), Message: append([]byte(nil), msg...),
		QoS: flags & flagWillQoS >> 3, Retain: flags&flagWillRetain != 0,
	}
	return b, nil
}

func (c *Connect) parseLogin(flags byte, b []byte) (code byte, err error) {
	if c.HasUser = flags&flagUser != 0; c.HasUser {
		user, rest, ok := cutString(b)
		if b = rest; !ok {
			return 0, short("user name")
		}
		if len(user) == 0 {
			return BadUserOrPassword, errEmptyUser
		}
		if err := checkText(user, "user name"); err != nil {
			return BadUserOrPassword, err
		}
		c.User = string(user)
	}
	if c.HasPassword = flags&flagPassword != 0; c.HasPassword {
		pass, rest, ok := cutString(b)
		if b = rest; !ok {
			return 0, short("password")
		}
		c.Password = string(pass)
	}
	if len(b) > 0 {
		return 0, errConnectTrail
	}
	return 0, nil
}

// checkText applies the rules for strings of the protocol.
func checkText(s []byte, field string) error {
	ascii := true
	for _, b := range s {
		if b == 0 {
			return fmt.Errorf("invalid null character in %s %q", field, s)
		}
		ascii = ascii && b < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(s) {
		return fmt.Errorf("invalid utf8 for %s %q", field, s)
	}
	return nil
}

// validClientID: the identifier is a token of a subject.
func validClientID(id []byte) bool {
	for _, b := range id {
		switch b {
		case ' ', '\t', '\r', '\n', '\f', '.', '*', '>':
			return false
		}
	}
	return true
}
