package e2e

import (
	"bytes"
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

// kinds of the members of a payload, as the contract writes them. A ? behind a name is a member that may be left out.
var shapes = map[string]map[string]string{
	"notifications:ready": {"message": "string", "userId": "string"},
	"notifications:new":   {"eventKey": "string", "notification": "any"},
	"messages:new":        messagesShape,
	"messages:updated":    messagesShape,
	"messages:deleted":    messagesShape,
	"presence:update":     {"userId": "string", "isOnline": "boolean", "lastSeen": "number | null", "sockets": "array"},
	"error":               {"code": "string", "message": "string"},
	"system:disconnect":   {"reason": "string", "message?": "string"},
	"ack":                 {"success": "boolean", "code?": "string", "message?": "string"},
}

var (
	messagesShape = map[string]string{"conversationId": "string", "message": "any", "senderId": "string", "recipients": "array"}
	socketShape   = map[string]string{
		"socketId": "string", "connectedAt": "number | null", "lastSeen": "number | null", "userAgent": "string | null", "ip": "string | null",
	}
)

// codes are all that an error event or an ack of the service may have.
var codes = []string{
	"unauthorized", "token_expired", "bad_request", "unknown_event", "payload_too_large", "forbidden", "too_many_connections", "too_many_rooms",
	"internal",
}

// parse reads a message as the contract has it: an envelope and nothing but an envelope, with a documented payload. What backends
// publish may have more members than the document names; what the service says by itself may not.
func parse(message []byte) (frame, error) {
	f := frame{raw: string(message)}
	members, err := object(message)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(members["event"], &f.event); err != nil {
		return f, fmt.Errorf("event: %w", err)
	}
	shape, documented := shapes[f.event]
	if !documented {
		return f, fmt.Errorf("event %q is not documented", f.event)
	}
	f.data = members["data"]
	want := []string{"data", "event"}
	if f.event == "ack" {
		f.id = string(members["id"])
		want = append(want, "id")
	}
	for name := range members {
		if !slices.Contains(want, name) {
			return f, fmt.Errorf("the envelope has a member %q", name)
		}
	}
	if len(members) != len(want) {
		return f, fmt.Errorf("the envelope lacks one of %v", want)
	}
	more := strings.HasPrefix(f.event, "messages:") || f.event == "notifications:new"
	if err := check(f.data, shape, more); err != nil {
		return f, fmt.Errorf("data of %s: %w", f.event, err)
	}
	return f, f.checkMore()
}

// checkMore checks what the kinds of the members do not say.
func (f frame) checkMore() error {
	switch f.event {
	case "presence:update":
		var snapshot struct{ Sockets []json.RawMessage }
		if err := json.Unmarshal(f.data, &snapshot); err != nil {
			return err
		}
		for i, socket := range snapshot.Sockets {
			if err := check(socket, socketShape, false); err != nil {
				return fmt.Errorf("data.sockets[%d]: %w", i, err)
			}
		}
	case "error", "ack":
		var said struct {
			Success       bool
			Code, Message string
		}
		if err := json.Unmarshal(f.data, &said); err != nil {
			return err
		}
		code, ours := strings.CutPrefix(said.Code, "socket_error:")
		if said.Success {
			if said.Code+said.Message != "" {
				return fmt.Errorf("data: a success with a code or a message")
			}
			return nil
		}
		if said.Message == "" || ours && !slices.Contains(codes, code) || f.event == "ack" && !ours {
			return fmt.Errorf("data: code %q with message %q", said.Code, said.Message)
		}
	}
	return nil
}

// check holds an object to a shape; more tells whether it may have members that the shape does not name.
func check(raw json.RawMessage, shape map[string]string, more bool) error {
	members, err := object(raw)
	if err != nil {
		return err
	}
	known := 0
	for name, kind := range shape {
		name, optional := strings.CutSuffix(name, "?")
		value, there := members[name]
		switch {
		case !there && !optional:
			return fmt.Errorf("no %s", name)
		case there && kind != "any" && !slices.Contains(strings.Split(kind, " | "), kindOf(value)):
			return fmt.Errorf("%s is not a %s: %s", name, kind, value)
		case there:
			known++
		}
	}
	if known < len(members) && !more {
		return fmt.Errorf("a member that is not documented: %s", raw)
	}
	return nil
}

func object(raw []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, fmt.Errorf("null")
	}
	return members, nil
}

func kindOf(value json.RawMessage) string {
	switch c := bytes.TrimSpace(value)[0]; c {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}
