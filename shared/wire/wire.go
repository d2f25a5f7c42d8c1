// Package wire is what travels in a WebSocket message: the JSON envelope. It uses the standard library only.
package wire

import "encoding/json"

// Protocol is how a connection's messages are framed. It is fixed at $connect and never guessed from a message.
type Protocol string

// JSON is one JSON envelope per message. The value is stored in the table and carried in API Gateway's authorizer context.
const JSON Protocol = "json"

// Protocols lists every Protocol.
var Protocols = []Protocol{JSON}

// Inbound is an event that a client sent.
type Inbound struct {
	Event string
	Data  json.RawMessage // nil when there is none
	ID    json.RawMessage // asks for an ack and comes back in it as it came: a JSON string or number; nil asks for none
}

// Decode reads a message of a client. The error says what is not as documented and is fit for the client to see. An
// Inbound that comes with an error has whatever could still be read: an ID means that the error is acked.
func Decode(p Protocol, body []byte) (Inbound, error) {
	return decodeJSON(body)
}

// Event frames an event for clients of protocol p. The payload is copied as it is and must be valid JSON.
func Event(p Protocol, name string, payload json.RawMessage) []byte {
	return eventJSON(name, payload)
}

// Ack frames the answer to an inbound event with that ID. The result is copied as it is and must be valid JSON.
func Ack(p Protocol, id, result json.RawMessage) []byte {
	return ackJSON(id, result)
}
