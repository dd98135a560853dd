package wire

import "encoding/json"

// GatewayInfo is the INFO JSON of gateways, in the order of emission (reference/interserver.md, section 2), also as routes
// carry it to tell of other clusters.
type GatewayInfo struct {
	ServerID     string     `json:"server_id"`
	ServerName   string     `json:"server_name"`
	Version      string     `json:"version"`
	Proto        int        `json:"proto"`
	Go           string     `json:"go"`
	Host         string     `json:"host"`
	Port         int        `json:"port"`
	Headers      bool       `json:"headers"`
	AuthRequired bool       `json:"auth_required,omitempty"`
	TLSRequired  bool       `json:"tls_required,omitempty"`
	TLSVerify    bool       `json:"tls_verify,omitempty"`
	MaxPayload   int32      `json:"max_payload"`
	Gateway      string     `json:"gateway,omitempty"`
	URLs         []string   `json:"gateway_urls,omitempty"`
	URL          string     `json:"gateway_url,omitempty"`
	Cmd          GatewayCmd `json:"gateway_cmd,omitempty"`
	CmdPayload   []byte     `json:"gateway_cmd_payload,omitempty"` // an account name
	NRP          bool       `json:"gateway_nrp,omitempty"`         // knows the reply prefix _GR_
	IOM          bool       `json:"gateway_iom,omitempty"`         // tells all interest of every account
}

// GatewayCmd is what an INFO between gateways is about, 0 for the sender itself.
type GatewayCmd uint8

// The commands.
const (
	GatewayGossip   GatewayCmd = 1 + iota // another cluster: Gateway, URLs
	GatewayAllStart                       // all interest of the account CmdPayload follows
	GatewayAllDone                        // that was all of it
)

// ParseGatewayInfo decodes the JSON of an INFO line.
func ParseGatewayInfo(arg []byte) (GatewayInfo, error) {
	var in GatewayInfo
	err := json.Unmarshal(arg, &in)
	return in, err
}

// AppendGatewayInfo appends "INFO {json}\r\n".
func AppendGatewayInfo(dst []byte, in *GatewayInfo) []byte { return appendJSONLine(dst, "INFO ", in) }

// GatewayConnect is the CONNECT JSON of gateways. Lang is sent by clients, Cluster by routes.
type GatewayConnect struct {
	Echo        bool   `json:"echo"`
	Verbose     bool   `json:"verbose"`
	Pedantic    bool   `json:"pedantic"`
	User        string `json:"user,omitempty"`
	Pass        string `json:"pass,omitempty"`
	TLSRequired bool   `json:"tls_required"`
	Headers     bool   `json:"headers"`
	Name        string `json:"name"` // the server's id
	Cluster     string `json:"cluster"`
	Gateway     string `json:"gateway,omitempty"`
	Lang        string `json:"lang,omitempty"`
}

// ParseGatewayConnect decodes the JSON of a CONNECT line.
func ParseGatewayConnect(arg []byte) (GatewayConnect, error) {
	var c GatewayConnect
	err := json.Unmarshal(arg, &c)
	return c, err
}

// AppendGatewayConnect appends "CONNECT {json}\r\n".
func AppendGatewayConnect(dst []byte, c *GatewayConnect) []byte {
	return appendJSONLine(dst, "CONNECT ", c)
}

// appendJSONLine appends verb, v as JSON and a line end. v can always be encoded.
func appendJSONLine(dst []byte, verb string, v any) []byte {
	b, _ := json.Marshal(v)
	dst = append(append(dst, verb...), b...)
	return append(dst, '\r', '\n')
}
