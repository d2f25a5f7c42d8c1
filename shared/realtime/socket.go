// Package realtime has the rules of the service: what happens when a connection opens, speaks, falls silent or ends, and
// when a backend publishes. It knows nothing of AWS; ports.go has what it needs from outside.
package realtime

import (
	"slices"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// Identity is who a connection belongs to, as the authorizer found it at the handshake.
type Identity struct {
	UserID    string        // "" when refused
	ExpiresAt time.Time     // of the token, whole seconds; zero: never
	Protocol  wire.Protocol // fixed for the life of the connection
	Refused   contract.Code // why the token was refused; "" when it was not
}

// Connection is the transport and its row in the table. Instants are whole milliseconds.
type Connection struct {
	ID          string
	UserID      string
	Protocol    wire.Protocol
	ConnectedAt time.Time
	TokenExpiry time.Time // whole seconds; zero: the token never expires
	Rooms       []string  // every room it ever joined, unordered; some may have been left since
	Gone        time.Time // when it ended, if not all of it could be removed then, as before its connect was done: sweep does; zero: not so

	// Of a Socket.IO client, whose UserID is "" while it is not in the namespace.
	Was     string    // the user it had when it left the namespace; it comes back as no other
	Entered time.Time // when it came into the namespace
	Idle    time.Time // when it left the namespace; zero: it never did, or is in it
	Pong    time.Time // when its last pong came; zero: none has
}

// Socket is a connection as one of an audience: what a post needs to know of it.
type Socket struct {
	ID          string        `json:"id"`
	UserID      string        `json:"user"`
	Protocol    wire.Protocol `json:"protocol"`
	ConnectedAt time.Time     `json:"connectedAt"`
}

// PresenceSocket is a connection's entry in its user's presence.
type PresenceSocket struct {
	Socket
	Entered   time.Time // of a Socket.IO client: when it came into the namespace
	LastSeen  time.Time
	UserAgent string // first contract.MaxUserAgentBytes bytes; "" when the client sent none
	IP        string
}

// Presence is a user's sockets: the personal room, and what decides online and offline. The zero Presence is a user who
// was never seen.
type Presence struct {
	UserID      string
	Version     int64     // grows with each socket that comes or goes
	LastSeen    time.Time // zero: never
	DeniedUntil time.Time // whole seconds; until then no socket of the user may come; zero, or in the past: any may
	Sockets     []PresenceSocket
}

// stale lists sockets older than a connection can be: their end was missed altogether.
func (p Presence) stale(now time.Time) (ids []string) {
	for _, s := range p.Sockets {
		if now.Sub(s.ConnectedAt) > contract.MaxConnectionAge+10*time.Minute {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (p Presence) has(id string) bool {
	return slices.ContainsFunc(p.Sockets, func(s PresenceSocket) bool { return s.ID == id })
}

// Left says why a socket is no longer in a room that it was in.
type Left string

// The values are stored in the table.
const (
	Joined   Left = ""
	LeftRoom Left = "left"    // its client left
	TakenOut Left = "removed" // its user no longer takes part
)

// Job is work that the functions ask of publish, because only it posts to other connections. Exactly one member is set.
type Job struct {
	Open     *Open        `json:"open,omitempty"`
	Welcome  *Welcome     `json:"welcome,omitempty"`
	Refuse   *Refuse      `json:"refuse,omitempty"`
	Presence *PresenceJob `json:"presence,omitempty"`
	Verify   *Verify      `json:"verify,omitempty"`
	Fanout   *Fanout      `json:"fanout,omitempty"`
}

// Open sends a new Socket.IO client the packet without which it says nothing.
type Open struct {
	Connection string `json:"connection"`
}

// Welcome sends notifications:ready to a new connection, then the user's presence to everybody.
type Welcome struct {
	Connection string        `json:"connection"`
	User       string        `json:"user"`
	Protocol   wire.Protocol `json:"protocol,omitempty"` // "" is JSON
	Version    int64         `json:"v"`
	AtMS       int64         `json:"at"` // when it was asked, epoch milliseconds
}

// Refuse sends error to a connection that may not stay, and closes it.
type Refuse struct {
	Connection string               `json:"connection"`
	Error      contract.SocketError `json:"error"`
}

// PresenceJob sends a user's presence to everybody who may see it.
type PresenceJob struct {
	User    string   `json:"user"`
	Version int64    `json:"v,omitempty"`      // of the write that asked; 0: whatever is newest
	Rooms   []string `json:"rooms,omitempty"`  // above PRESENCE_GLOBAL_MAX: the rooms that hear it besides the user's own
	Missed  []Socket `json:"missed,omitempty"` // they alone hear it, and the user's own: an earlier post to them failed
	AtMS    int64    `json:"at"`               // when it was asked, epoch milliseconds
}

// Verify checks all sockets of a user and removes the dead.
type Verify struct {
	User string `json:"user"`
}

// Fanout posts a publish to a part of its audience: those of its shards that belong to the part.
type Fanout struct {
	ID      string   `json:"id"`
	Part    int      `json:"part"` // from 0
	Parts   int      `json:"parts"`
	Depth   int      `json:"depth"`             // invocations that have worked on this part before, one after another
	BegunMS int64    `json:"begun"`             // when the publish was split, epoch milliseconds
	Request []byte   `json:"request"`           // the publish request, to the byte: base64, because encoding/json would change JSON within JSON
	Rooms   []string `json:"rooms,omitempty"`   // who is in them
	All     bool     `json:"all,omitempty"`     // everybody
	Sockets []Socket `json:"sockets,omitempty"` // and these
}
