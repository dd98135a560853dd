package wire

// tooLarge fills op for ErrMaxPayload.
func tooLarge(op *Op, subject, hdr []byte, size int) {
	op.Kind, op.Subject, op.Reply, op.Header, op.Payload, op.Max = OpPub, subject, nil, hdr, nil, int64(size)
}

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
