//go:build !linux

package netio

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// gnetRearm asks for events that are already pending: adding a filter again evaluates it again.
func gnetRearm(p *netpoll.Poller, a *netpoll.PollAttachment) error { return p.AddReadWrite(a, true) }

// gnetEnd reports that the peer has shut down its direction.
func gnetEnd(e netpoll.IOEvent, flags netpoll.IOFlags) bool {
	return e == unix.EVFILT_READ && flags&unix.EV_EOF != 0
}
