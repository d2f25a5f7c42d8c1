package realtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// joinTries bounds how often a join that removals of its user keep overtaking starts again.
const joinTries = 3

// join puts the socket into the room of a conversation that its user takes part in: the room's row first, then the
// connection's record of it, so that an end in between leaves no row behind.
func (r *Receiver) join(ctx context.Context, m Message, in wire.Inbound) error {
	data, err := contract.ParseRoom(in.Data)
	if err != nil {
		return err
	}
	if err := r.Members.Allowed(ctx, m.Identity.UserID, data.ConversationID); err != nil {
		return err
	}
	room := contract.ConversationRoom(data.ConversationID)
	at, err := r.enter(ctx, m, data.ConversationID)
	if err != nil || at.IsZero() {
		return err
	}
	of := session{m.ConnectionID, m.Entered}
	recorder := &recorder{Connections: r.Connections, Recorded: r.Recorded, Rooms: r.Rooms, Limit: r.RoomsPerSocket}
	switch err := recorder.record(ctx, of, room, at); {
	case errors.Is(err, ErrFull):
		return &contract.Error{Code: contract.TooManyRooms, Message: fmt.Sprintf("this connection is in %d rooms already; leave one first", r.RoomsPerSocket)}
	case errors.Is(err, ErrNotFound) && !of.entered.IsZero():
		return errLate
	case errors.Is(err, ErrNotFound):
		return errDeaf
	case err != nil:
		return err
	}
	above, err := r.crowd.above(ctx, r.Timers, r.PresenceGlobalMax, r.Now())
	if err != nil || !above {
		return err
	}
	return r.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: m.Identity.UserID, Rooms: []string{room}, AtMS: r.Now().UnixMilli()}})
}

// enter writes the room's row and returns the instant that it has; zero: a later leave or join has it already.
func (r *Receiver) enter(ctx context.Context, m Message, conversation string) (time.Time, error) {
	room := contract.ConversationRoom(conversation)
	s := m.socket()
	at := m.At
	for range joinTries {
		err := r.Rooms.Join(ctx, room, s, at)
		conflict, overtaken := errors.AsType[*RoomConflict](err)
		if !overtaken {
			return at, err
		}
		// The user may have been removed since it was looked up; after a removal, only being a participant again counts.
		if err := r.Members.Allowed(ctx, s.UserID, conversation); err != nil {
			return time.Time{}, err
		}
		if conflict.Left != TakenOut {
			return time.Time{}, nil
		}
		at = conflict.At.Add(time.Millisecond)
	}
	return time.Time{}, fmt.Errorf("join %s: overtaken by %d removals", room, joinTries)
}

// leave takes the socket out of the room of a conversation. Leaving a room that it is not in succeeds.
func (r *Receiver) leave(ctx context.Context, m Message, in wire.Inbound) error {
	data, err := contract.ParseRoom(in.Data)
	if err != nil {
		return err
	}
	room := contract.ConversationRoom(data.ConversationID)
	s := m.socket()
	err = r.Rooms.Leave(ctx, room, s, LeftRoom, m.At)
	conflict, overtaken := errors.AsType[*RoomConflict](err)
	// A join after a removal is ahead of the clock, and no later one. A removal that is ahead has taken it out already.
	if overtaken && conflict.Left == Joined && conflict.At.After(r.Now()) {
		err = r.Rooms.Leave(ctx, room, s, LeftRoom, conflict.At)
		_, overtaken = errors.AsType[*RoomConflict](err)
	}
	if overtaken {
		return nil
	}
	return err
}

// crowdFor is how long a process believes the number of connections it read: sweep counts them once a minute.
const crowdFor = time.Minute

// crowd tells whether there are more connections than presence is global for. The zero crowd knows nothing yet.
type crowd struct {
	mu     sync.Mutex
	active int
	read   time.Time
}

func (c *crowd) above(ctx context.Context, timers Timers, limit int, now time.Time) (bool, error) {
	if limit == 0 {
		return false, nil
	}
	c.mu.Lock()
	active, known := c.active, !c.read.IsZero() && now.Sub(c.read) < crowdFor
	c.mu.Unlock()
	if known {
		return active > limit, nil
	}
	t, err := timers.Read(ctx)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	c.active, c.read = t.Active, now
	c.mu.Unlock()
	return t.Active > limit, nil
}
