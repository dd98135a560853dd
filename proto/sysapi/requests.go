package sysapi

import "time"

// Response is the answer to a request of the system account. Data is a pointer that may be nil: the field
// is then there with null.
type Response struct {
	Server ServerInfo `json:"server"`
	Data   any        `json:"data,omitempty"`
	Error  *Error     `json:"error,omitempty"`
}

// Error says why a request was not fulfilled: 400 the body, 500 anything else.
type Error struct {
	Account     string `json:"account,omitempty"` // of requests about the JWT of an account
	Code        int    `json:"code"`
	Description string `json:"description"`
}

// ClaimsStatus says that the JWT of an account was taken.
type ClaimsStatus struct {
	Account string `json:"account,omitempty"`
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// ServerID is the answer of IDZ, without an envelope.
type ServerID struct {
	Name string `json:"name"`
	Host string `json:"host"`
	ID   string `json:"id"`
}

// Filter selects the servers that answer a request; every field that is set must fit.
type Filter struct {
	Name    string   `json:"server_name,omitempty"`
	Cluster string   `json:"cluster,omitempty"`
	Host    string   `json:"host,omitempty"`
	Exact   bool     `json:"exact_match,omitempty"` // name, cluster and host are whole, not parts
	Tags    []string `json:"tags,omitempty"`        // all of them
	Domain  string   `json:"domain,omitempty"`
}

// ConnState selects open or closed connections.
type ConnState int

// The states; the numbers are those of JSON bodies.
const (
	ConnOpen ConnState = iota
	ConnClosed
	ConnAll
)

// ConnzOptions are the options of CONNZ.
type ConnzOptions struct {
	Sort                string    `json:"sort"`
	Username            bool      `json:"auth"`
	Subscriptions       bool      `json:"subscriptions"`
	SubscriptionsDetail bool      `json:"subscriptions_detail"`
	Offset              int       `json:"offset"`
	Limit               int       `json:"limit"`
	CID                 uint64    `json:"cid"`
	MQTTClient          string    `json:"mqtt_client"`
	State               ConnState `json:"state"`
	User                string    `json:"user"`
	Account             string    `json:"acc"`
	FilterSubject       string    `json:"filter_subject"`
}

// RoutezOptions are the options of ROUTEZ.
type RoutezOptions struct {
	Subscriptions       bool `json:"subscriptions"`
	SubscriptionsDetail bool `json:"subscriptions_detail"`
}

// SubszOptions are the options of SUBSZ.
type SubszOptions struct {
	Offset        int    `json:"offset"`
	Limit         int    `json:"limit"`
	Subscriptions bool   `json:"subscriptions"`
	Account       string `json:"account,omitempty"`
	Test          string `json:"test,omitempty"`
}

// GatewayzOptions are the options of GATEWAYZ.
type GatewayzOptions struct {
	Name                string `json:"name"`
	Accounts            bool   `json:"accounts"`
	AccountName         string `json:"account_name"`
	Subscriptions       bool   `json:"subscriptions"`
	SubscriptionsDetail bool   `json:"subscriptions_detail"`
}

// LeafzOptions are the options of LEAFZ.
type LeafzOptions struct {
	Subscriptions bool   `json:"subscriptions"`
	Account       string `json:"account"`
}

// AccountzOptions are the options of ACCOUNTZ.
type AccountzOptions struct {
	Account string `json:"account"`
}

// AccountStatzOptions are the options of the account statistics.
type AccountStatzOptions struct {
	Accounts      []string `json:"accounts"` // empty = all
	IncludeUnused bool     `json:"include_unused"`
}

// JSzOptions are the options of JSZ.
type JSzOptions struct {
	Account          string `json:"account,omitempty"`
	Accounts         bool   `json:"accounts,omitempty"`
	Streams          bool   `json:"streams,omitempty"`
	Consumer         bool   `json:"consumer,omitempty"`
	DirectConsumer   bool   `json:"direct_consumer,omitempty"`
	Config           bool   `json:"config,omitempty"`
	LeaderOnly       bool   `json:"leader_only,omitempty"`
	Offset           int    `json:"offset,omitempty"`
	Limit            int    `json:"limit,omitempty"`
	RaftGroups       bool   `json:"raft,omitempty"`
	StreamLeaderOnly bool   `json:"stream_leader_only,omitempty"`
}

// HealthzOptions are the options of HEALTHZ.
type HealthzOptions struct {
	JSEnabled     bool   `json:"js-enabled,omitempty"`
	JSEnabledOnly bool   `json:"js-enabled-only,omitempty"`
	JSServerOnly  bool   `json:"js-server-only,omitempty"`
	JSMetaOnly    bool   `json:"js-meta-only,omitempty"`
	Account       string `json:"account,omitempty"`
	Stream        string `json:"stream,omitempty"`
	Consumer      string `json:"consumer,omitempty"`
	Details       bool   `json:"details,omitempty"`
}

// ProfilezOptions are the options of PROFILEZ.
type ProfilezOptions struct {
	Name     string        `json:"name"`
	Debug    int           `json:"debug"`
	Duration time.Duration `json:"duration,omitempty"`
}

// Profilez is the answer of PROFILEZ.
type Profilez struct {
	Profile []byte `json:"profile"`
	Error   string `json:"error"`
}

// Expvarz is the answer of EXPVARZ.
type Expvarz struct {
	Memstats RawJSON `json:"memstats"`
	Cmdline  RawJSON `json:"cmdline"`
}

// RawJSON is JSON that is already encoded.
type RawJSON string

// MarshalJSON implements json.Marshaler.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if r == "" {
		return []byte("null"), nil
	}
	return []byte(r), nil
}

// IPQueueszOptions are the options of IPQUEUESZ.
type IPQueueszOptions struct {
	All    bool   `json:"all"`
	Filter string `json:"filter"`
}

// IPQueue is one internal queue of IPQUEUESZ.
type IPQueue struct {
	Pending    int `json:"pending"`
	InProgress int `json:"in_progress,omitempty"`
}

// RaftzOptions are the options of RAFTZ.
type RaftzOptions struct {
	Account string `json:"account"`
	Group   string `json:"group"`
}

// ConnRequest names a connection, for KICK and LDM.
type ConnRequest struct {
	CID uint64 `json:"cid"`
}

// NumSubsRequest asks for the number of subscriptions to a subject.
type NumSubsRequest struct {
	Account string `json:"acc"`
	Subject string `json:"subject"`
	Queue   []byte `json:"queue,omitempty"`
}

// AccountRequest names an account.
type AccountRequest struct {
	Account string `json:"acc"`
}

// UserInfo is the answer to $SYS.REQ.USER.INFO.
type UserInfo struct {
	User        string        `json:"user"`
	Account     string        `json:"account"`
	AccountName string        `json:"account_name,omitempty"`
	UserName    string        `json:"user_name,omitempty"`
	Permissions *Permissions  `json:"permissions,omitempty"`
	Expires     time.Duration `json:"expires,omitempty"`
}

// Permissions of a user.
type Permissions struct {
	Publish   *SubjectPermission  `json:"publish,omitempty"`
	Subscribe *SubjectPermission  `json:"subscribe,omitempty"`
	Responses *ResponsePermission `json:"responses,omitempty"`
}

// SubjectPermission lists what is allowed and what is not.
type SubjectPermission struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// ResponsePermission says how often, and how long, a reply subject may be published to.
type ResponsePermission struct {
	MaxMsgs int           `json:"max"`
	Expires time.Duration `json:"ttl"`
}
