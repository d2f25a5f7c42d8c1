package main

import (
	"fmt"

	"example.org/realtime/shared/contract"
)

// messageLimit is how large a message of a client may be; publishing describes a publish request, and how large an event may be.
var (
	messageLimit = fmt.Sprintf("A whole message of a client has at most %d bytes of UTF-8, unless SOCKET_MAX_PAYLOAD_BYTES says otherwise; a larger one ends the connection.",
		contract.MaxPayloadBytes)
	publishing = "What the publish function is invoked with. An event that has no audience of its own names one. " +
		fmt.Sprintf("Once it is encoded it has at most %d bytes.", contract.MaxEventBytes)
)

// serverEnvelope is every message that a JSON client gets.
func (c *built) serverEnvelope() *schema {
	var all []*schema
	for _, e := range c.server {
		all = append(all, c.serverFrame(e))
	}
	return &schema{
		Title: "ServerEnvelope",
		Description: "A message that a JSON client gets: an event, or the ack of one that it sent with an id. " +
			"What has no event is API Gateway's own, when a function failed or there is too much: a message, for people.",
		OneOf: append(all, c.ackFrame()),
	}
}

func (c *built) serverFrame(e event) *schema {
	return frame(e.Name, members{{"data", &schema{Ref: defs + e.Payload.Title}}}, "data")
}

func (c *built) ackFrame() *schema {
	id := &schema{Description: "That of the event, as it came.", Type: []string{"string", "number"}}
	return frame("ack", members{{"id", id}, {"data", &schema{Ref: defs + c.ack.Title}}}, "id", "data")
}

// clientEnvelope is every message that a JSON client may send.
func (c *built) clientEnvelope() *schema {
	var all []*schema
	for _, e := range c.client {
		all = append(all, c.clientFrame(e))
	}
	return &schema{
		Title: "ClientEnvelope",
		Description: "A message that a JSON client sends: an event. With an id its outcome is an ack with that id; without, a failure is an error event. " +
			messageLimit,
		OneOf: all,
	}
}

func (c *built) clientFrame(e event) *schema {
	id := &schema{Description: "Asks for an ack, which has the same id. Without it, a failure is one error event.", Type: []string{"string", "number", "null"}}
	if e.Payload.Type == nil {
		return frame(e.Name, members{{"data", &schema{Description: e.Payload.Description}}, {"id", id}})
	}
	return frame(e.Name, members{{"data", &schema{Ref: defs + e.Payload.Title}}, {"id", id}}, "data")
}

// frame is an envelope with that event and those members.
func frame(event string, others members, required ...string) *schema {
	return &schema{
		Type:       "object",
		Properties: append(members{{"event", &schema{Const: event}}}, others...),
		Required:   append([]string{"event"}, required...),
	}
}
