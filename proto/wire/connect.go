package wire

import "encoding/json"

// Connect is the decoded CONNECT JSON, defaults applied (verbose, pedantic, echo true).
type Connect struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	TLSRequired  bool   `json:"tls_required"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
	Token        string `json:"auth_token"`
	User         string `json:"user"`
	Pass         string `json:"pass"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
	Sig          string `json:"sig"`
	JWT          string `json:"jwt"`
	Nkey         string `json:"nkey"`
	ProxySig     string `json:"proxy_sig"`
	Account      string `json:"account"`     // refused for clients
	NewAccount   bool   `json:"new_account"` // refused for clients
	Protocol     int    `json:"protocol"`
}

// DefaultConnect is what holds for a connection that has not sent CONNECT.
func DefaultConnect() Connect { return Connect{Verbose: true, Pedantic: true, Echo: true} }

// ParseConnect decodes arg over the defaults. Unknown fields are ignored, null leaves a default alone;
// an error means closing without -ERR. The result does not share memory with arg.
func ParseConnect(arg []byte) (Connect, error) {
	c := DefaultConnect()
	err := json.Unmarshal(arg, &c)
	return c, err
}
