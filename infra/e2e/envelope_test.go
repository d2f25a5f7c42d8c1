package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// frame is a message that a client got.
type frame struct {
	raw   string
	event string
	id    string // of an ack, as it travels; "" for an event
	data  json.RawMessage
}

func (f frame) String() string { return f.raw }

// codes are all that an error event of the service may have.
var codes = []string{
	"unauthorized", "token_expired", "bad_request", "unknown_event", "payload_too_large", "forbidden", "too_many_connections", "too_many_rooms",
	"internal",
}

// parse reads a message as the contract has it: an envelope and nothing but an envelope, with a documented payload. What backends
// publish may have more members than the document names; what the service says by itself may not.
func parse(message []byte) (frame, error) {
	f := frame{raw: string(message)}
	var envelope struct {
		Event    string
		ID, Data json.RawMessage
	}
	if err := json.Unmarshal(message, &envelope); err != nil {
		return f, err
	}
	f.event, f.id, f.data = envelope.Event, string(envelope.ID), envelope.Data
	if err := hold(message, "server-to-client"); err != nil {
		return f, err
	}
	var said struct{ Code string }
	if f.event == "error" {
		if err := json.Unmarshal(f.data, &said); err != nil {
			return f, err
		}
	}
	if code, ours := strings.CutPrefix(said.Code, "socket_error:"); ours && !slices.Contains(codes, code) {
		return f, fmt.Errorf("the service has no code %q", said.Code)
	}
	return f, nil
}
