package console

import (
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

// rows is what the embedded table has, as it tells of every change. It costs no request, so that nothing of the console is among the
// units that it shows.
type rows struct {
	now func() time.Time

	mu          sync.RWMutex
	items       map[table.Key]any               // as store.Decode has them
	connections map[string]*realtime.Connection // replaced, never changed, and so are the others
	presences   map[string]*realtime.Presence
	online      int
	rooms       map[string]*room
	version     uint64 // grows with every change
}

// room is who is in a room, and who may be.
type room struct {
	sockets      map[string]store.RoomSocket // by connection
	participants map[string]bool             // users
}

func newRows(now func() time.Time) *rows {
	return &rows{
		now: now, items: map[table.Key]any{}, connections: map[string]*realtime.Connection{},
		presences: map[string]*realtime.Presence{}, rooms: map[string]*room{},
	}
}

// changed is table.Options.Changed.
func (t *rows) changed(k table.Key, item map[string]types.AttributeValue) {
	var now any
	if item != nil {
		now, _ = store.Decode(item, t.now) // whatever has been written by hand and cannot be read is not shown
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	if before, ok := t.items[k]; ok {
		delete(t.items, k)
		t.take(before)
	}
	if now != nil {
		t.items[k] = now
		t.put(now)
	}
}

func (t *rows) put(item any) {
	switch item := item.(type) {
	case realtime.Connection:
		t.connections[item.ID] = &item
	case realtime.Presence:
		t.presences[item.UserID] = &item
		if len(item.Sockets) > 0 {
			t.online++
		}
	case store.RoomSocket:
		if item.Left == realtime.Joined {
			t.room(item.Room).sockets[item.Socket.ID] = item
		}
	case store.Participant:
		t.room(contract.ConversationRoom(item.Conversation)).participants[item.User] = true
	}
}

func (t *rows) take(item any) {
	switch item := item.(type) {
	case realtime.Connection:
		delete(t.connections, item.ID)
	case realtime.Presence:
		delete(t.presences, item.UserID)
		if len(item.Sockets) > 0 {
			t.online--
		}
	case store.RoomSocket:
		delete(t.room(item.Room).sockets, item.Socket.ID)
		t.drop(item.Room)
	case store.Participant:
		name := contract.ConversationRoom(item.Conversation)
		delete(t.room(name).participants, item.User)
		t.drop(name)
	}
}

func (t *rows) room(name string) *room {
	r := t.rooms[name]
	if r == nil {
		r = &room{sockets: map[string]store.RoomSocket{}, participants: map[string]bool{}}
		t.rooms[name] = r
	}
	return r
}

// drop forgets a room that has nobody.
func (t *rows) drop(name string) {
	if r := t.rooms[name]; r != nil && len(r.sockets)+len(r.participants) == 0 {
		delete(t.rooms, name)
	}
}

// user is whose connection it is, "" when nobody's, or no longer.
func (t *rows) user(connection string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if c := t.connections[connection]; c != nil {
		return c.UserID
	}
	return ""
}

// counts of what there is, exact at any load.
type counts struct {
	Open    int    `json:"open"` // connections at the gateway
	Rows    int    `json:"rows"` // connections in the table
	Rooms   int    `json:"rooms"`
	Online  int    `json:"online"` // users with a socket
	Users   int    `json:"users"`  // users whose presence is known
	Version uint64 `json:"version"`
}

func (t *rows) counts() counts {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return counts{Rows: len(t.connections), Rooms: len(t.rooms), Online: t.online, Users: len(t.presences), Version: t.version}
}
