package subject

import (
	"errors"
	"fmt"
)

// What can be wrong with a mapping destination; the texts are those of reference/auth.md, section 4.1.
// All wrap ErrBadMapping; a *MappingError adds the offending token.
var (
	ErrBadSubject  = errors.New("invalid subject") // source or destination is not a subject, or `>` is in one only
	ErrBadMapping  = errors.New("invalid mapping destination")
	ErrBadToken    = fmt.Errorf("%w: invalid transform", ErrBadMapping)
	ErrUnused      = fmt.Errorf("%w: not using all of the token wildcard(s)", ErrBadMapping)
	ErrUnknownFunc = fmt.Errorf("%w: unknown function", ErrBadMapping)
	ErrOutOfRange  = fmt.Errorf("%w: wildcard index out of range", ErrBadMapping)
	ErrTooFewArgs  = fmt.Errorf("%w: not enough arguments passed to the function", ErrBadMapping)
	ErrBadArg      = fmt.Errorf("%w: function argument is invalid or in the wrong format", ErrBadMapping)
	ErrTooManyArgs = fmt.Errorf("%w: too many arguments passed to the function", ErrBadMapping)
	ErrNotInImport = fmt.Errorf("%w: the only mapping function allowed for import transforms is {{Wildcard()}}", ErrBadMapping)
)

// MappingError says which token of a mapping destination is wrong, and how.
type MappingError struct {
	Token string
	Err   error
}

func (e *MappingError) Error() string {
	if e.Token == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + " in " + e.Token
}

// Unwrap returns the kind of mistake.
func (e *MappingError) Unwrap() error { return e.Err }
