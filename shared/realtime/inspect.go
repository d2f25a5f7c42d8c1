package realtime

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

// presence reads who is there, as the users themselves see it.
func (c *Control) presence(ctx context.Context, req *contract.ReadPresence) (*contract.PresenceList, error) {
	timer, err := c.Timers.Read(ctx)
	if err != nil {
		return nil, err
	}
	presences, err := c.Users.ReadAll(ctx, req.Users)
	if err != nil {
		return nil, err
	}
	answer := &contract.PresenceList{Presence: make([]contract.PresenceSnapshot, len(presences))}
	for i, p := range presences {
		answer.Presence[i] = p.snapshot(req.Users[i], timer)
	}
	return answer, nil
}

// connections lists a user's connections.
func (c *Control) connections(ctx context.Context, req *contract.ListConnections) (*contract.UserConnections, error) {
	timer, err := c.Timers.Read(ctx)
	if err != nil {
		return nil, err
	}
	presences, err := c.Users.ReadAll(ctx, []string{req.UserID})
	if err != nil {
		return nil, err
	}
	p := presences[0]
	answer := &contract.UserConnections{UserID: req.UserID, Connections: make([]contract.Connection, len(p.Sockets))}
	if p.DeniedUntil.After(c.Now()) {
		answer.DeniedUntil = millis(p.DeniedUntil)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for i, shown := range p.snapshot(req.UserID, timer).Sockets {
		g.Go(func() error {
			row, rooms, err := c.look(gctx, shown.SocketID)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			answer.Connections[i] = contract.Connection{
				SocketID:    shown.SocketID,
				Protocol:    string(p.Sockets[i].Protocol),
				ConnectedAt: p.Sockets[i].ConnectedAt.UnixMilli(),
				LastSeen:    shown.LastSeen,
				TokenExpiry: millis(row.TokenExpiry),
				UserAgent:   shown.UserAgent,
				IP:          shown.IP,
				Rooms:       rooms,
			}
			return nil
		})
	}
	return answer, g.Wait()
}

// rooms lists the rooms of a connection; nil where it is not there, or has no user yet.
func (c *Control) rooms(ctx context.Context, req *contract.ListRooms) (*contract.ConnectionRooms, error) {
	row, rooms, err := c.look(ctx, req.ConnectionID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // the contract's null
	}
	if err != nil {
		return nil, err
	}
	return &contract.ConnectionRooms{
		ConnectionID: row.ID,
		UserID:       row.UserID,
		Protocol:     string(row.Protocol),
		ConnectedAt:  row.ConnectedAt.UnixMilli(),
		Rooms:        rooms,
	}, nil
}

// publish tells what has become of a publish; nil where there is none with that id.
func (c *Control) publish(ctx context.Context, req *contract.ReadPublish) (*contract.PublishStatus, error) {
	status, err := c.Publishes.Read(ctx, req.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // the contract's null
	}
	if err != nil {
		return nil, err
	}
	return &status, nil
}

// look reads a connection and the rooms that it is in, never nil. ErrNotFound: it is not there, has ended, or has no user.
func (c *Control) look(ctx context.Context, id string) (row Connection, rooms []string, err error) {
	rooms = []string{}
	row, err = c.Connections.Get(ctx, id)
	switch {
	case err != nil:
		return row, rooms, err
	case row.UserID == "" || !row.Gone.IsZero():
		return Connection{}, rooms, ErrNotFound
	}
	left, err := c.Rooms.Without(ctx, id, row.Rooms)
	for _, room := range row.Rooms {
		if !slices.Contains(left, room) {
			rooms = append(rooms, room)
		}
	}
	slices.Sort(rooms)
	return row, rooms, err
}
