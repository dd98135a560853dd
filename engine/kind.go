package engine

// Kind says what sort of peer a connection serves. The numbers are those of message trace
// events (reference/monitoring.md, section 6) and of connection kinds in events.
type Kind uint8

// The kinds of connection.
const (
	Client    Kind = iota // NATS client (also over WebSocket and MQTT)
	Router                // route to a server of the same cluster
	Gateway               // connection between clusters
	System                // the server itself, system account
	Leaf                  // leafnode connection
	JetStream             // the server itself, JetStream
	Account               // the server itself, account service imports
	Import                // no peer: a subscription that takes messages to another account
	NumKinds
)

var kindNames = [NumKinds]string{"Client", "Router", "Gateway", "System", "Leafnode", "JetStream", "Account", "Import"}

// String returns the name used in monitoring ("Client", "Leafnode", ...).
func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "Unknown"
}

// ConnType is the transport and protocol of a client or leafnode connection, as named in
// allowed_connection_types (reference/auth.md, section 1).
type ConnType uint8

// The connection types.
const (
	Standard ConnType = iota
	Websocket
	Leafnode
	LeafnodeWS
	MQTT
	MQTTWS
	InProcess
	NumConnTypes
)

var connTypeNames = [NumConnTypes]string{"STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS"}

// String returns the configuration name of the type.
func (t ConnType) String() string {
	if t < NumConnTypes {
		return connTypeNames[t]
	}
	return "UNKNOWN"
}
