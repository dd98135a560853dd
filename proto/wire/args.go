package wire

// maxArgs is one more than any verb takes, messages between servers aside.
const maxArgs = 6

// args are the tokens of an argument; n counts up to maxArgs, which means too many.
type args struct {
	tok [maxArgs][]byte
	n   int
}

// split cuts arg at runs of SP and TAB.
func (a *args) split(arg []byte) { a.splitAt(arg, ' ') }

// splitAt cuts arg at runs of SP, TAB and also.
func (a *args) splitAt(arg []byte, also byte) {
	a.n = 0
	for i := 0; i < len(arg) && a.n < maxArgs; {
		if isBlank(arg[i]) || arg[i] == also {
			i++
			continue
		}
		start := i
		for i < len(arg) && !isBlank(arg[i]) && arg[i] != also {
			i++
		}
		a.tok[a.n] = arg[start:i:i]
		a.n++
	}
}

// maxSizeDigits is the length of the largest size, 999999999.
const maxSizeDigits = 9

// parseSize reads 1 to 9 decimal digits; anything else gives -1.
func parseSize(b []byte) int {
	if len(b) == 0 || len(b) > maxSizeDigits {
		return -1
	}
	n := 0
	for _, c := range b {
		c -= '0'
		if c > 9 {
			return -1
		}
		n = n*10 + int(c)
	}
	return n
}
