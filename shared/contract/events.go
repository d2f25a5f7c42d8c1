// Package contract is the realtime event contract as Go: events, payloads, rooms, codes, limits, and the requests a
// backend sends. It is what clients and backends see, and nothing else; the rules are in shared/realtime.
package contract

import "encoding/json"

// Namespace is the Socket.IO namespace that all events are scoped to.
const Namespace = "/ws/app"

// Events that the server sends.
const (
	NotificationsReady = "notifications:ready" // the socket is in its user's personal room: a publish reaches it
	NotificationsNew   = "notifications:new"   // a notification for the user
	MessagesNew        = "messages:new"        // a message entered a conversation
	MessagesUpdated    = "messages:updated"    // the author edited a message
	MessagesDeleted    = "messages:deleted"    // a message was soft-deleted: its status is "deleted" and its deletedAt is set
	PresenceUpdate     = "presence:update"     // a user's presence changed: connect, heartbeat, disconnect
	ErrorEvent         = "error"               // something went wrong with the socket, or with an event that asked for no ack
	SystemDisconnect   = "system:disconnect"   // the server closes the connection next, by an administrator's decision
)

// Events that clients send.
const (
	PresenceHeartbeat  = "presence:heartbeat"  // refreshes the user's presence; a payload is ignored
	ConversationsJoin  = "conversations:join"  // subscribes the socket to a conversation; its user must take part in it
	ConversationsLeave = "conversations:leave" // ends the socket's subscription to a conversation
)

// The structs of this package are the source of the schemas and types in events/contract: member by member with name, comment
// and, where the type does not say enough, a schema tag. Its words are those of the parsers here: id, text (not empty), millis,
// dto=<type parameter> (any JSON value but null), open (a code that may also be another's), enum=<words>, min=<number>,
// max=<constant>, some (one of the members with this word must have something).

// Ready is the payload of notifications:ready.
type Ready struct {
	Message string `json:"message" schema:"text"` // for people
	UserID  string `json:"userId" schema:"id"`    // whom the token names
}

// NewNotification is the payload of notifications:new.
type NewNotification struct {
	EventKey     string          `json:"eventKey" schema:"text"`                 // logical channel, e.g. task.assigned
	Notification json.RawMessage `json:"notification" schema:"dto=Notification"` // NotificationDTO of the REST API, passed byte for byte
}

// Message is the payload of messages:new, messages:updated and messages:deleted.
type Message struct {
	ConversationID string          `json:"conversationId" schema:"id"`
	Message        json.RawMessage `json:"message" schema:"dto=Message"` // MessageDTO of the REST API, passed byte for byte
	SenderID       string          `json:"senderId" schema:"id"`
	Recipients     []string        `json:"recipients" schema:"id"` // participants who receive it
}

// PresenceSnapshot is the payload of presence:update: whether a user is there, and with which sockets.
type PresenceSnapshot struct {
	UserID   string           `json:"userId" schema:"id"`
	IsOnline bool             `json:"isOnline"`                 // at least one live socket
	LastSeen *int64           `json:"lastSeen" schema:"millis"` // Unix epoch milliseconds; null is unknown
	Sockets  []PresenceSocket `json:"sockets"`                  // none when offline
}

// PresenceSocket is one live socket of a user.
type PresenceSocket struct {
	SocketID    string  `json:"socketId" schema:"text"`      // the client's socket.id; to.connections takes it
	ConnectedAt *int64  `json:"connectedAt" schema:"millis"` // Unix epoch milliseconds; null is unknown
	LastSeen    *int64  `json:"lastSeen" schema:"millis"`    // Unix epoch milliseconds; null is unknown
	UserAgent   *string `json:"userAgent"`                   // null for everyone but the user, unless PRESENCE_CLIENT_INFO=all
	IP          *string `json:"ip"`                          // as userAgent
}

// Masked is the snapshot as everyone but the user sees it: without userAgent and ip.
func (s PresenceSnapshot) Masked() PresenceSnapshot {
	sockets := make([]PresenceSocket, len(s.Sockets))
	for i, socket := range s.Sockets {
		socket.UserAgent, socket.IP = nil, nil
		sockets[i] = socket
	}
	s.Sockets = sockets
	return s
}

// SocketError is the payload of error.
type SocketError struct {
	Code    Code   `json:"code" schema:"text,open"` // a backend may publish others
	Message string `json:"message" schema:"text"`   // for people
}

// Disconnect is the payload of system:disconnect.
type Disconnect struct {
	Reason  string `json:"reason" schema:"text"`            // for programs, e.g. maintenance
	Message string `json:"message,omitempty" schema:"text"` // for people
}

// Room is what conversations:join and conversations:leave carry.
type Room struct {
	ConversationID string `json:"conversationId" schema:"id"`
}

// Ack is the answer to an inbound event that asked for one. A code and a message are there when success is false.
type Ack struct {
	Success bool   `json:"success"`
	Code    Code   `json:"code,omitempty"`
	Message string `json:"message,omitempty" schema:"text"` // for people
}
