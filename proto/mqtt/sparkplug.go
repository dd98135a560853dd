package mqtt

import (
	"bytes"
	"encoding/binary"
)

// SparkplugCertificates begins the topics under which birth messages stay available.
const SparkplugCertificates = "$sparkplug/certificates/"

const sparkplugNamespace = "spBv1.0/"

// Sparkplug says what a topic means in Sparkplug B: a birth or death certificate of a node or device, and
// whether it is the one kept under SparkplugCertificates.
type Sparkplug struct{ Birth, Death, Certificate bool }

// SparkplugTopic classifies topic.
func SparkplugTopic(topic []byte) (s Sparkplug) {
	// The first byte tells for nearly all topics.
	if len(topic) == 0 || topic[0] != '$' && topic[0] != 's' {
		return s
	}
	rest, cert := bytes.CutPrefix(topic, []byte(SparkplugCertificates))
	rest, ok := bytes.CutPrefix(rest, []byte(sparkplugNamespace))
	if !ok {
		return s
	}
	levels := bytes.Count(rest, []byte{'/'}) + 1
	if levels < 3 || levels > 4 {
		return s
	}
	_, rest, _ = bytes.Cut(rest, []byte{'/'})
	kind, _, _ := bytes.Cut(rest, []byte{'/'})
	switch string(kind) {
	case "NBIRTH", "DBIRTH":
		s.Birth = true
	case "NDEATH", "DDEATH":
		s.Death = true
	default:
		return s
	}
	s.Certificate = cert
	return s
}

// timestampKey is field 1 with wire type varint of the Sparkplug B payload: milliseconds since 1970.
const timestampKey = 1 << 3

// AppendDeathTime appends the payload of a death certificate with its timestamp replaced by millis, or
// added. What is no protobuf message is appended as it is.
func AppendDeathTime(dst, payload []byte, millis uint64) []byte {
	base := len(dst)
	for rest := payload; len(rest) > 0; {
		key, n := protoField(rest)
		if n == 0 {
			return append(dst[:base], payload...)
		}
		if key == timestampKey {
			dst = binary.AppendUvarint(append(dst, timestampKey), millis)
			return append(dst, rest[n:]...)
		}
		dst = append(dst, rest[:n]...)
		rest = rest[n:]
	}
	return binary.AppendUvarint(append(dst, timestampKey), millis)
}

// protoField returns key and length of the field at the start of b; n = 0: malformed.
func protoField(b []byte) (key uint64, n int) {
	key, k := binary.Uvarint(b)
	if k <= 0 || key>>3 == 0 || key>>3 > 1<<29-1 {
		return 0, 0
	}
	b = b[k:]
	switch key & 7 {
	case 0:
		_, v := binary.Uvarint(b)
		n = v
	case 1:
		n = 8
	case 2:
		size, v := binary.Uvarint(b)
		if v <= 0 || size > uint64(len(b)-v) {
			return 0, 0
		}
		n = v + int(size)
	case 5:
		n = 4
	}
	if n <= 0 || n > len(b) {
		return 0, 0
	}
	return key, k + n
}
