package clock

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestManualOrder(t *testing.T) {
	m := NewManual(epoch)
	var log []string
	note := func(name string) func() {
		return func() { log = append(log, fmt.Sprintf("%s@%v", name, m.Now().Sub(epoch))) }
	}
	m.AfterFunc(3*time.Second, note("c"))
	m.AfterFunc(time.Second, note("a"))
	m.AfterFunc(time.Second, note("b"))
	m.AfterFunc(-time.Hour, note("past"))
	stopped := m.AfterFunc(2*time.Second, note("stopped"))
	m.AfterFunc(2*time.Second, func() {
		note("chain")()
		m.AfterFunc(500*time.Millisecond, note("chained"))
		m.AfterFunc(time.Hour, note("later"))
	})
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop must report true once")
	}
	if at, ok := m.Next(); !ok || !at.Equal(epoch) {
		t.Errorf("next %v %v", at, ok)
	}
	if len(log) != 0 {
		t.Error("ran without Advance")
	}
	m.Advance(0)
	m.Advance(time.Second - 1)
	if want := []string{"past@0s"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
	m.Advance(4 * time.Second)
	want := []string{"past@0s", "a@1s", "b@1s", "chain@2s", "chained@2.5s", "c@3s"}
	if !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
	if got := m.Now().Sub(epoch); got != 5*time.Second-1 {
		t.Errorf("now %v", got)
	}
	if m.Pending() != 1 {
		t.Errorf("%d timers pending, want 1", m.Pending())
	}
}

func TestManualStopFired(t *testing.T) {
	m := NewManual(epoch)
	var self Timer
	fired := 0
	self = m.AfterFunc(time.Second, func() {
		fired++
		if self.Stop() {
			t.Error("stopped a timer that is running")
		}
	})
	m.Advance(time.Minute)
	m.Advance(time.Minute)
	if _, ok := m.Next(); fired != 1 || self.Stop() || ok {
		t.Errorf("fired %d", fired)
	}
}

func TestManualPanic(t *testing.T) {
	m := NewManual(epoch)
	m.AfterFunc(0, func() { panic("x") })
	func() {
		defer func() {
			if v := recover(); v != "x" {
				t.Errorf("the caller of Advance sees %v", v)
			}
		}()
		m.Advance(1)
	}()
	if got := m.Now(); got.Before(epoch) { // must not deadlock
		t.Error(got)
	}
}

func TestSystem(t *testing.T) {
	c := System()
	before := c.Now()
	done := make(chan time.Time)
	c.AfterFunc(time.Millisecond, func() { done <- c.Now() })
	if after := <-done; after.Sub(before) < time.Millisecond {
		t.Errorf("fired after %v", after.Sub(before))
	}
	if timer := c.AfterFunc(time.Hour, func() {}); !timer.Stop() || timer.Stop() {
		t.Error("Stop must report true once")
	}
}
