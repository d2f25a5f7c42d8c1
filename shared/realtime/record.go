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

// record notes the room that the connection joined at that time, and makes place for it by dropping rooms that were left.
// A room that cannot be noted is not joined: its row goes again. ErrFull: there are Limit others. ErrNotFound: the
// connection has ended, or has no user.
func (r *recorder) record(ctx context.Context, id, room string, at time.Time) error {
	err := r.Recorded.AddRoom(ctx, id, room, r.Limit)
	if errors.Is(err, ErrFull) {
		if err = r.dropLeft(ctx, id); err == nil {
			err = r.Recorded.AddRoom(ctx, id, room, r.Limit)
		}
	}
	if err == nil {
		return nil
	}
	if derr := r.Rooms.Delete(ctx, room, id, at); derr != nil {
		return derr
	}
	return err
}

// dropLeft drops the rooms that the connection is no longer in from its record.
func (r *recorder) dropLeft(ctx context.Context, id string) error {
	c, err := r.Connections.Get(ctx, id)
	if err != nil {
		return err
	}
	left, err := r.Rooms.Without(ctx, id, c.Rooms)
	if err != nil || len(left) == 0 {
		return err
	}
	if err := r.Recorded.DropRooms(ctx, id, left); err != nil {
		return err
	}
	still, err := r.Rooms.Without(ctx, id, left)
	if err != nil {
		return err
	}
	for _, room := range left { // joined again between the look and the write
		if !slices.Contains(still, room) {
			if err := r.Recorded.AddRoom(ctx, id, room, r.Limit); err != nil {
				return err
			}
		}
	}
	return nil
}
