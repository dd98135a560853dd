package netio

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// gnetRearm asks for events that are already pending.
func gnetRearm(p *netpoll.Poller, a *netpoll.PollAttachment) error { return p.ModReadWrite(a, true) }

// gnetEnd reports that the peer has shut down its direction.
func gnetEnd(e netpoll.IOEvent, _ netpoll.IOFlags) bool { return e&unix.EPOLLRDHUP != 0 }
