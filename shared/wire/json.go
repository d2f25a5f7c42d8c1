package wire

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// The JSON envelope. Client to server: {"event": "...", "data": ..., "id": ...}; server to client: {"event", "data"},
// and {"event": "ack", "id", "data"} for an event with an id.

// DecodeJSON reads an envelope of a client. The error says what is not as documented and is fit for the client to see. An
// Inbound that comes with an error has whatever could still be read: an ID means that the error is acked.
func DecodeJSON(body []byte) (in Inbound, err error) {
	var members map[string]json.RawMessage
	switch err := json.Unmarshal(body, &members); {
	case !utf8.Valid(body):
		return in, errors.New("the message must be UTF-8")
	case err != nil && !json.Valid(body):
		return in, errors.New(`the message must be JSON: {"event": "...", "data": ...}`)
	case err != nil || members == nil:
		return in, errors.New(`the message must be a JSON object: {"event": "...", "data": ...}`)
	}
	if id := members["id"]; len(id) > 0 && id[0] != 'n' {
		if id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9') {
			return in, errors.New("id: must be a string or a number")
		}
		in.ID = id
	}
	in.Data = members["data"]
	switch raw, ok := members["event"]; {
	case !ok:
		return in, errors.New("event: required")
	case json.Unmarshal(raw, &in.Event) != nil || raw[0] != '"':
		return in, errors.New("event: must be a string")
	}
	return in, nil
}

// EncodeJSONEvent frames an event. The payload is copied as it is and must be valid JSON.
func EncodeJSONEvent(name string, payload json.RawMessage) []byte {
	b := make([]byte, 0, len(`{"event":"","data":}`)+len(name)+len(payload))
	b = append(b, `{"event":`...)
	b = appendString(b, name)
	b = append(b, `,"data":`...)
	b = append(b, payload...)
	return append(b, '}')
}

// EncodeJSONAck frames the answer to an event with that ID. The result is copied as it is and must be valid JSON.
func EncodeJSONAck(id, result json.RawMessage) []byte {
	b := make([]byte, 0, len(`{"event":"ack","id":,"data":}`)+len(id)+len(result))
	b = append(b, `{"event":"ack","id":`...)
	b = append(b, id...)
	b = append(b, `,"data":`...)
	b = append(b, result...)
	return append(b, '}')
}
