package server

import (
	"errors"
	"testing"
)

func TestControlOrderAndStop(t *testing.T) {
	c := newControl()
	var got []int
	for i := range 100 {
		c.post(func() { got = append(got, i) })
	}
	fail := errors.New("x")
	if err := c.call(func() error { return fail }); err != fail {
		t.Errorf("got %v", err)
	}
	for i, n := range got {
		if i != n {
			t.Fatalf("order %v", got)
		}
	}
	ran := false
	c.post(func() {
		c.post(func() { ran = true }) // from the goroutine itself
		c.stop()
	})
	<-c.done
	if !ran {
		t.Error("a task queued before the stop did not run")
	}
	if c.post(func() {}) {
		t.Error("accepted after stop")
	}
	if err := c.call(func() error { return nil }); !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
}
