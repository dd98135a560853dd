package wire

import "encoding/json"

// LeafInfo is the INFO JSON of leafnode connections, in the order of emission (reference/interserver.md,
// section 3.2).
type LeafInfo struct {
	ServerID        string           `json:"server_id"`
	ServerName      string           `json:"server_name"`
	Version         string           `json:"version"`
	Proto           int              `json:"proto"`
	GitCommit       string           `json:"git_commit,omitempty"`
	Go              string           `json:"go"`
	Host            string           `json:"host"`
	Port            int              `json:"port"`
	Headers         bool             `json:"headers"`
	AuthRequired    bool             `json:"auth_required,omitempty"`
	TLSRequired     bool             `json:"tls_required,omitempty"`
	TLSVerify       bool             `json:"tls_verify,omitempty"`
	MaxPayload      int32            `json:"max_payload"`
	JetStream       bool             `json:"jetstream,omitempty"`
	IP              string           `json:"ip,omitempty"`
	ClientID        uint64           `json:"client_id,omitempty"`
	Nonce           string           `json:"nonce,omitempty"`
	Cluster         string           `json:"cluster,omitempty"`
	Domain          string           `json:"domain,omitempty"`
	WSConnectURLs   []string         `json:"ws_connect_urls,omitempty"`
	Compression     string           `json:"compression,omitempty"`
	ConnectInfo     bool             `json:"connect_info,omitempty"`
	RemoteAccount   string           `json:"remote_account,omitempty"`
	IsSystemAccount bool             `json:"acc_is_sys,omitempty"`
	APILevel        int              `json:"api_lvl,omitempty"`
	Import          *SubjectPatterns `json:"import,omitempty"`
	Export          *SubjectPatterns `json:"export,omitempty"`
	InfoOnConnect   bool             `json:"info_on_connect,omitempty"`
	LeafURLs        []string         `json:"leafnode_urls,omitempty"`
}

// SubjectPatterns are what a server may send (export) or receive (import).
type SubjectPatterns struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// ParseLeafInfo decodes the JSON of an INFO line.
func ParseLeafInfo(arg []byte) (LeafInfo, error) {
	var in LeafInfo
	err := json.Unmarshal(arg, &in)
	return in, err
}

// AppendLeafInfo appends "INFO {json} \r\n".
func AppendLeafInfo(dst []byte, in *LeafInfo) []byte {
	dst = appendJSONLine(dst, "INFO ", in)
	return append(dst[:len(dst)-2], " \r\n"...)
}

// LeafConnect is the CONNECT JSON of leafnode connections. Lang is sent by clients, Gateway by gateways.
type LeafConnect struct {
	Version       string   `json:"version,omitempty"`
	Nkey          string   `json:"nkey,omitempty"`
	JWT           string   `json:"jwt,omitempty"`
	Sig           string   `json:"sig,omitempty"`
	User          string   `json:"user,omitempty"`
	Pass          string   `json:"pass,omitempty"`
	Token         string   `json:"auth_token,omitempty"`
	ServerID      string   `json:"server_id,omitempty"`
	Domain        string   `json:"domain,omitempty"`
	Name          string   `json:"name,omitempty"`
	Hub           bool     `json:"is_hub,omitempty"`
	Cluster       string   `json:"cluster,omitempty"`
	Headers       bool     `json:"headers,omitempty"`
	JetStream     bool     `json:"jetstream,omitempty"`
	DenyPub       []string `json:"deny_pub,omitempty"`
	Isolate       bool     `json:"isolate,omitempty"`
	Compression   string   `json:"compress_mode,omitempty"`
	Gateway       string   `json:"gateway,omitempty"`
	RemoteAccount string   `json:"remote_account,omitempty"`
	Protocol      int      `json:"protocol,omitempty"`
	ProxySig      string   `json:"proxy_sig,omitempty"`
	Lang          string   `json:"lang,omitempty"`
}

// ParseLeafConnect decodes the JSON of a CONNECT line.
func ParseLeafConnect(arg []byte) (LeafConnect, error) {
	var c LeafConnect
	err := json.Unmarshal(arg, &c)
	return c, err
}

// AppendLeafConnect appends "CONNECT {json}\r\n".
func AppendLeafConnect(dst []byte, c *LeafConnect) []byte { return appendJSONLine(dst, "CONNECT ", c) }
