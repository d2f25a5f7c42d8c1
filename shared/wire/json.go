package wire

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// The JSON envelope. Client to server: {"event": "...", "data": ..., "id": ...}; server to client: {"event", "data"},
// and {"event": "ack", "id", "data"} for an event with an id.

func decodeJSON(body []byte) (in Inbound, err error) {
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

func eventJSON(name string, payload json.RawMessage) []byte {
	b := make([]byte, 0, len(`{"event":"","data":}`)+len(name)+len(payload))
	b = append(b, `{"event":`...)
	b = strconv.AppendQuote(b, name)
	b = append(b, `,"data":`...)
	b = append(b, payload...)
	return append(b, '}')
}

func ackJSON(id, result json.RawMessage) []byte {
	b := make([]byte, 0, len(`{"event":"ack","id":,"data":}`)+len(id)+len(result))
	b = append(b, `{"event":"ack","id":`...)
	b = append(b, id...)
	b = append(b, `,"data":`...)
	b = append(b, result...)
	return append(b, '}')
}
