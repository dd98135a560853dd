package wire

import "encoding/json"

// RouteInfo is the INFO JSON of routes, in the order of emission (reference/interserver.md, section 1.1). The
// gateway fields are those of GatewayInfo that routes carry.
type RouteInfo struct {
	ServerID       string     `json:"server_id"`
	ServerName     string     `json:"server_name"`
	Version        string     `json:"version"`
	Proto          int        `json:"proto"`
	GitCommit      string     `json:"git_commit,omitempty"`
	Go             string     `json:"go"`
	Host           string     `json:"host"`
	Port           int        `json:"port"`
	Headers        bool       `json:"headers"`
	AuthRequired   bool       `json:"auth_required,omitempty"`
	TLSRequired    bool       `json:"tls_required,omitempty"`
	TLSVerify      bool       `json:"tls_verify,omitempty"`
	MaxPayload     int32      `json:"max_payload"`
	JetStream      bool       `json:"jetstream,omitempty"`
	IP             string     `json:"ip,omitempty"` // nats-route://host:port/
	Nonce          string     `json:"nonce,omitempty"`
	Cluster        string     `json:"cluster,omitempty"`
	ClusterDynamic bool       `json:"cluster_dynamic,omitempty"`
	Domain         string     `json:"domain,omitempty"`
	ConnectURLs    []string   `json:"connect_urls,omitempty"`
	WSConnectURLs  []string   `json:"ws_connect_urls,omitempty"`
	LameDuck       bool       `json:"ldm,omitempty"`
	Compression    string     `json:"compression,omitempty"`
	Import         *PermInfo  `json:"import,omitempty"`
	Export         *PermInfo  `json:"export,omitempty"`
	LNOC           bool       `json:"lnoc,omitempty"`  // knows LS+ and LMSG with the origin
	LNOCU          bool       `json:"lnocu,omitempty"` // LS- has the origin too
	LN             bool       `json:"ln,omitempty"`    // knows `_` as origin
	InfoOnConnect  bool       `json:"info_on_connect,omitempty"`
	PoolSize       int        `json:"route_pool_size,omitempty"`
	PoolIdx        int        `json:"route_pool_idx,omitempty"`
	Account        string     `json:"route_account,omitempty"`
	AccReqID       string     `json:"route_acc_add_reqid,omitempty"`
	GossipMode     byte       `json:"gossip_mode,omitempty"`
	Gateway        string     `json:"gateway,omitempty"`
	GatewayURLs    []string   `json:"gateway_urls,omitempty"`
	GatewayURL     string     `json:"gateway_url,omitempty"`
	GatewayCmd     GatewayCmd `json:"gateway_cmd,omitempty"`
	LeafURLs       []string   `json:"leafnode_urls,omitempty"`
	XKey           string     `json:"xkey,omitempty"`
}

// PermInfo is one side of the permissions of a cluster or leafnode in INFO.
type PermInfo struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Modes of gossip: what the receiver does with a server it has learned of.
const (
	GossipDefault  = iota
	GossipDisabled // not to be told further
	GossipOverride // to be told further although it was learned
)

// ParseRouteInfo decodes the JSON of an INFO line.
func ParseRouteInfo(arg []byte) (RouteInfo, error) {
	var in RouteInfo
	err := json.Unmarshal(arg, &in)
	return in, err
}

// AppendRouteInfo appends "INFO {json} \r\n".
func AppendRouteInfo(dst []byte, in *RouteInfo) []byte {
	dst = appendJSONLine(dst, "INFO ", in)
	return append(dst[:len(dst)-2], ' ', '\r', '\n')
}

// RouteConnect is the CONNECT JSON of routes. Lang is sent by clients, Gateway by gateways.
type RouteConnect struct {
	Echo           bool   `json:"echo"`
	Verbose        bool   `json:"verbose"`
	Pedantic       bool   `json:"pedantic"`
	User           string `json:"user,omitempty"`
	Pass           string `json:"pass,omitempty"`
	TLSRequired    bool   `json:"tls_required"`
	Headers        bool   `json:"headers"`
	Name           string `json:"name"` // the server's id
	Cluster        string `json:"cluster"`
	ClusterDynamic bool   `json:"cluster_dynamic,omitempty"`
	LNOC           bool   `json:"lnoc,omitempty"`
	LNOCU          bool   `json:"lnocu,omitempty"`
	LN             bool   `json:"ln,omitempty"`
	Gateway        string `json:"gateway,omitempty"`
	Lang           string `json:"lang,omitempty"`
}

// ParseRouteConnect decodes the JSON of a CONNECT line.
func ParseRouteConnect(arg []byte) (RouteConnect, error) {
	var c RouteConnect
	err := json.Unmarshal(arg, &c)
	return c, err
}

// AppendRouteConnect appends "CONNECT {json}\r\n".
func AppendRouteConnect(dst []byte, c *RouteConnect) []byte {
	return appendJSONLine(dst, "CONNECT ", c)
}
