package jsapi

import (
	"errors"
	"testing"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		got  *Error
		want string
	}{
		{StreamNotFound.Err(), `{"code":404,"err_code":10059,"description":"stream not found"}`},
		{StreamWrongLastSequence.With("seq", 17), `{"code":400,"err_code":10071,"description":"wrong last sequence: 17"}`},
		{StreamInvalidConfig.Wrap(errors.New("maximum replicas is 5")), `{"code":500,"err_code":10052,"description":"maximum replicas is 5"}`},
		{StreamInvalidConfig.Wrap(StreamNotFound.Err()), `{"code":404,"err_code":10059,"description":"stream not found"}`},
	} {
		if got := string(AppendError(nil, c.got)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	n := 0
	for i := range errorTable {
		if c := ErrCode(i + firstErrCode); c.Status() != 0 {
			n++
			if c.Err().Description == "" {
				t.Errorf("%d has no text", c)
			}
		}
	}
	if n != 227 {
		t.Errorf("%d API errors, want 227", n)
	}
	if !StreamNotFound.Is(StreamNotFound.Err()) || StreamNotFound.Is(errors.New("x")) || ErrCode(9).Status() != 0 {
		t.Error("Is or Status")
	}
}
