package realtime

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

// target is a socket of an audience, and the rooms of the table that led to it: their rows go when it is gone.
type target struct {
	Socket
	rooms []string
	gone  time.Time // when API Gateway said so; zero: it has not
}

// tooYoung tells whether it may have been in its handshake when API Gateway said that it is gone.
func (t target) tooYoung() bool { return t.gone.Sub(t.ConnectedAt) < handshakeGuard }

// targets is an audience: each socket once, by id.
type targets map[string]target

func (t targets) add(sockets []Socket, room string) {
	for _, s := range sockets {
		known := t[s.ID]
		known.Socket = s
		if room != "" {
			known.rooms = append(known.rooms, room)
		}
		t[s.ID] = known
	}
}

func (t targets) except(e contract.Except) {
	for id, s := range t {
		if slices.Contains(e.Users, s.UserID) || slices.Contains(e.Connections, id) {
			delete(t, id)
		}
	}
}

// audience is who a publish goes to, and where they were found.
type audience struct {
	sockets targets  // each once
	rooms   []string // of the table
	all     bool     // everybody
	direct  []Socket // of users and connections
}

// audience is the union of a request's rooms, users and connections, or the event's own audience where it names none,
// without the exceptions.
func (p *Publisher) audience(ctx context.Context, req *contract.Publish) (found audience, err error) {
	switch {
	case req.To != nil:
		found, err = p.union(ctx, *req.To)
	case req.Event == contract.PresenceUpdate:
		found, err = p.whoMaySee(ctx, req.Presence.UserID)
	default: // a messages event: ParsePublish wants To for all others
		found, err = p.union(ctx, contract.Audience{
			Users:         append(slices.Clone(req.Message.Recipients), req.Message.SenderID),
			Conversations: []string{req.Message.ConversationID},
		})
	}
	found.sockets.except(req.Except)
	return found, err
}

// whoMaySee is the audience of a user's presence.
func (p *Publisher) whoMaySee(ctx context.Context, user string) (audience, error) {
	who, err := p.observers(ctx, PresenceJob{})
	if err != nil {
		return audience{}, err
	}
	own, err := p.Presences.Read(ctx, user)
	who.sockets.add(own.sockets(), "")
	return audience{sockets: who.sockets, all: !who.limited, direct: own.sockets()}, err
}

func (p Presence) sockets() []Socket {
	list := make([]Socket, len(p.Sockets))
	for i, s := range p.Sockets {
		list[i] = s.Socket
	}
	return list
}

func (p *Publisher) union(ctx context.Context, a contract.Audience) (audience, error) {
	var (
		mu    sync.Mutex
		found = audience{sockets: targets{}, all: a.All}
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	read := func(room string, direct bool, list func() ([]Socket, error)) {
		g.Go(func() error {
			sockets, err := list()
			mu.Lock()
			defer mu.Unlock()
			found.sockets.add(sockets, room)
			if direct {
				found.direct = append(found.direct, sockets...)
			}
			return err
		})
	}
	for _, user := range unique(a.Users) {
		read("", true, func() ([]Socket, error) {
			presence, err := p.Presences.Read(ctx, user)
			return presence.sockets(), err
		})
	}
	for _, id := range unique(a.Connections) {
		read("", true, func() ([]Socket, error) { return p.socket(ctx, id) })
	}
	for _, id := range unique(a.Conversations) {
		found.rooms = append(found.rooms, contract.ConversationRoom(id))
	}
	for _, id := range unique(a.Groups) {
		found.rooms = append(found.rooms, contract.GroupRoom(id))
	}
	for _, room := range found.rooms {
		read(room, false, func() ([]Socket, error) { return p.Rooms.Sockets(ctx, room, 0) })
	}
	if a.All {
		read("", false, func() ([]Socket, error) { return p.Everyone.All(ctx, 0) })
	}
	return found, g.Wait()
}

// socket is the one with that id, if it is there and has not ended.
func (p *Publisher) socket(ctx context.Context, id string) ([]Socket, error) {
	c, err := p.Connections.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case c.UserID == "" || !c.Gone.IsZero():
		return nil, nil
	}
	return []Socket{c.socket()}, nil
}

func (c Connection) socket() Socket {
	return Socket{ID: c.ID, UserID: c.UserID, Protocol: c.Protocol, ConnectedAt: c.ConnectedAt}
}

func unique(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}
