//go:build invariants

package invariant

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
)

// Owner names the goroutine that may touch some state. The zero value has no owner yet.
type Owner struct{ id atomic.Int64 }

// Bind makes the calling goroutine the owner, whoever it was before.
func (o *Owner) Bind() { o.id.Store(goroutineID()) }

// Release gives the state up: the next AssertOwner binds it.
func (o *Owner) Release() { o.id.Store(0) }

// AssertOwner panics unless the calling goroutine is the owner; the first call binds.
func (o *Owner) AssertOwner() {
	id := goroutineID()
	if o.id.CompareAndSwap(0, id) {
		return
	}
	if owner := o.id.Load(); owner != id {
		panic(fmt.Sprintf("invariant: owned by goroutine %d, touched by goroutine %d", owner, id))
	}
}

// goroutineID reads the number out of the first line of a stack trace, "goroutine 7 [running]:", which
// is the only place where the runtime tells it.
func goroutineID() int64 {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	num, _, _ := bytes.Cut(line, []byte(" "))
	id, err := strconv.ParseInt(string(num), 10, 64)
	if err != nil {
		panic("invariant: stack trace without goroutine number: " + string(line))
	}
	return id
}
