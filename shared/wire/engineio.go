package wire

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"
)

// Engine.IO protocol 4 over WebSocket: each message is one packet, a digit for its type and whatever belongs to it
// (https://socket.io/docs/v4/engine-io-protocol/). A message packet, 4, carries a Socket.IO packet.

// PacketType is the digits that a packet starts with: Engine.IO's one, or 4 and Socket.IO's.
type PacketType string

// The packets of Engine.IO itself. []byte(PacketPing) is a whole ping. Text after a type of a client's means nothing.
const (
	PacketOpen    PacketType = "0" // from the server, first of all
	PacketClose   PacketType = "1" // from the client, which is leaving
	PacketPing    PacketType = "2" // from the server
	PacketPong    PacketType = "3" // from the client, for every ping
	PacketUpgrade PacketType = "5" // belongs to a change of transport, as does noop: nothing to do on a WebSocket
	PacketNoop    PacketType = "6"
)

// Packet is an Engine.IO packet, or the Socket.IO packet in it. Its bytes are those of the message that it was read from.
type Packet struct {
	Type      PacketType
	Namespace string          // of a Socket.IO packet; "" and "/" are the main namespace
	ID        json.RawMessage // asks for an ack, and comes back in it: a decimal number; nil when there is none
	Payload   json.RawMessage // nil when there is none. Not JSON in a packet of Engine.IO itself

	// What the payload of a PacketEvent says. Encode takes the payload and leaves these alone.
	Event string          // the name; a number as it was written; "" also when there is no payload
	Data  json.RawMessage // the first argument; nil when there is none
}

var (
	errUTF8       = errors.New("packet: must be UTF-8")
	errEngineType = errors.New("packet type: must be a digit from 0 to 6")
)

// DecodePacket reads a message of a client as the reference server does. The error says what is not as documented and is
// fit for the client to see; the reference server closes the connection. A Packet that comes with an error has what was
// read before.
func DecodePacket(body []byte) (Packet, error) {
	switch {
	case !utf8.Valid(body):
		return Packet{}, errUTF8
	case len(body) > 0 && body[0] == '4':
		return decodeMessage(body[1:])
	case len(body) > 0 && body[0] == 'b':
		return Packet{}, errBinary
	case len(body) == 0 || body[0] < '0' || body[0] > '6':
		return Packet{}, errEngineType
	}
	return Packet{Type: PacketType(body[:1]), Payload: rest(body[1:])}, nil
}

// rest is nil when nothing is left.
func rest(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	return body
}

// EncodeOpen frames the first packet of a connection. A client that gets no ping for the two times together takes the
// connection for dead; its timer ends at 2 147 483 647 ms. The payload limit, in bytes, is for long-polling clients only.
func EncodeOpen(sid string, pingInterval, pingTimeout time.Duration, maxPayload int) []byte {
	b := append(make([]byte, 0, 128), PacketOpen...)
	b = append(b, `{"sid":`...)
	b = appendString(b, sid)
	b = append(b, `,"upgrades":[],"pingInterval":`...)
	b = strconv.AppendInt(b, pingInterval.Milliseconds(), 10)
	b = append(b, `,"pingTimeout":`...)
	b = strconv.AppendInt(b, pingTimeout.Milliseconds(), 10)
	b = append(b, `,"maxPayload":`...)
	b = strconv.AppendInt(b, int64(maxPayload), 10)
	return append(b, '}')
}
