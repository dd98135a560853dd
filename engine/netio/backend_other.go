//go:build !linux

package netio

import "fmt"

const defaultBackend = "gnet"

func newPoller(backend string, l *Loop) (poller, error) {
	switch backend {
	case "gnet":
		return newGnetPoller(l)
	case "mem":
		return newMemPoller(l), nil
	}
	return nil, fmt.Errorf("unknown backend on this platform")
}
