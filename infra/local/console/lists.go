package console

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/shared/realtime"
)

// maxWindow is how much of a list a page gets at once.
const maxWindow = 200

// list is a window of a list, in its order, of what matches.
type list[T any] struct {
	Total   int `json:"total"`   // without the search
	Matched int `json:"matched"` // with it
	Offset  int `json:"offset"`  // of Rows in what matches
	Rows    []T `json:"rows"`
}

// window is the part of a list that a request asks for: offset, limit, and q to search for.
type window struct {
	offset, limit int
	search        string
}

func windowOf(r *http.Request) window {
	query := r.URL.Query()
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(query.Get(name))
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	return window{number("offset", 0), min(number("limit", maxWindow), maxWindow), strings.ToLower(strings.TrimSpace(query.Get("q")))}
}

// match tells whether one of the texts has what is searched for.
func (w window) match(texts ...string) bool {
	return w.search == "" || slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), w.search) })
}

// cut is the window of what matches; show makes a row of each entry in it.
func cut[T, R any](w window, all []T, match func(T) bool, show func(T) R) list[R] {
	l := list[R]{Total: len(all), Rows: []R{}}
	for _, entry := range all {
		if !match(entry) {
			continue
		}
		if l.Matched >= w.offset && len(l.Rows) < w.limit {
			l.Rows = append(l.Rows, show(entry))
		}
		l.Matched++
	}
	l.Offset = min(w.offset, l.Matched)
	return l
}

// Where a connection is. Sweep ends the difference.
const (
	stateOpen   = "open"
	stateNoRow  = "no row"    // at the gateway, and not in the table: its token was refused, or it is about to be recorded
	stateNobody = "no user"   // a Socket.IO client that is not in the namespace
	stateNoLine = "no socket" // in the table, and not at the gateway: its $disconnect is on its way, or was lost
)

// connection is a row of the list of connections. Instants are Unix epoch milliseconds; 0 is none.
type connection struct {
	ID          string   `json:"id"`
	User        string   `json:"user"`
	Protocol    string   `json:"protocol"`
	State       string   `json:"state"`
	IP          string   `json:"ip"`
	UserAgent   string   `json:"userAgent"`
	ConnectedAt int64    `json:"connectedAt"`
	LastSeen    int64    `json:"lastSeen"`   // as presence has it
	LastActive  int64    `json:"lastActive"` // a message, either way
	TokenExpiry int64    `json:"tokenExpiry"`
	Queued      int      `json:"queued"` // bytes that the client has not taken yet
	Rooms       []string `json:"rooms"`  // that it is in
}

// found is a connection as the gateway and the table have it, either of which may be nil.
type found struct {
	id   string
	at   time.Time
	line *gateway.Info
	row  *realtime.Connection
}

// list lists connections, the newest first. seen is whether the table can be looked into. It holds up the table for no longer than it takes
// to copy pointers.
func (t *rows) list(w window, lines []gateway.Info, seen bool) list[connection] {
	all := t.found(lines)
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(a.id, b.id)) })
	return cut(w, all, func(f found) bool { return f.matches(w, seen) }, func(f found) connection { return t.show(f, seen) })
}

func (t *rows) found(lines []gateway.Info) []found {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]found, 0, max(len(lines), len(t.connections)))
	open := make(map[string]bool, len(lines))
	for i := range lines {
		line := &lines[i]
		open[line.ID] = true
		all = append(all, found{line.ID, line.ConnectedAt, line, t.connections[line.ID]})
	}
	for id, row := range t.connections {
		if !open[id] {
			all = append(all, found{id, row.ConnectedAt, nil, row})
		}
	}
	return all
}

func (f found) matches(w window, seen bool) bool {
	if w.match(f.id, f.state(seen)) || f.line != nil && w.match(f.line.SourceIP, f.line.UserAgent) {
		return true
	}
	return f.row != nil && (w.match(f.row.UserID, string(f.row.Protocol)) || slices.ContainsFunc(f.row.Rooms, func(room string) bool { return w.match(room) }))
}

func (f found) state(seen bool) string {
	switch {
	case f.line == nil:
		return stateNoLine
	case !seen:
		return stateOpen
	case f.row == nil:
		return stateNoRow
	case f.row.UserID == "":
		return stateNobody
	}
	return stateOpen
}

func (t *rows) show(f found, seen bool) connection {
	c := connection{ID: f.id, State: f.state(seen), ConnectedAt: millis(f.at), Rooms: []string{}}
	if f.line != nil {
		c.IP, c.UserAgent, c.LastActive, c.Queued = f.line.SourceIP, f.line.UserAgent, millis(f.line.LastActiveAt), f.line.Queued
	}
	if f.row == nil {
		return c
	}
	c.User, c.Protocol, c.TokenExpiry = f.row.UserID, string(f.row.Protocol), millis(f.row.TokenExpiry)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.presences[f.row.UserID]; p != nil {
		for _, s := range p.Sockets {
			if s.ID == f.id {
				c.LastSeen, c.IP, c.UserAgent = millis(s.LastSeen), cmp.Or(c.IP, s.IP), cmp.Or(c.UserAgent, s.UserAgent)
			}
		}
	}
	for _, name := range f.row.Rooms {
		if r := t.rooms[name]; r != nil {
			if _, in := r.sockets[f.id]; in {
				c.Rooms = append(c.Rooms, name)
			}
		}
	}
	slices.Sort(c.Rooms)
	return c
}

// roomRow is a row of the list of rooms.
type roomRow struct {
	Name         string `json:"name"`
	Sockets      int    `json:"sockets"`
	Participants int    `json:"participants"`
}

// listRooms lists conversations and groups, by name.
func (t *rows) listRooms(w window) list[roomRow] {
	t.mu.RLock()
	names := slices.Collect(maps.Keys(t.rooms))
	t.mu.RUnlock()
	slices.Sort(names)
	return cut(w, names, func(name string) bool { return w.match(name) }, func(name string) roomRow {
		t.mu.RLock()
		defer t.mu.RUnlock()
		r := t.rooms[name]
		if r == nil {
			return roomRow{Name: name} // everybody has left meanwhile
		}
		return roomRow{name, len(r.sockets), len(r.participants)}
	})
}

// roomPage is a room with its first maxWindow sockets and participants.
type roomPage struct {
	roomRow
	In    []roomSocket `json:"in"`
	Users []string     `json:"users"`
}

type roomSocket struct {
	ID       string `json:"id"`
	User     string `json:"user"`
	Protocol string `json:"protocol"`
	JoinedAt int64  `json:"joinedAt"`
}

func (t *rows) roomPage(name string) (roomPage, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.rooms[name]
	if r == nil {
		return roomPage{}, false
	}
	page := roomPage{roomRow: roomRow{name, len(r.sockets), len(r.participants)}, In: []roomSocket{}, Users: []string{}}
	for _, id := range first(slices.Sorted(maps.Keys(r.sockets))) {
		s := r.sockets[id]
		page.In = append(page.In, roomSocket{id, s.Socket.UserID, string(s.Socket.Protocol), millis(s.At)})
	}
	page.Users = append(page.Users, first(slices.Sorted(maps.Keys(r.participants)))...)
	return page, true
}

func first(all []string) []string { return all[:min(len(all), maxWindow)] }

// user is a row of the list of users.
type user struct {
	User     string       `json:"user"`
	Online   bool         `json:"online"`
	LastSeen int64        `json:"lastSeen"`
	Version  int64        `json:"version"`
	Sockets  []userSocket `json:"sockets"`
}

type userSocket struct {
	ID          string `json:"id"`
	Protocol    string `json:"protocol"`
	IP          string `json:"ip"`
	UserAgent   string `json:"userAgent"`
	ConnectedAt int64  `json:"connectedAt"`
	LastSeen    int64  `json:"lastSeen"`
}

// listUsers lists presence: who is online first, then by name.
func (t *rows) listUsers(w window) list[user] {
	t.mu.RLock()
	all := slices.Collect(maps.Values(t.presences))
	t.mu.RUnlock()
	slices.SortFunc(all, func(a, b *realtime.Presence) int {
		offline := func(p *realtime.Presence) int { return 1 - min(len(p.Sockets), 1) }
		return cmp.Or(offline(a)-offline(b), strings.Compare(a.UserID, b.UserID))
	})
	match := func(p *realtime.Presence) bool {
		return w.match(p.UserID) || slices.ContainsFunc(p.Sockets, func(s realtime.PresenceSocket) bool { return w.match(s.ID, s.IP, s.UserAgent) })
	}
	return cut(w, all, match, func(p *realtime.Presence) user {
		u := user{User: p.UserID, Online: len(p.Sockets) > 0, LastSeen: millis(p.LastSeen), Version: p.Version, Sockets: []userSocket{}}
		for _, s := range p.Sockets {
			u.Sockets = append(u.Sockets, userSocket{s.ID, string(s.Protocol), s.IP, s.UserAgent, millis(s.ConnectedAt), millis(s.LastSeen)})
		}
		return u
	})
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
