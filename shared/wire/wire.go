// Package wire is what travels in a WebSocket message: the JSON envelope, or the packets of Engine.IO and Socket.IO. It uses
// the standard library only.
package wire

import "encoding/json"

// Protocol is how a connection's messages are framed. It is fixed at $connect and never guessed from a message.
type Protocol string

// The protocols. Their values are stored in the table and carried in API Gateway's authorizer context.
const (
	JSON     Protocol = "json"     // one JSON envelope per message
	SocketIO Protocol = "socketio" // Socket.IO 5 in Engine.IO 4
)

// Protocols lists every Protocol.
var Protocols = []Protocol{JSON, SocketIO}

// Inbound is an event that a client sent.
type Inbound struct {
	Event string
	Data  json.RawMessage // nil when there is none
	ID    json.RawMessage // asks for an ack and comes back in it as it came; nil asks for none
}
