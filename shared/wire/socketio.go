package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// Socket.IO protocol 5: <type>[<namespace>,][<ack id>][<JSON payload>] in a message packet of Engine.IO
// (https://socket.io/docs/v4/socket-io-protocol/). What is accepted here is what socket.io-parser 4.2 accepts, less what no
// client has reason to send: binary packets; a CONNECT_ERROR, which there the server behind the parser refuses; white space
// for a packet type or an ack id, in which JavaScript sees a 0; long ack ids; JSON deeper than encoding/json goes (10 000).

// The packets of Socket.IO.
const (
	PacketConnect      PacketType = "40" // from a client an object, its auth; from the server the sid
	PacketDisconnect   PacketType = "41"
	PacketEvent        PacketType = "42"
	PacketAck          PacketType = "43"
	PacketConnectError PacketType = "44" // from the server only
)

var messageTypes = [...]PacketType{PacketConnect, PacketDisconnect, PacketEvent, PacketAck, PacketConnectError}

// reservedEvents are not for the wire: they have a meaning of their own in the reference implementation.
var reservedEvents = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}

const (
	mainNamespace = "/"
	maxID         = 20 // digits: enough for 64 bits. The reference rounds above 2^53, and no client knows that ack for its own
	whiteSpace    = " \t\r\n"
)

var (
	errBinary      = errors.New("binary packets are not supported")
	errMessageType = errors.New("message: must start with a Socket.IO packet type, a digit from 0 to 4")
	errID          = errors.New("ack id: 20 digits at most")
	errConnect     = errors.New("CONNECT payload: must be a JSON object")
	errDisconnect  = errors.New("DISCONNECT payload: there is none")
	errEvent       = errors.New("EVENT payload: must be a JSON array that starts with the name of the event")
	errReserved    = errors.New("EVENT payload: the name of the event is reserved")
	errAck         = errors.New("ACK payload: must be a JSON array")
	errFromClient  = errors.New("CONNECT_ERROR: only the server sends it")
)

// decodeMessage reads a Socket.IO packet. It is UTF-8.
func decodeMessage(body []byte) (p Packet, err error) {
	switch {
	case len(body) == 0 || body[0] < '0' || body[0] > '6':
		return p, errMessageType
	case body[0] > '4':
		return p, errBinary
	case body[0] == '4':
		return p, errFromClient
	}
	p.Type, p.Namespace = messageTypes[body[0]-'0'], mainNamespace
	body = body[1:]
	if bytes.HasPrefix(body, []byte(mainNamespace)) {
		var namespace []byte
		namespace, body, _ = bytes.Cut(body, []byte(","))
		p.Namespace = string(namespace)
	}
	digits := 0
	for digits < len(body) && body[digits] >= '0' && body[digits] <= '9' {
		digits++
	}
	if digits > maxID {
		return p, errID
	}
	if digits > 0 {
		last := digits - 1
		p.ID = body[last-len(bytes.TrimLeft(body[:last], "0")) : digits]
	}
	p.Payload = rest(body[digits:])
	err = p.readPayload()
	return p, err
}

// readPayload checks the payload against the type and takes the event out of it. No payload at all is as good as any for
// the reference: such an event has no name and no listener.
func (p *Packet) readPayload() (err error) {
	if p.Payload == nil {
		return nil
	}
	switch p.Type {
	case PacketConnect:
		if p.Payload[0] != '{' || !json.Valid(p.Payload) {
			return errConnect
		}
	case PacketDisconnect:
		return errDisconnect
	case PacketAck:
		if p.Payload[0] != '[' || !json.Valid(p.Payload) {
			return errAck
		}
	case PacketEvent:
		if p.Payload[0] != '[' || !json.Valid(p.Payload) {
			return errEvent
		}
		name, more := element(p.Payload[1:])
		if p.Event, err = eventName(name); err != nil {
			return err
		}
		p.Data, _ = element(more)
	}
	return nil
}

// eventName reads the first element of an event: a string, or a number as it is written.
func eventName(first []byte) (name string, err error) {
	switch {
	case len(first) == 0 || strings.IndexByte(`"-0123456789`, first[0]) < 0:
		return "", errEvent
	case first[0] != '"':
		return string(first), nil
	case bytes.IndexByte(first, '\\') < 0:
		name = string(first[1 : len(first)-1])
	default:
		if name, err = unquote(first); err != nil {
			return "", errEvent
		}
	}
	if slices.Contains(reservedEvents, name) {
		return "", errReserved
	}
	return name, nil
}

// unquote is apart so that a name without escapes costs no pointer.
func unquote(name []byte) (s string, err error) {
	err = json.Unmarshal(name, &s)
	return s, err
}

// element cuts the next element off what follows a bracket or a comma of an array that is valid JSON. It is empty in an
// empty array, and nil after the last.
func element(array []byte) (value, more []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(array); i++ {
		switch c := array[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case depth == 0 && (c == ',' || c == ']'):
			return bytes.Trim(array[:i], whiteSpace), array[i+1:]
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
	}
	return nil, nil
}

// Encode frames the packet.
func (p Packet) Encode() []byte {
	b := start(p.Type, p.Namespace, p.ID, len(p.Payload))
	return append(b, p.Payload...)
}

// EncodeConnect frames the answer to a CONNECT that is accepted.
func EncodeConnect(namespace, sid string) []byte {
	b := start(PacketConnect, namespace, nil, len(`{"sid":""}`)+len(sid))
	b = append(b, `{"sid":`...)
	b = appendString(b, sid)
	return append(b, '}')
}

// EncodeConnectError frames the answer to a CONNECT that is refused: an Error with that message, and with the data, which
// must be valid JSON, as its data. There may be none.
func EncodeConnectError(namespace, message string, data json.RawMessage) []byte {
	b := start(PacketConnectError, namespace, nil, len(`{"message":"","data":}`)+len(message)+len(data))
	b = append(b, `{"message":`...)
	b = appendString(b, message)
	if data != nil {
		b = append(b, `,"data":`...)
		b = append(b, data...)
	}
	return append(b, '}')
}

// EncodeDisconnect frames the end of a namespace. The client does not come back by itself.
func EncodeDisconnect(namespace string) []byte {
	return start(PacketDisconnect, namespace, nil, 0)
}

// EncodeEvent frames an event with one argument. The payload is copied as it is and must be valid JSON.
func EncodeEvent(namespace, name string, payload json.RawMessage) []byte {
	b := start(PacketEvent, namespace, nil, len(`["",]`)+len(name)+len(payload))
	b = append(b, '[')
	b = appendString(b, name)
	b = append(b, ',')
	b = append(b, payload...)
	return append(b, ']')
}

// EncodeAck frames the answer to an event with that ID. The result is copied as it is and must be valid JSON.
func EncodeAck(namespace string, id, result json.RawMessage) []byte {
	b := start(PacketAck, namespace, id, len(`[]`)+len(result))
	b = append(b, '[')
	b = append(b, result...)
	return append(b, ']')
}

// start begins a packet that takes so many more bytes.
func start(t PacketType, namespace string, id json.RawMessage, more int) []byte {
	b := make([]byte, 0, len(t)+len(namespace)+len(",")+len(id)+more)
	b = append(b, t...)
	if namespace != "" && namespace != mainNamespace {
		b = append(b, namespace...)
		b = append(b, ',')
	}
	return append(b, id...)
}

// appendString appends s as JSON. (strconv.AppendQuote writes Go: \x7f is not JSON.)
func appendString(b []byte, s string) []byte {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		quoted, _ := json.Marshal(s) // no string fails
		return append(b, quoted...)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
