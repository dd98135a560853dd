package wire

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Info is the INFO JSON in the order of emission (reference/protocol.md, section 4).
type Info struct {
	ServerID        string   `json:"server_id"`
	ServerName      string   `json:"server_name"`
	Version         string   `json:"version"`
	Proto           int      `json:"proto"`
	GitCommit       string   `json:"git_commit,omitempty"`
	Go              string   `json:"go"`
	Host            string   `json:"host"`
	Port            int      `json:"port"`
	Headers         bool     `json:"headers"`
	AuthRequired    bool     `json:"auth_required,omitempty"`
	TLSRequired     bool     `json:"tls_required,omitempty"`
	TLSVerify       bool     `json:"tls_verify,omitempty"`
	TLSAvailable    bool     `json:"tls_available,omitempty"`
	MaxPayload      int32    `json:"max_payload"`
	JetStream       bool     `json:"jetstream,omitempty"`
	IP              string   `json:"ip,omitempty"`
	ClientID        uint64   `json:"client_id,omitempty"`
	ClientIP        string   `json:"client_ip,omitempty"`
	Nonce           string   `json:"nonce,omitempty"`
	Cluster         string   `json:"cluster,omitempty"`
	ClusterDynamic  bool     `json:"cluster_dynamic,omitempty"`
	Domain          string   `json:"domain,omitempty"`
	ConnectURLs     []string `json:"connect_urls,omitempty"`
	WSConnectURLs   []string `json:"ws_connect_urls,omitempty"`
	LameDuck        bool     `json:"ldm,omitempty"`
	ConnectInfo     bool     `json:"connect_info,omitempty"`
	RemoteAccount   string   `json:"remote_account,omitempty"`
	IsSystemAccount bool     `json:"acc_is_sys,omitempty"`
	APILevel        int      `json:"api_lvl,omitempty"`
	XKey            string   `json:"xkey,omitempty"`
}

// ParseInfo decodes the JSON of an INFO line.
func ParseInfo(arg []byte) (Info, error) {
	var in Info
	err := json.Unmarshal(arg, &in)
	return in, err
}

// AppendInfo appends "INFO {json} \r\n", byte for byte what nats-server sends for the same values.
func AppendInfo(dst []byte, in *Info) []byte {
	dst = append(dst, "INFO {"...)
	o := object{dst: dst, first: true}
	o.str("server_id", in.ServerID)
	o.str("server_name", in.ServerName)
	o.str("version", in.Version)
	o.num("proto", int64(in.Proto))
	o.optStr("git_commit", in.GitCommit)
	o.str("go", in.Go)
	o.str("host", in.Host)
	o.num("port", int64(in.Port))
	o.flag("headers", in.Headers)
	o.optFlag("auth_required", in.AuthRequired)
	o.optFlag("tls_required", in.TLSRequired)
	o.optFlag("tls_verify", in.TLSVerify)
	o.optFlag("tls_available", in.TLSAvailable)
	o.num("max_payload", int64(in.MaxPayload))
	o.optFlag("jetstream", in.JetStream)
	o.optStr("ip", in.IP)
	if in.ClientID != 0 {
		o.key("client_id")
		o.dst = strconv.AppendUint(o.dst, in.ClientID, 10)
	}
	o.optStr("client_ip", in.ClientIP)
	o.optStr("nonce", in.Nonce)
	o.optStr("cluster", in.Cluster)
	o.optFlag("cluster_dynamic", in.ClusterDynamic)
	o.optStr("domain", in.Domain)
	o.optList("connect_urls", in.ConnectURLs)
	o.optList("ws_connect_urls", in.WSConnectURLs)
	o.optFlag("ldm", in.LameDuck)
	o.optFlag("connect_info", in.ConnectInfo)
	o.optStr("remote_account", in.RemoteAccount)
	o.optFlag("acc_is_sys", in.IsSystemAccount)
	if in.APILevel != 0 {
		o.num("api_lvl", int64(in.APILevel))
	}
	o.optStr("xkey", in.XKey)
	return append(o.dst, "} \r\n"...)
}

// object writes the members of a JSON object.
type object struct {
	dst   []byte
	first bool
}

func (o *object) key(name string) {
	if !o.first {
		o.dst = append(o.dst, ',')
	}
	o.first = false
	o.dst = append(o.dst, '"')
	o.dst = append(o.dst, name...)
	o.dst = append(o.dst, '"', ':')
}

func (o *object) str(name, v string) {
	o.key(name)
	o.dst = appendJSONString(o.dst, v)
}

func (o *object) num(name string, v int64) {
	o.key(name)
	o.dst = strconv.AppendInt(o.dst, v, 10)
}

func (o *object) flag(name string, v bool) {
	o.key(name)
	o.dst = strconv.AppendBool(o.dst, v)
}

func (o *object) optStr(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

func (o *object) optFlag(name string, v bool) {
	if v {
		o.flag(name, v)
	}
}

func (o *object) optList(name string, list []string) {
	if len(list) == 0 {
		return
	}
	o.key(name)
	sep := byte('[')
	for _, s := range list {
		o.dst = append(o.dst, sep)
		o.dst = appendJSONString(o.dst, s)
		sep = ','
	}
	o.dst = append(o.dst, ']')
}

const hexDigits = "0123456789abcdef"

// appendJSONString quotes s as encoding/json does: HTML characters, line separators and control
// characters escaped, invalid UTF-8 replaced.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			dst = appendJSONByte(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[r&15])
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

func appendJSONByte(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c < ' ' || c == '<' || c == '>' || c == '&' {
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, c)
}
