package subject

import (
	"math"
	"strconv"
	"strings"
)

// fn is a mapping function.
type fn uint8

const (
	fnLiteral fn = iota
	fnWildcard
	fnPartition
	fnSplitFromLeft
	fnSplitFromRight
	fnSliceFromLeft
	fnSliceFromRight
	fnLeft
	fnRight
	fnSplit
	fnRandom
	fnRest // the tokens that a trailing `>` stands for
)

// fnNames spells the functions with the letters upper case that may be either.
var fnNames = [...]string{
	fnWildcard: "Wildcard", fnPartition: "Partition", fnSplitFromLeft: "SplitFromLeft", fnSplitFromRight: "SplitFromRight",
	fnSliceFromLeft: "SliceFromLeft", fnSliceFromRight: "SliceFromRight", fnLeft: "Left", fnRight: "Right",
	fnSplit: "Split", fnRandom: "Random",
}

// placeholder is a destination token as written.
type placeholder struct {
	fn    fn
	wild  []int // numbers of wildcards of the source, from 1
	n     int32
	delim string
}

// parsePlaceholder reads one token of a destination.
func parsePlaceholder(tok string) (placeholder, error) {
	if len(tok) > 1 && tok[0] == '$' {
		// `$JS` and the like are ordinary tokens.
		if n, err := strconv.Atoi(tok[1:]); err == nil {
			return placeholder{fn: fnWildcard, wild: []int{n}}, nil
		}
		return placeholder{}, nil
	}
	if !isMustache(tok) {
		return placeholder{}, nil
	}
	fail := func(err error) (placeholder, error) { return placeholder{}, &MappingError{tok, err} }
	name, rest, ok := strings.Cut(strings.Trim(tok[2:len(tok)-2], mustacheSpace), "(")
	f := fnByName(strings.TrimRight(name, mustacheSpace))
	if !ok || f == fnLiteral || !strings.HasSuffix(rest, ")") {
		return fail(ErrUnknownFunc)
	}
	args := splitArgs(rest[:len(rest)-1])
	p := placeholder{fn: f}
	var err error
	switch f {
	case fnWildcard:
		err = p.parseWildcard(args)
	case fnPartition:
		err = p.parsePartition(args)
	case fnRandom:
		if err = ErrTooFewArgs; len(args) == 1 { // the peer's answer to too many as well
			p.n, err = intArg(args[0])
		}
	case fnSplit:
		if err = need2(args); err == nil {
			err = p.parseIndex(args[0])
		}
		if err == nil && strings.ContainsAny(args[1], " .") {
			err = ErrBadArg
		}
		if err == nil {
			p.delim = args[1]
		}
	default:
		if err = need2(args); err == nil {
			err = p.parseIndex(args[0])
		}
		if err == nil {
			p.n, err = int32Arg(args[1])
		}
	}
	if err != nil {
		return fail(err)
	}
	return p, nil
}

// mustacheSpace is what may stand around the name and the parentheses.
const mustacheSpace = " \t\n\f\r"

func isMustache(tok string) bool {
	return len(tok) > 4 && strings.HasPrefix(tok, "{{") && strings.HasSuffix(tok, "}}")
}

// fnByName finds a function by its name; the upper case letters of fnNames may be lower case.
func fnByName(name string) fn {
	for f, want := range fnNames {
		if want == "" || len(name) != len(want) {
			continue
		}
		same := true
		for i := range len(name) {
			upper := want[i] >= 'A' && want[i] <= 'Z'
			same = same && (name[i] == want[i] || upper && name[i] == want[i]+'a'-'A')
		}
		if same {
			return fn(f)
		}
	}
	return fnLiteral
}

// splitArgs splits at commas and drops the white space after them.
func splitArgs(s string) []string {
	args := strings.Split(s, ",")
	for i := range args[1:] {
		args[i+1] = strings.TrimLeft(args[i+1], mustacheSpace)
	}
	return args
}

func need2(args []string) error {
	switch {
	case len(args) < 2:
		return ErrTooFewArgs
	case len(args) > 2:
		return ErrTooManyArgs
	}
	return nil
}

func (p *placeholder) parseWildcard(args []string) error {
	switch {
	case len(args) > 1:
		return ErrTooManyArgs
	case args[0] == "":
		return ErrTooFewArgs
	}
	return p.parseIndex(args[0])
}

func (p *placeholder) parsePartition(args []string) (err error) {
	if p.n, err = intArg(args[0]); err != nil {
		return err
	}
	for _, a := range args[1:] {
		if err := p.parseIndex(a); err != nil {
			return err
		}
	}
	return nil
}

// parseIndex appends the number of a wildcard.
func (p *placeholder) parseIndex(a string) error {
	n, err := strconv.Atoi(strings.Trim(a, " "))
	if err != nil {
		return ErrBadArg
	}
	p.wild = append(p.wild, n)
	return nil
}

// intArg reads a number of which only the upper bound is checked, int32Arg one with both bounds: the
// peer treats the functions differently.
func intArg(a string) (int32, error) {
	n, err := strconv.Atoi(strings.Trim(a, " "))
	if err != nil || n > math.MaxInt32 {
		return 0, ErrBadArg
	}
	return int32(n), nil
}

func int32Arg(a string) (int32, error) {
	n, err := strconv.ParseInt(strings.Trim(a, " "), 10, 32)
	if err != nil {
		return 0, ErrBadArg
	}
	return int32(n), nil
}
