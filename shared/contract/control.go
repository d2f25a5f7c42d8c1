package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Operations of the control function.
const (
	ParticipantsSet    = "participants.set"    // exactly these users take part in a conversation
	ParticipantsAdd    = "participants.add"    // these users take part too
	ParticipantsRemove = "participants.remove" // these users no longer take part; their sockets leave the room at once
	ParticipantsList   = "participants.list"   // who takes part, in pages
	GroupsJoin         = "groups.join"         // the users' present sockets come into a group's room
	GroupsLeave        = "groups.leave"        // the users' present sockets leave a group's room
	SocketsDisconnect  = "sockets.disconnect"  // sockets of users, of connections, or of both get system:disconnect and are closed
	PresenceRead       = "presence.read"       // which of the users are there
	ConnectionsList    = "connections.list"    // a user's connections
	RoomsList          = "rooms.list"          // a connection's rooms
	PublishesRead      = "publishes.read"      // what has become of a publish
)

// ControlRequest is what a backend asks of control: *Participants, *Group, *DisconnectSockets, *ReadPresence,
// *ListConnections, *ListRooms or *ReadPublish.
type ControlRequest interface {
	Operation() string // one of the constants above
}

// Operation implements ControlRequest.
func (p *Participants) Operation() string { return p.Op }

// Operation implements ControlRequest.
func (g *Group) Operation() string { return g.Op }

// Operation implements ControlRequest.
func (*DisconnectSockets) Operation() string { return SocketsDisconnect }

// Operation implements ControlRequest.
func (*ReadPresence) Operation() string { return PresenceRead }

// Operation implements ControlRequest.
func (*ListConnections) Operation() string { return ConnectionsList }

// Operation implements ControlRequest.
func (*ListRooms) Operation() string { return RoomsList }

// Operation implements ControlRequest.
func (*ReadPublish) Operation() string { return PublishesRead }

// parsers read what follows op.
var parsers = map[string]func(op string, raw json.RawMessage) (ControlRequest, error){
	ParticipantsSet:    parseParticipants,
	ParticipantsAdd:    parseParticipants,
	ParticipantsRemove: parseParticipants,
	ParticipantsList:   parseParticipantsList,
	GroupsJoin:         parseGroup,
	GroupsLeave:        parseGroup,
	SocketsDisconnect:  parseDisconnectSockets,
	PresenceRead:       parseReadPresence,
	ConnectionsList:    parseListConnections,
	RoomsList:          parseListRooms,
	PublishesRead:      parseReadPublish,
}

// ParseControl validates a request to control. The error is a *ValidationError that names the field.
func ParseControl(raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw)
	op := m.text("op")
	parse, ok := parsers[op]
	if m.err == nil && !ok {
		m.fail("op", "%q is not an operation; expected one of %s", clip(op), strings.Join(operations(), ", "))
	}
	if m.err != nil {
		return nil, m.err
	}
	req, err := parse(op, raw)
	if err != nil {
		return nil, err
	}
	return req, nil
}

func operations() []string {
	names := make([]string, 0, len(parsers))
	for name := range parsers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Group is a backend's request to bring the present sockets of users into a group's room, or out of it. Sockets that
// connect later are not in it, and clients cannot join one by themselves.
type Group struct {
	Op      string   `json:"op"` // GroupsJoin or GroupsLeave
	GroupID string   `json:"groupId" schema:"id"`
	Users   []string `json:"users" schema:"id,min=1,max=MaxUsersPerRequest"`
}

func parseGroup(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "groupId", "users")
	return &Group{Op: op, GroupID: m.id("groupId"), Users: m.someone("users", MaxUsersPerRequest)}, m.err
}

// DisconnectSockets is a backend's request to end connections: system:disconnect, then the close. It names users, whose
// sockets all go, or connections, or both.
type DisconnectSockets struct {
	Op          string   `json:"op"`                                                     // SocketsDisconnect
	Users       []string `json:"users,omitempty" schema:"id,max=MaxAudience,some"`       // all of their sockets
	Connections []string `json:"connections,omitempty" schema:"id,max=MaxAudience,some"` // socket ids
	Reason      string   `json:"reason" schema:"text,max=MaxReasonLength"`               // for the client's program
	Message     string   `json:"message,omitempty" schema:"text,max=MaxReasonLength"`    // for people
	Reconnect   bool     `json:"reconnect,omitempty"`                                    // Socket.IO clients come back by themselves
	DenySeconds *int     `json:"denySeconds,omitempty" schema:"max=MaxDenySeconds"`      // the users, and those of the connections, may not connect for so long; 0 ends an earlier time, left out that stays
}

func parseDisconnectSockets(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "users", "connections", "reason", "message", "reconnect", "denySeconds")
	d := &DisconnectSockets{
		Op:          op,
		Users:       m.optionalIDs("users"),
		Connections: m.optionalIDs("connections"),
		Reason:      m.short("reason"),
	}
	if m.has("message") {
		d.Message = m.short("message")
	}
	d.Reconnect = m.flag("reconnect")
	if m.has("denySeconds") {
		seconds := m.whole("denySeconds", MaxDenySeconds, fmt.Sprintf("a whole number of seconds, 0 to %d", MaxDenySeconds))
		d.DenySeconds = &seconds
	}
	if m.err == nil && len(d.Users)+len(d.Connections) == 0 {
		m.fail("", "must name somebody: users or connections")
	}
	return d, m.err
}

// short is a required text of at most MaxReasonLength characters.
func (m *members) short(name string) string {
	s := m.text(name)
	if m.err == nil && utf8.RuneCountInString(s) > MaxReasonLength {
		m.fail(name, "must have 1 to %d characters", MaxReasonLength)
	}
	return s
}

// ReadPresence is a backend's question who is there.
type ReadPresence struct {
	Op    string   `json:"op"` // PresenceRead
	Users []string `json:"users" schema:"id,min=1,max=MaxPresenceUsers"`
}

func parseReadPresence(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "users")
	r := &ReadPresence{Op: op, Users: m.ids("users", MaxPresenceUsers)}
	if m.err == nil && len(r.Users) == 0 {
		m.fail("users", "must name at least one user")
	}
	return r, m.err
}

// ListConnections is a backend's question about a user's connections.
type ListConnections struct {
	Op     string `json:"op"` // ConnectionsList
	UserID string `json:"userId" schema:"id"`
}

func parseListConnections(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "userId")
	return &ListConnections{Op: op, UserID: m.id("userId")}, m.err
}

// ListRooms is a backend's question about a connection's rooms.
type ListRooms struct {
	Op           string `json:"op"`                       // RoomsList
	ConnectionID string `json:"connectionId" schema:"id"` // a socket id
}

func parseListRooms(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "connectionId")
	return &ListRooms{Op: op, ConnectionID: m.id("connectionId")}, m.err
}

// ReadPublish is a backend's question what has become of a publish. It is answered with a PublishStatus, or null for an id
// that was not published within 24 hours.
type ReadPublish struct {
	Op string `json:"op"`                                      // PublishesRead
	ID string `json:"id" schema:"text,max=MaxPublishIDLength"` // of the request, or of the answer where it says queued
}

func parseReadPublish(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "id")
	return &ReadPublish{Op: op, ID: m.publishID("id")}, m.err
}

// someone is a list of at least one and at most limit users, without repetition, in order.
func (m *members) someone(name string, limit int) []string {
	users := m.ids(name, limit)
	if m.err == nil && len(users) == 0 {
		m.fail(name, "must name at least one user")
	}
	slices.Sort(users)
	return slices.Compact(users)
}
