// Package contract is the realtime event contract as Go: events, payloads, rooms, codes, limits, and the requests a
// backend sends. It is what clients and backends see, and nothing else; the rules are in shared/realtime.
package contract

import "encoding/json"

// Namespace is the Socket.IO namespace that all events are scoped to.
const Namespace = "/ws/app"

// Events that the server sends.
const (
	NotificationsReady = "notifications:ready"
	NotificationsNew   = "notifications:new"
	MessagesNew        = "messages:new"
	MessagesUpdated    = "messages:updated"
	MessagesDeleted    = "messages:deleted"
	PresenceUpdate     = "presence:update"
	ErrorEvent         = "error"
	SystemDisconnect   = "system:disconnect" // reserved in the contract; publishing it works
)

// Events that clients send.
const (
	PresenceHeartbeat  = "presence:heartbeat"
	ConversationsJoin  = "conversations:join"
	ConversationsLeave = "conversations:leave"
)

// Ready is the payload of notifications:ready.
type Ready struct {
	Message string `json:"message"`
	UserID  string `json:"userId"`
}

// NewNotification is the payload of notifications:new.
type NewNotification struct {
	EventKey     string          `json:"eventKey"`     // logical channel, e.g. task.assigned
	Notification json.RawMessage `json:"notification"` // NotificationDTO, opaque: passed byte for byte
}

// Message is the payload of messages:new, messages:updated and messages:deleted.
type Message struct {
	ConversationID string          `json:"conversationId"`
	Message        json.RawMessage `json:"message"` // MessageDTO, opaque: passed byte for byte
	SenderID       string          `json:"senderId"`
	Recipients     []string        `json:"recipients"` // participant ids
}

// PresenceSnapshot is the payload of presence:update. Instants are Unix epoch milliseconds; null is unknown.
type PresenceSnapshot struct {
	UserID   string           `json:"userId"`
	IsOnline bool             `json:"isOnline"` // at least one live socket
	LastSeen *int64           `json:"lastSeen"`
	Sockets  []PresenceSocket `json:"sockets"` // never null
}

// PresenceSocket is one live socket of a PresenceSnapshot.
type PresenceSocket struct {
	SocketID    string  `json:"socketId"`
	ConnectedAt *int64  `json:"connectedAt"`
	LastSeen    *int64  `json:"lastSeen"`
	UserAgent   *string `json:"userAgent"` // null for everyone but the user, unless PRESENCE_CLIENT_INFO=all
	IP          *string `json:"ip"`        // as UserAgent
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
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Disconnect is the payload of system:disconnect.
type Disconnect struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
}

// Room is what conversations:join and conversations:leave carry.
type Room struct {
	ConversationID string `json:"conversationId"`
}

// Ack is the answer to an inbound event that asked for one. Code and Message are set when Success is false.
type Ack struct {
	Success bool   `json:"success"`
	Code    Code   `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}
