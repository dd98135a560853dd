package conf

import (
	"fmt"
	"strconv"
)

// Error is a text that cannot be read. Its message is the one NATS servers print; Pos says more.
type Error struct {
	Pos Pos
	Msg string // complete message
}

func (e *Error) Error() string { return e.Msg }

// syntax builds the error of a text that does not follow the grammar.
func syntax(pos Pos, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: "Parse error on line " + strconv.Itoa(pos.Line) + ": '" + fmt.Sprintf(format, args...) + "'"}
}

func failure(pos Pos, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}
