package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"example.org/realtime/shared/contract"
)

// built is the contract as schemas, each with a title, which is its name in every file.
type built struct {
	server  []event // that the server sends
	client  []event // that clients send
	ack     *schema
	publish []*schema // requests, in the order of server
	answer  *schema   // to each of them
	control []operation
	failure *schema // what Lambda says of a function's error
	defs    members // that they refer to, by title

	examples map[string][]any // messages of a JSON client, by their events
	*source
}

// event is one with its payload.
type event struct {
	Name    string
	Payload *schema // without a type: it is ignored
}

// operation is one of control.
type operation struct {
	Name            string
	Request, Answer *schema
}

// build makes the schemas of the contract of the repository in root.
func build(root string) (*built, error) {
	source, err := read(filepath.Join(root, "shared/contract"))
	if err != nil {
		return nil, err
	}
	b := &builder{source: source}
	c := &built{
		source:  source,
		server:  b.serverEvents(),
		client:  b.clientEvents(),
		ack:     b.ack(),
		answer:  b.object(contract.Published{}, answered),
		failure: b.failure(),
		examples: map[string][]any{
			"ack": {ackOf("7", contract.Ack{Success: true}), ackOf("8", contract.Ack{Code: contract.Forbidden, Message: "you do not take part in this conversation"})},
		},
	}
	b.reference(c.ack)
	b.reference(c.answer)
	for _, e := range c.server {
		s := b.publish(e.Name, b.reference(e.Payload))
		b.reference(s)
		c.publish = append(c.publish, s)
		var publish struct{ Data json.RawMessage }
		if err := sample(root, "publish/"+kebab(e.Name), &publish); err != nil {
			return nil, err
		}
		c.examples[e.Name] = []any{document{{"event", e.Name}, {"data", publish.Data}}}
	}
	for _, e := range c.client {
		_, route, _ := strings.Cut(e.Name, ":")
		var message struct{ Body string }
		if err := sample(root, route, &message); err != nil {
			return nil, err
		}
		c.examples[e.Name] = []any{json.RawMessage(message.Body)}
	}
	c.control = b.operations()
	c.defs = b.defs
	return c, b.err
}

// serverEvents are the events that the server sends.
func (b *builder) serverEvents() (events []event) {
	for _, e := range []struct {
		name, title string
		payload     any
	}{
		{contract.NotificationsReady, "NotificationsReadyPayload", contract.Ready{}},
		{contract.NotificationsNew, "NotificationsNewPayload", contract.NewNotification{}},
		{contract.MessagesNew, "MessagesNewPayload", contract.Message{}},
		{contract.MessagesUpdated, "MessagesUpdatedPayload", contract.Message{}},
		{contract.MessagesDeleted, "MessagesDeletedPayload", contract.Message{}},
		{contract.PresenceUpdate, "PresenceSnapshot", contract.PresenceSnapshot{}},
		{contract.ErrorEvent, "SocketErrorPayload", contract.SocketError{}},
		{contract.SystemDisconnect, "SystemDisconnectPayload", contract.Disconnect{}},
	} {
		s := b.payload(e.name, e.title, e.payload)
		if e.name == contract.MessagesDeleted {
			deleted(s.Properties.get("message"))
		}
		b.reference(s)
		events = append(events, event{e.name, s})
	}
	return events
}

// clientEvents are the events that clients send.
func (b *builder) clientEvents() []event {
	join := b.payload(contract.ConversationsJoin, "ConversationsJoinPayload", contract.Room{})
	leave := b.payload(contract.ConversationsLeave, "ConversationsLeavePayload", contract.Room{})
	b.reference(join)
	b.reference(leave)
	return []event{
		{contract.ConversationsJoin, join},
		{contract.ConversationsLeave, leave},
		{contract.PresenceHeartbeat, &schema{Title: "PresenceHeartbeatPayload", Description: "Ignored, whatever it is."}},
	}
}

// sample reads one of the samples in events.
func sample(root, name string, v any) error {
	file := filepath.Join(root, "events", name+".json")
	raw, err := os.ReadFile(file) //nolint:gosec // of this repository
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// ackOf is an ack as it is sent to a JSON client.
func ackOf(id string, outcome contract.Ack) document {
	return document{{"event", "ack"}, {"id", id}, {"data", outcome}}
}

// payload is that of an event. A struct may be the payload of several.
func (b *builder) payload(name, title string, v any) *schema {
	s := b.object(v, payload)
	if s.Title != title {
		s.Title, s.Description = title, b.source.comments[name]
	}
	return s
}

// deleted adds to the schema of a message what that of messages:deleted has to have.
func deleted(message *schema) {
	message.Type, message.Required = "object", []string{"status", "deletedAt"}
	message.Properties = members{
		{"status", &schema{Const: "deleted"}},
		{"deletedAt", &schema{Type: notNull}},
	}
}

// ack has two forms, which the struct has in one.
func (b *builder) ack() *schema {
	failure := b.object(contract.Ack{}, answered)
	success := b.object(contract.Ack{}, answered, "success")
	for s, value := range map[*schema]bool{success: true, failure: false} {
		s.Properties.get("success").Type, s.Properties.get("success").Const = nil, value
		s.Title, s.Description = "", ""
	}
	failure.Required = []string{"success", "code", "message"}
	return &schema{Title: "Ack", Description: b.source.comments["Ack"], OneOf: []*schema{success, failure}}
}

// publish is the request that publishes an event. What an event has an audience of its own for may leave out to.
func (b *builder) publish(name string, data *schema) *schema {
	own := []string{"id", "event", "data", "to", "except"}
	if name == contract.SystemDisconnect {
		own = append(own, "reconnect")
	}
	s := b.object(contract.Publish{}, request, own...)
	s.Title = "Publish" + pascal(name)
	s.Description = "Publishes " + name + "."
	*s.Properties.get("event") = schema{Const: name}
	*s.Properties.get("data") = *data
	if !contract.HasAudience(name) {
		to := s.Properties.get("to")
		*to = schema{Ref: to.AnyOf[0].Ref}
		s.Required = append(s.Required, "to")
	}
	return s
}

// pascal is the name of an event or an operation as part of a type's.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// kebab is the name of an event or an operation as part of a file's.
func kebab(name string) string { return strings.NewReplacer(":", "-", ".", "-").Replace(name) }

// oneOf is a schema for whatever fits one of others, which are definitions.
func oneOf(title, description string, others []*schema) *schema {
	s := &schema{Title: title, Description: description}
	for _, other := range others {
		s.OneOf = append(s.OneOf, &schema{Ref: defs + other.Title})
	}
	return s
}

// failure is what Lambda answers when a function returns an error of shared/contract, or another one.
func (b *builder) failure() *schema {
	kind := func(name string) string {
		says, _, _ := strings.Cut(b.source.comments[name], ". ")
		return name + ": " + strings.ToLower(says[:1]) + strings.TrimSuffix(says[1:], ".") + "."
	}
	return &schema{
		Title:       "InvocationError",
		Description: "What an invocation with a FunctionError has as its payload. " + kind("ValidationError") + " " + kind("PublishInProgress"),
		Type:        "object",
		Properties: members{
			{"errorType", &schema{Description: "Any other is a fault of the service.", Type: "string", Examples: []any{"ValidationError", "PublishInProgress"}}},
			{"errorMessage", &schema{Description: "Of a ValidationError: the field, a colon, and what is wrong with it.", Type: "string"}},
		},
		Required: []string{"errorType", "errorMessage"},
	}
}
