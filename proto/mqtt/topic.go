package mqtt

import (
	"errors"
	"fmt"
	"strings"
)

var errCharacter = errors.New("character not supported for MQTT topics")

// AppendSubject appends the subject of a topic, or of a topic filter if filter is set, in which wildcards
// are allowed (reference/websocket_mqtt.md, B2). On an error what is appended means nothing.
func AppendSubject(dst, topic []byte, filter bool) ([]byte, error) {
	base := len(dst)
	for i, c := range topic {
		switch c {
		case '/':
			switch {
			case i == 0 || dst[len(dst)-1] == '.':
				dst = append(dst, '/', '.')
			case i == len(topic)-1 || topic[i+1] == '/':
				dst = append(dst, '.', '/')
			default:
				dst = append(dst, '.')
			}
		case '.':
			dst = append(dst, '/', '/')
		case ' ', '\t', '\n', '\r', '\f', 0x7F:
			return dst, errCharacter
		case '+', '#':
			if !filter {
				return dst, fmt.Errorf("wildcards not allowed in publish's topic: %q", topic)
			}
			if c == '+' {
				dst = append(dst, '*')
			} else {
				dst = append(dst, '>')
			}
		default:
			dst = append(dst, c)
		}
	}
	if n := len(dst); n > base && dst[n-1] == '.' {
		dst = append(dst, '/')
	}
	return dst, nil
}

// AppendTopic appends the topic of a subject: the reverse of AppendSubject.
func AppendTopic(dst, subject []byte) []byte {
	for i := 0; i < len(subject); i++ {
		switch c := subject[i]; c {
		case '/':
			// `/.` is a slash, `//` a dot; alone it only kept a token from being empty.
			if i+1 == len(subject) {
				break
			}
			switch subject[i+1] {
			case '.':
				dst = append(dst, '/')
				i++
			case '/':
				dst = append(dst, '.')
				i++
			}
		case '.':
			dst = append(dst, '/')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// TopicLen is how many bytes AppendTopic appends for subject.
func TopicLen(subject []byte) int {
	n := len(subject)
	for i := 0; i < len(subject); i++ {
		if subject[i] != '/' {
			continue
		}
		n--
		if i+1 < len(subject) && (subject[i+1] == '.' || subject[i+1] == '/') {
			i++
		}
	}
	return n
}

// ParentLevel returns the subject one level up when filter ends with a multi-level wildcard below another
// level: `x/#` matches `x` too, which `x.>` does not.
func ParentLevel(filter string) (parent string, ok bool) {
	if len(filter) < 3 || !strings.HasSuffix(filter, ".>") {
		return "", false
	}
	return filter[:len(filter)-2], true
}

// BeginsWithWildcard reports a filter, as a subject, that topics beginning with `$` do not match.
func BeginsWithWildcard(filter string) bool {
	return filter == ">" || filter == "*" || strings.HasPrefix(filter, "*.")
}
