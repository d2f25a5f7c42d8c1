package contract

// GroupChanged answers groups.join and groups.leave. Of the users' present sockets each is counted or refused.
type GroupChanged struct {
	Sockets int             `json:"sockets"` // how many are in the room now, or out of it
	Refused []SocketRefused `json:"refused"` // those that are not
}

// SocketRefused is a socket that did not come into a group's room, or out of it.
type SocketRefused struct {
	SocketID string  `json:"socketId" schema:"text"`
	UserID   string  `json:"userId" schema:"id"`
	Reason   Refusal `json:"reason"`
}

// Refusal is why a socket was refused.
type Refusal string

// Refusals of groups.join; only RefusedOvertaken is one of groups.leave too.
const (
	RefusedTooManyRooms Refusal = "too_many_rooms" // the connection is in ROOMS_PER_CONNECTION_MAX rooms
	RefusedGone         Refusal = "gone"           // it has ended meanwhile
	RefusedOvertaken    Refusal = "overtaken"      // a request that came later has it
)

// SocketsDisconnected answers sockets.disconnect.
type SocketsDisconnected struct {
	Published   Published `json:"published"`                             // what became of system:disconnect
	Denied      []string  `json:"denied,omitempty" schema:"id"`          // with denySeconds above 0: the users who may not connect
	DeniedUntil *int64    `json:"deniedUntil,omitempty" schema:"millis"` // with denied: until then, Unix epoch milliseconds
}

// PresenceList answers presence.read, in the order of the request's users. Backends see userAgent and ip. A user who was
// never seen is offline, with lastSeen null.
type PresenceList struct {
	Presence []PresenceSnapshot `json:"presence"` // in the order of the request's users
}

// UserConnections answers connections.list.
type UserConnections struct {
	UserID      string       `json:"userId" schema:"id"`
	DeniedUntil *int64       `json:"deniedUntil" schema:"millis"` // sockets.disconnect keeps the user out until then, Unix epoch milliseconds; null: it does not
	Connections []Connection `json:"connections"`                 // in the order in which they came
}

// Connection is a connection as a backend sees it. Instants are Unix epoch milliseconds.
type Connection struct {
	SocketID    string   `json:"socketId" schema:"text"`
	Protocol    string   `json:"protocol" schema:"enum=json socketio"`
	ConnectedAt int64    `json:"connectedAt" schema:"millis"` // Unix epoch milliseconds
	LastSeen    *int64   `json:"lastSeen" schema:"millis"`    // Unix epoch milliseconds; null is unknown
	TokenExpiry *int64   `json:"tokenExpiry" schema:"millis"` // Unix epoch milliseconds; null: its token never expires
	UserAgent   *string  `json:"userAgent"`
	IP          *string  `json:"ip"`
	Rooms       []string `json:"rooms"` // that it is in, besides its user's; in order
}

// ConnectionRooms answers rooms.list. The answer is null for a connection that is not there, or has no user yet.
type ConnectionRooms struct {
	ConnectionID string   `json:"connectionId" schema:"text"`
	UserID       string   `json:"userId" schema:"id"`
	Protocol     string   `json:"protocol" schema:"enum=json socketio"`
	ConnectedAt  int64    `json:"connectedAt" schema:"millis"` // Unix epoch milliseconds
	Rooms        []string `json:"rooms"`                       // that it is in, besides its user's; in order
}
