package mqtt

// AppendLength appends a remaining length; n is at most MaxRemaining.
func AppendLength(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// AppendPublishHead appends fixed and variable header of a PUBLISH up to its payload of n bytes. topic is
// the topic, id counts only with a QoS in flags.
func AppendPublishHead(dst []byte, flags byte, topic []byte, id uint16, n int) []byte {
	dst = appendPublishFixed(dst, flags, len(topic), n)
	dst = append(dst, topic...)
	return appendID(dst, flags, id)
}

// AppendPublishFor is AppendPublishHead for the topic of a subject.
func AppendPublishFor(dst []byte, flags byte, subject []byte, id uint16, n int) []byte {
	dst = appendPublishFixed(dst, flags, TopicLen(subject), n)
	dst = AppendTopic(dst, subject)
	return appendID(dst, flags, id)
}

// PublishRoom is how many bytes a PUBLISH has at most besides topic and payload.
const PublishRoom = 5 + 2 + 2

func appendPublishFixed(dst []byte, flags byte, topic, n int) []byte {
	size := 2 + topic + n
	if QoS(flags) > 0 {
		size += 2
	}
	dst = AppendLength(append(dst, byte(PUBLISH)|flags), size)
	return append(dst, byte(topic>>8), byte(topic))
}

func appendID(dst []byte, flags byte, id uint16) []byte {
	if QoS(flags) > 0 {
		dst = append(dst, byte(id>>8), byte(id))
	}
	return dst
}

// AppendAck appends PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK for id.
func AppendAck(dst []byte, t Type, id uint16) []byte {
	first := byte(t)
	if t == PUBREL {
		first |= 2
	}
	return append(dst, first, 2, byte(id>>8), byte(id))
}

// AppendConnAck appends CONNACK.
func AppendConnAck(dst []byte, code byte, present bool) []byte {
	sp := byte(0)
	if present && code == Accepted {
		sp = 1
	}
	return append(dst, byte(CONNACK), 2, sp, code)
}

// AppendSubAck appends SUBACK with one return code for each filter.
func AppendSubAck(dst []byte, id uint16, codes []byte) []byte {
	dst = AppendLength(append(dst, byte(SUBACK)), 2+len(codes))
	return append(append(dst, byte(id>>8), byte(id)), codes...)
}

// AppendPingResp appends PINGRESP.
func AppendPingResp(dst []byte) []byte { return append(dst, byte(PINGRESP), 0) }
