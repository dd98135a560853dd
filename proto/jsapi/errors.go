package jsapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

//go:generate go run ramjet/cmd/genjserr -o errors_gen.go

// ErrCode is the err_code of an API error (reference/jetstream/errors.json).
type ErrCode uint16

type errorInfo struct {
	status int
	text   string
}

// Error is the error object of an API response.
type Error struct {
	Code        int     `json:"code"`
	ErrCode     ErrCode `json:"err_code,omitempty"`
	Description string  `json:"description,omitempty"`
}

// Error implements error with the text and the code, as nats-server logs it.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// Status returns the HTTP-like code of c; 0 if c is no API error.
func (c ErrCode) Status() int {
	if i := int(c) - firstErrCode; i >= 0 && i < len(errorTable) {
		return errorTable[i].status
	}
	return 0
}

// Err returns the error with its fixed text.
func (c ErrCode) Err() *Error { return c.With() }

// With returns the error with the placeholders of its text replaced: pairs is a list of placeholder
// names without braces and their values, as in WrongLastSequence.With("seq", 17).
func (c ErrCode) With(pairs ...any) *Error {
	i := int(c) - firstErrCode
	if i < 0 || i >= len(errorTable) || errorTable[i].status == 0 {
		panic(fmt.Sprintf("jsapi: %d is no API error", c))
	}
	text := errorTable[i].text
	for k := 0; k+1 < len(pairs); k += 2 {
		text = strings.ReplaceAll(text, "{"+pairs[k].(string)+"}", fmt.Sprint(pairs[k+1]))
	}
	return &Error{Code: errorTable[i].status, ErrCode: c, Description: text}
}

// Wrap returns the error with {err} replaced by the text of err; an *Error is returned as it is, so
// that the most specific code wins.
func (c ErrCode) Wrap(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return c.With("err", err.Error())
}

// Is reports whether err is the API error c.
func (c ErrCode) Is(err error) bool {
	e, ok := err.(*Error)
	return ok && e.ErrCode == c
}

// AppendError appends the JSON object of e.
func AppendError(dst []byte, e *Error) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // a struct of numbers and a string
	}
	return append(dst, b...)
}
