package wire

import "bytes"

// line is a control line within a buffer.
type line struct {
	end  int // end of the text, without CR and LF
	next int // first byte after LF; 0 while the LF has not arrived
}

// findLine looks for the LF at or after from. One CR before the LF does not belong to the text; a CR
// at the end of an incomplete line is not counted, since it may turn out to be that one.
func findLine(buf []byte, from int) line {
	l := line{end: len(buf)}
	if i := bytes.IndexByte(buf[from:], '\n'); i >= 0 {
		l.end = from + i
		l.next = l.end + 1
	}
	if l.end > from && buf[l.end-1] == '\r' {
		l.end--
	}
	return l
}

// skipBlank returns the index of the first byte at or after i that is neither SP nor TAB.
func skipBlank(buf []byte, i int) int {
	for i < len(buf) && isBlank(buf[i]) {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
