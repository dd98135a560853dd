package header

import "bytes"

// AppendField appends the line "key: value\r\n". The value must not contain CR or LF.
func AppendField(dst []byte, key string, value []byte) []byte {
	dst = append(dst, key...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, crlf...)
}

// AppendAdd appends block with one more field at its end. An empty block becomes a new one.
func AppendAdd(dst, block []byte, key string, value []byte) []byte {
	dst = append(dst, body(block)...)
	return append(AppendField(dst, key, value), crlf...)
}

// AppendSet appends block with exactly one field named key: the first one gets the value where it
// stands, others of the name are dropped; if there is none it is added at the end.
func AppendSet(dst, block []byte, key string, value []byte) []byte {
	block = body(block)
	f, ok := find(block, key, 0)
	if !ok {
		dst = append(dst, block...)
		return append(AppendField(dst, key, value), crlf...)
	}
	dst = append(dst, block[:f.start]...)
	dst = AppendField(dst, key, value)
	return append(appendWithout(dst, block, f.end, key), crlf...)
}

// AppendDelete appends block without the fields named key. If no field is left nothing is appended:
// the message has no header any more.
func AppendDelete(dst, block []byte, key string) []byte {
	if !Has(block, key) {
		return append(dst, block...)
	}
	block = body(block)
	start := len(dst)
	first := indexCRLF(block)
	dst = append(dst, block[:first+len(crlf)]...)
	dst = appendWithout(dst, block, first, key)
	if string(dst[start:]) == Version+crlf {
		return dst[:start]
	}
	return append(dst, crlf...)
}

// appendWithout appends the lines of block after the CRLF at from, without the fields named key. block
// ends with the CRLF of its last line.
func appendWithout(dst, block []byte, from int, key string) []byte {
	for {
		f, ok := find(block, key, from)
		if !ok {
			return append(dst, block[from+len(crlf):]...)
		}
		dst = append(dst, block[from+len(crlf):f.start]...)
		from = f.end
	}
}

var emptyBody = []byte(Version + crlf) // never written

// body returns block up to and including the CRLF of its last field, which is where a field can be
// added. A block without the final empty line, or no block at all, is completed.
func body(block []byte) []byte {
	switch {
	case len(block) == 0:
		return emptyBody
	case bytes.HasSuffix(block, []byte(crlf+crlf)):
		return block[:len(block)-len(crlf)]
	case bytes.HasSuffix(block, []byte(crlf)):
		return block
	}
	return append(block[:len(block):len(block)], crlf...)
}
