package wire

// payload checks the announced size and the bytes that follow the control line, which ended at start.
// n is the length of the whole operation, 0 while bytes are missing; need is then the total.
func payload(buf []byte, start, size int, lim *Limits) (n, need int, err *Error) {
	if lim.MaxPayload >= 0 && size > lim.MaxPayload {
		return 0, 0, errMaxPayload
	}
	end := start + size
	if len(buf) > end && buf[end] != '\r' || len(buf) > end+1 && buf[end+1] != '\n' {
		return 0, 0, errPayloadEnd
	}
	if len(buf) < end+2 {
		return 0, end + 2, nil
	}
	return end + 2, 0, nil
}
