package wire

import (
	"encoding/binary"
	"math/bits"
)

// fastPub decodes the common form of a publish: single spaces, CRLF, everything there, nothing wrong.
// 0 means that the general path has to look at it.
//
// It scans by hand: one pass that ends at the first byte not above space, eight bytes at a time, beats
// searching for the line end and splitting afterwards.
func fastPub(buf []byte, lim *Limits, op *Op) int {
	i := tokenEnd(buf, 4)
	if i == 4 || i >= len(buf) || buf[i] != ' ' {
		return 0
	}
	subject := buf[4:i:i]
	i++
	size, j := scanSize(buf, i)
	var reply []byte
	if j >= len(buf) {
		return 0
	}
	if buf[j] != '\r' {
		j = tokenEnd(buf, j)
		if j == i || j >= len(buf) || buf[j] != ' ' {
			return 0
		}
		reply = buf[i:j:j]
		i = j + 1
		size, j = scanSize(buf, i)
	}
	digits := j - i
	if digits == 0 || digits > maxSizeDigits || j+2 > len(buf) || buf[j] != '\r' || buf[j+1] != '\n' {
		return 0
	}
	start := j + 2
	end := start + size
	if j-4 > lim.maxLine() || lim.MaxPayload >= 0 && size > lim.MaxPayload ||
		end+2 > len(buf) || buf[end] != '\r' || buf[end+1] != '\n' {
		return 0
	}
	op.Kind = OpPub
	op.Subject = subject
	op.Reply = reply
	op.Header = nil
	op.Payload = buf[start:end:end]
	op.Line = buf[:j:j]
	return end + 2
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// tokenEnd returns the index of the first byte at or after i that is not above space, or len(buf).
func tokenEnd(buf []byte, i int) int {
	for i+8 <= len(buf) {
		x := binary.LittleEndian.Uint64(buf[i:])
		// The top bit of each byte below 0x21; a borrow can only spoil bytes after the first such.
		if m := (x - ones*(' '+1)) &^ x & tops; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(buf) && buf[i] > ' ' {
		i++
	}
	return i
}

// scanSize reads digits from i on; j is the first byte that is none. The value is right for up to 18
// digits, callers accept 9.
func scanSize(buf []byte, i int) (size, j int) {
	for j = i; j < len(buf); j++ {
		c := buf[j] - '0'
		if c > 9 || j-i > maxSizeDigits {
			break
		}
		size = size*10 + int(c)
	}
	return size, j
}

// parsePub reads "<subject> [reply] <size>" and the payload.
func parsePub(buf, arg []byte, next int, lim *Limits, op *Op) (n, need int, err *Error) {
	var a args
	a.split(arg)
	if a.n != 2 && a.n != 3 {
		return 0, 0, errPubArgs
	}
	size := parseSize(a.tok[a.n-1])
	if size < 0 {
		return 0, 0, errPubSize
	}
	n, need, err = payload(buf, next, size, lim)
	if n == 0 {
		if err == errMaxPayload {
			tooLarge(op, a.tok[0], nil, size)
		}
		return 0, need, err
	}
	op.Kind = OpPub
	op.Subject, op.Reply = a.tok[0], nil
	if a.n == 3 {
		op.Reply = a.tok[1]
	}
	op.Header = nil
	op.Payload = buf[next : next+size : next+size]
	return n, 0, nil
}

// parseHpub reads "<subject> [reply] <header size> <total size>", the header and the payload.
func parseHpub(buf, arg []byte, next int, lim *Limits, op *Op) (n, need int, err *Error) {
	if !lim.Headers {
		return 0, 0, errHpubOff
	}
	var a args
	a.split(arg)
	if a.n != 3 && a.n != 4 {
		return 0, 0, errHpubArgs
	}
	hdr, size := parseSize(a.tok[a.n-2]), parseSize(a.tok[a.n-1])
	if size < 0 {
		return 0, 0, errHpubSize
	}
	if hdr < 0 || hdr > size {
		return 0, 0, errHpubHead
	}
	n, need, err = payload(buf, next, size, lim)
	if n == 0 {
		if err == errMaxPayload {
			tooLarge(op, a.tok[0], buf[next:min(len(buf), next+hdr)], size)
		}
		return 0, need, err
	}
	op.Kind = OpPub
	op.Subject, op.Reply = a.tok[0], nil
	if a.n == 4 {
		op.Reply = a.tok[1]
	}
	mid, end := next+hdr, next+size
	op.Header = buf[next:mid:mid]
	op.Payload = buf[mid:end:end]
	return n, 0, nil
}

// parseSub reads "<subject> [queue] <sid>". Here and in UNSUB a CR is a blank like any other, though not in PUB: so
// does nats-server.
func parseSub(arg []byte, op *Op) *Error {
	var a args
	a.splitAt(arg, '\r')
	switch a.n {
	case 2:
		op.Queue = nil
	case 3:
		op.Queue = a.tok[1]
	default:
		return errSubArgs
	}
	op.Kind = OpSub
	op.Subject, op.SID = a.tok[0], a.tok[a.n-1]
	return nil
}

// parseUnsub reads "<sid> [max]". A max that is no number counts as none, like nats-server's.
func parseUnsub(arg []byte, op *Op) *Error {
	var a args
	a.splitAt(arg, '\r')
	if a.n != 1 && a.n != 2 {
		return errUnsubArgs
	}
	op.Kind = OpUnsub
	op.SID, op.Max = a.tok[0], 0
	if a.n == 2 {
		op.Max = int64(max(parseSize(a.tok[1]), 0))
	}
	return nil
}
