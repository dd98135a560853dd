package server

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
)

const programName = "ramjet"

// writePidFile writes the decimal process id, without newline. The file stays after the end.
func writePidFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return fmt.Errorf("Could not write pidfile: %w", err) //lint:ignore ST1005 the text of nats-server
	}
	return nil
}

// Ports is the content of the ports file: the URLs of each bound listener.
type Ports struct {
	Nats       []string `json:"nats,omitempty"`
	Monitoring []string `json:"monitoring,omitempty"`
	Cluster    []string `json:"cluster,omitempty"`
	Profile    []string `json:"profile,omitempty"`
	Websocket  []string `json:"websocket,omitempty"`
	Leafnodes  []string `json:"leafnodes,omitempty"`
}

// portsPath is the name of the ports file in dir: executable name and process id.
func portsPath(dir string) string {
	return filepath.Join(dir, filepath.Base(os.Args[0])+"_"+strconv.Itoa(os.Getpid())+".ports")
}

func writePortsFile(dir string, p *Ports) error {
	if dir == "" {
		return nil
	}
	path := portsPath(dir)
	b, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		return fmt.Errorf("Error writing ports file (%s): %w", path, err) //lint:ignore ST1005 the text of nats-server
	}
	return nil
}

func removePortsFile(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.Remove(portsPath(dir)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// listenURLs returns scheme://host:port for every address the listener at hostport answers on.
func listenURLs(scheme, hostport string, loopback bool) []string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	var urls []string
	for _, h := range expandHost(host, loopback) {
		urls = append(urls, scheme+"://"+net.JoinHostPort(h, port))
	}
	return urls
}

// expandHost returns host, or the addresses of all interfaces when it is the unspecified address.
func expandHost(host string, loopback bool) []string {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsUnspecified() {
		return []string{host}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return []string{host}
	}
	var hosts []string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		addr := p.Addr()
		if ip.Is4() && host != "0.0.0.0" && !addr.Is4() {
			continue
		}
		if addr.IsLoopback() && !loopback {
			continue
		}
		hosts = append(hosts, addr.WithZone("").String())
	}
	return hosts
}
