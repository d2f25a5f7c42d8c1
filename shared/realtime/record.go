package realtime

import (
	"context"
	"errors"
	"slices"
	"time"
)

// recorder notes the rooms of connections in their rows, so that the end of a connection finds them.
type recorder struct {
	Connections Connections
	Recorded    ConnectionRooms
	Rooms       Rooms
	Limit       int // rooms of a connection
}

// session is a connection, or one of the times that a Socket.IO client is in the namespace on it.
type session struct {
	id      string
	entered time.Time // zero for a JSON client
}

// record notes the room that the session joined at that time, and makes place for it by dropping rooms that were left.
// A room that cannot be noted is not joined: its row goes again. ErrFull: there are Limit others. ErrNotFound: the
// session has ended. A write that fails where the room is noted already has nothing left to do: the socket stays in it.
func (r *recorder) record(ctx context.Context, s session, room string, at time.Time) error {
	err := r.Recorded.AddRoom(ctx, s.id, s.entered, room, r.Limit)
	for try, dropped := 0, true; errors.Is(err, ErrFull) && dropped && try < joinTries; try++ { // a late join may take the place
		if dropped, err = r.dropLeft(ctx, s); err == nil {
			err = r.Recorded.AddRoom(ctx, s.id, s.entered, room, r.Limit)
		}
	}
	if err == nil || !errors.Is(err, ErrFull) && !errors.Is(err, ErrNotFound) && r.noted(ctx, s, room) {
		return nil
	}
	if derr := r.Rooms.Delete(ctx, room, s.id, at); derr != nil {
		return derr
	}
	return err
}

// noted tells whether the session certainly has the room in its record, by a join before, or by a write whose answer was lost.
func (r *recorder) noted(ctx context.Context, s session, room string) bool {
	c, err := r.Connections.Get(ctx, s.id)
	return err == nil && c.UserID != "" && c.Entered.Equal(s.entered) && c.Gone.IsZero() && slices.Contains(c.Rooms, room)
}

// dropLeft drops the rooms that the connection is no longer in from its record, and tells whether there were any.
func (r *recorder) dropLeft(ctx context.Context, s session) (dropped bool, err error) {
	c, err := r.Connections.Get(ctx, s.id)
	if err != nil {
		return false, err
	}
	left, err := r.Rooms.Without(ctx, s.id, c.Rooms)
	if err != nil || len(left) == 0 {
		return false, err
	}
	if err := r.Recorded.DropRooms(ctx, s.id, left); err != nil {
		return false, err
	}
	still, err := r.Rooms.Without(ctx, s.id, left)
	if err != nil {
		return false, err
	}
	for _, room := range left { // joined again between the look and the write
		if !slices.Contains(still, room) {
			if err := r.Recorded.AddRoom(ctx, s.id, s.entered, room, r.Limit); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}
