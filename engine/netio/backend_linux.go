package netio

import "fmt"

const defaultBackend = "epoll"

func newPoller(backend string, l *Loop) (poller, error) {
	switch backend {
	case "epoll":
		return newEpollPoller(l)
	case "gnet":
		return newGnetPoller(l)
	case "mem":
		return newMemPoller(l), nil
	}
	return nil, fmt.Errorf("unknown backend")
}
