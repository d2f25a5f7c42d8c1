package realtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

// group brings the users' present sockets into a group's room, or out of it. Two requests at once take effect in the order
// in which they began, by the functions' clocks, for all sockets alike.
func (c *Control) group(ctx context.Context, req *contract.Group) (*contract.GroupChanged, error) {
	at := c.Now()
	presences, err := c.Users.ReadAll(ctx, req.Users)
	if err != nil {
		return nil, err
	}
	room, move := contract.GroupRoom(req.GroupID), c.enterRoom
	if req.Op == contract.GroupsLeave {
		move = c.leaveRoom
	}
	var mu sync.Mutex
	answer := &contract.GroupChanged{Refused: []contract.SocketRefused{}}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for _, presence := range presences {
		for _, s := range presence.Sockets {
			g.Go(func() error {
				refused, err := move(gctx, room, s, at)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					return err
				case refused != "":
					answer.Refused = append(answer.Refused, contract.SocketRefused{SocketID: s.ID, UserID: s.UserID, Reason: refused})
				default:
					answer.Sockets++
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w", req.GroupID, err)
	}
	return answer, nil
}

// enterRoom puts the socket into the room as of at: the room's row first, then the connection's record of it, as a client's
// own join does.
func (c *Control) enterRoom(ctx context.Context, room string, s PresenceSocket, at time.Time) (contract.Refusal, error) {
	for range joinTries {
		err := c.Rooms.Join(ctx, room, s.Socket, at)
		conflict, overtaken := errors.AsType[*RoomConflict](err)
		switch {
		case err == nil:
			return c.recordRoom(ctx, room, s, at)
		case !overtaken:
			return "", err
		case conflict.Left == Joined: // by another request, which records it too
			return c.recordRoom(ctx, room, s, conflict.At)
		case !conflict.At.After(c.Now()):
			return contract.RefusedOvertaken, nil
		}
		at = conflict.At.Add(time.Millisecond) // it has left by a clock that is ahead of ours
	}
	return contract.RefusedOvertaken, nil
}

func (c *Control) recordRoom(ctx context.Context, room string, s PresenceSocket, at time.Time) (contract.Refusal, error) {
	recorder := &recorder{Connections: c.Connections, Recorded: c.Recorded, Rooms: c.Rooms, Limit: c.RoomsPerSocket}
	switch err := recorder.record(ctx, session{s.ID, s.Entered}, room, at); {
	case errors.Is(err, ErrFull):
		return contract.RefusedTooManyRooms, nil
	case errors.Is(err, ErrNotFound):
		return contract.RefusedGone, nil
	default:
		return "", err
	}
}

// leaveRoom takes the socket out of the room as of at, whether or not it is in it.
func (c *Control) leaveRoom(ctx context.Context, room string, s PresenceSocket, at time.Time) (contract.Refusal, error) {
	for range joinTries {
		err := c.Rooms.Leave(ctx, room, s.Socket, LeftRoom, at)
		conflict, overtaken := errors.AsType[*RoomConflict](err)
		switch {
		case !overtaken:
			return "", err
		case conflict.Left != Joined: // another request has taken it out
			return "", nil
		case !conflict.At.After(c.Now()):
			return contract.RefusedOvertaken, nil
		}
		at = conflict.At // it has joined by a clock that is ahead of ours
	}
	return contract.RefusedOvertaken, nil
}
