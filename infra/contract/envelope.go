package main

// serverEnvelope is every message that a JSON client gets.
func (c *built) serverEnvelope() *schema {
	var all []*schema
	for _, e := range c.server {
		all = append(all, c.serverFrame(e))
	}
	return &schema{
		Title:       "ServerEnvelope",
		Description: "A message that a JSON client gets: an event, or the ack of an event that it sent with an id.",
		OneOf:       append(all, c.ackFrame()),
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
	return &schema{Title: "ClientEnvelope", Description: "A message of a JSON client: an event.", OneOf: all}
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
