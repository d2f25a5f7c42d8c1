package contract

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Publish is a backend's request to send an event.
type Publish struct {
	ID        string          `json:"id,omitempty" schema:"text,max=MaxPublishIDLength"` // idempotency key, remembered for 24 hours
	Event     string          `json:"event"`                                             // one of the events that the server sends
	Data      json.RawMessage `json:"data"`                                              // the payload; clients get it byte for byte
	To        *Audience       `json:"to,omitempty"`                                      // without it, the event's own audience
	Except    Except          `json:"except,omitzero"`
	Reconnect bool            `json:"reconnect,omitempty"` // system:disconnect: Socket.IO clients come back by themselves (maintenance)

	// What ParsePublish finds in Data; a backend leaves them alone.
	Message  *Message          `json:"-"` // of a messages event
	Presence *PresenceSnapshot `json:"-"` // of presence:update
}

// Audience is a union of sockets; each gets the event once, however often it is in it. It names somebody.
type Audience struct {
	Users         []string `json:"users,omitempty" schema:"id,max=MaxAudience,some"`
	Conversations []string `json:"conversations,omitempty" schema:"id,max=MaxAudience,some"`
	Groups        []string `json:"groups,omitempty" schema:"id,max=MaxAudience,some"`
	Connections   []string `json:"connections,omitempty" schema:"id,max=MaxAudience,some"` // socket ids, as in socket.id and in presence
	All           bool     `json:"all,omitempty" schema:"some"`                            // every connection
}

// Except takes sockets out of an audience again.
type Except struct {
	Users       []string `json:"users,omitempty" schema:"id,max=MaxAudience"`
	Connections []string `json:"connections,omitempty" schema:"id,max=MaxAudience"` // socket ids
}

// Published is the answer to a publish: what became of each socket of the audience.
type Published struct {
	ID        string `json:"id,omitempty" schema:"text"` // as in the request; of a publish that is queued always one
	Event     string `json:"event"`
	Matched   int    `json:"matched"`          // sockets: the sum of delivered, gone, failed and queued
	Delivered int    `json:"delivered"`        // API Gateway took the post, and of system:disconnect the close
	Gone      int    `json:"gone"`             // final 410s: the client had left
	Failed    int    `json:"failed"`           // everything else: throttled, timed out, refused
	Queued    int    `json:"queued,omitempty"` // an audience too large to wait for: it is posted to from now on, and PublishStatus counts
	Duplicate bool   `json:"duplicate"`        // the id was done before: this is its first answer, and nothing was posted
}

// States of a publish.
const (
	PublishInFlight    = "in_progress" // somebody is at work on it, or Lambda is about to try again
	PublishInterrupted = "interrupted" // whoever was at work on it died, and Lambda does not try again: publish it again
	PublishDone        = "done"
)

// PublishStatus is what has become of a publish so far.
type PublishStatus struct {
	ID        string `json:"id" schema:"text"`
	State     string `json:"state" schema:"enum=in_progress interrupted done"` // one that is interrupted goes on when the same request, with its id, is published again
	Event     string `json:"event"`
	Matched   int    `json:"matched"` // the sum of delivered, gone, failed and queued; when it is done, those that were there when their turn came
	Delivered int    `json:"delivered"`
	Gone      int    `json:"gone"`
	Failed    int    `json:"failed"`
	Queued    int    `json:"queued"` // not posted to yet; 0 when it is done
}

// ServerEvents are the events that the server sends and a backend may publish.
var ServerEvents = []string{
	NotificationsReady, NotificationsNew, MessagesNew, MessagesUpdated, MessagesDeleted, PresenceUpdate, ErrorEvent, SystemDisconnect,
}

// HasAudience tells whether an event has an audience of its own, which it goes to when a publish has no to.
func HasAudience(event string) bool {
	switch event {
	case MessagesNew, MessagesUpdated, MessagesDeleted, PresenceUpdate:
		return true
	}
	return false
}

// ParsePublish validates a publish request. The error is a *ValidationError that names the field.
func ParsePublish(raw json.RawMessage) (*Publish, error) {
	m := object("", raw, "id", "event", "data", "to", "except", "reconnect")
	p := &Publish{}
	if m.has("id") {
		p.ID = m.publishID("id")
	}
	p.Event = m.text("event")
	if m.err == nil && !slices.Contains(ServerEvents, p.Event) {
		m.fail("event", "%q is not an event that the server sends; expected one of %s", clip(p.Event), strings.Join(ServerEvents, ", "))
	}
	p.Data = m.value("data")
	if m.err != nil {
		return nil, m.err
	}
	if err := p.validateData(); err != nil {
		return nil, err
	}
	p.Reconnect = m.flag("reconnect")
	if _, ok := m.raw["reconnect"]; ok && p.Event != SystemDisconnect {
		m.fail("reconnect", "only %s takes it", SystemDisconnect)
	}
	if m.has("to") && m.err == nil {
		p.To, m.err = parseAudience(m.raw["to"])
	} else if m.err == nil && !HasAudience(p.Event) {
		m.fail("to", "required: %s has no audience of its own", p.Event)
	}
	if m.has("except") && m.err == nil {
		p.Except, m.err = parseExcept(m.raw["except"])
	}
	if m.err != nil {
		return nil, m.err
	}
	return p, nil
}

func (m *members) publishID(name string) (s string) {
	m.decode(name, &s, "a string")
	if n := utf8.RuneCountInString(s); m.err == nil && (n < 1 || n > MaxPublishIDLength) {
		m.fail(name, "must have 1 to %d characters", MaxPublishIDLength)
	}
	return s
}

func parseAudience(raw json.RawMessage) (*Audience, error) {
	m := object("to", raw, "users", "conversations", "groups", "connections", "all")
	a := &Audience{
		Users:         m.optionalIDs("users"),
		Conversations: m.optionalIDs("conversations"),
		Groups:        m.optionalIDs("groups"),
		Connections:   m.optionalIDs("connections"),
		All:           m.flag("all"),
	}
	if m.err == nil && !a.All && len(a.Users)+len(a.Conversations)+len(a.Groups)+len(a.Connections) == 0 {
		m.fail("", "must name somebody: users, conversations, groups, connections, or all")
	}
	return a, m.err
}

func parseExcept(raw json.RawMessage) (Except, error) {
	m := object("except", raw, "users", "connections")
	return Except{Users: m.optionalIDs("users"), Connections: m.optionalIDs("connections")}, m.err
}

func (m *members) optionalIDs(name string) []string {
	if !m.has(name) {
		return nil
	}
	return m.ids(name, MaxAudience)
}

// validateData checks data against the documented payload of the event. Members beyond the document pass.
func (p *Publish) validateData() error {
	m := object("data", p.Data)
	switch p.Event {
	case MessagesNew, MessagesUpdated, MessagesDeleted:
		p.Message = &Message{
			ConversationID: m.id("conversationId"),
			Message:        m.value("message"),
			SenderID:       m.id("senderId"),
			Recipients:     m.ids("recipients", 0),
		}
		if p.Event == MessagesDeleted && m.err == nil {
			m.err = validateDeleted(p.Message.Message)
		}
	case NotificationsNew:
		m.text("eventKey")
		m.value("notification")
	case PresenceUpdate:
		p.Presence = parseSnapshot(m)
	case NotificationsReady:
		m.text("message")
		m.id("userId")
	case ErrorEvent:
		m.text("code")
		m.text("message")
	case SystemDisconnect:
		m.text("reason")
		if m.has("message") {
			m.text("message")
		}
	}
	return m.err
}

func validateDeleted(message json.RawMessage) error {
	m := object("data.message", message)
	if status := m.text("status"); m.err == nil && status != "deleted" {
		m.fail("status", `must be "deleted" in %s`, MessagesDeleted)
	}
	m.value("deletedAt")
	return m.err
}

func parseSnapshot(m *members) *PresenceSnapshot {
	s := &PresenceSnapshot{UserID: m.id("userId"), Sockets: []PresenceSocket{}}
	m.decode("isOnline", &s.IsOnline, "true or false")
	s.LastSeen = m.millis("lastSeen")
	var sockets []json.RawMessage
	m.decode("sockets", &sockets, "an array of sockets")
	for i, raw := range sockets {
		if m.err != nil {
			break
		}
		socket := object(m.at(within("sockets", i)), raw)
		s.Sockets = append(s.Sockets, PresenceSocket{
			SocketID:    socket.text("socketId"),
			ConnectedAt: socket.millis("connectedAt"),
			LastSeen:    socket.millis("lastSeen"),
			UserAgent:   socket.nullable("userAgent"),
			IP:          socket.nullable("ip"),
		})
		m.err = socket.err
	}
	return s
}
