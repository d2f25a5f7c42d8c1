package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

// clockSpread is how far API Gateway's clock, which orders joins, may be from a function's.
const clockSpread = time.Second

// Roster keeps who takes part in the conversations.
type Roster struct {
	Participants Participants
	Members      Members // the same table's
	Presences    Presences
	Rooms        Rooms
	Now          func() time.Time
}

// Do does what a backend asks of it, and answers with *contract.ParticipantsChanged or *contract.ParticipantsPage.
// After an error it may be done in part; asking again completes it.
func (r *Roster) Do(ctx context.Context, req *contract.Participants) (any, error) {
	if req.Op == contract.ParticipantsList {
		users, next, err := r.Participants.List(ctx, req.ConversationID, req.Next)
		return &contract.ParticipantsPage{Users: append([]string{}, users...), Next: next}, err
	}
	var add, remove []string
	switch req.Op {
	case contract.ParticipantsAdd:
		add = req.Users
	case contract.ParticipantsRemove:
		remove = req.Users
	case contract.ParticipantsSet:
		present, err := r.all(ctx, req.ConversationID)
		if err != nil {
			return nil, err
		}
		add = req.Users
		remove = slices.DeleteFunc(present, func(user string) bool { return slices.Contains(req.Users, user) })
	}
	var added, removed atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for _, user := range add {
		g.Go(func() error { return count(&added)(r.Participants.Add(gctx, req.ConversationID, user)) })
	}
	for _, user := range remove {
		g.Go(func() error { return count(&removed)(r.remove(gctx, req.ConversationID, user)) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w", req.ConversationID, err)
	}
	return &contract.ParticipantsChanged{Added: int(added.Load()), Removed: int(removed.Load())}, nil
}

func count(n *atomic.Int64) func(changed bool, err error) error {
	return func(changed bool, err error) error {
		if changed {
			n.Add(1)
		}
		return err
	}
}

// all lists everybody who takes part.
func (r *Roster) all(ctx context.Context, conversation string) (users []string, err error) {
	for after := ""; ; {
		page, next, err := r.Participants.List(ctx, conversation, after)
		if err != nil {
			return nil, err
		}
		users = append(users, page...)
		if next == "" {
			return users, nil
		}
		after = next
	}
}

// remove ends a user's part in a conversation, and takes the user's sockets out of the room: each gets a tombstone there that is
// ahead of the clock, even one that had not joined. So it also beats a join that looked the user up just before.
func (r *Roster) remove(ctx context.Context, conversation, user string) (bool, error) {
	was, err := r.Participants.Remove(ctx, conversation, user)
	if err != nil {
		return false, err
	}
	at := r.Now().Add(clockSpread)
	presence, err := r.Presences.Read(ctx, user)
	if err != nil {
		return was, err
	}
	for _, s := range presence.Sockets {
		if err := r.takeOut(ctx, conversation, s.Socket, at); err != nil {
			return was, err
		}
	}
	return was, nil
}

// takeOut takes one socket out of the room, unless it joined again because its user takes part again.
func (r *Roster) takeOut(ctx context.Context, conversation string, s Socket, at time.Time) error {
	room := contract.ConversationRoom(conversation)
	for range joinTries {
		err := r.Rooms.Leave(ctx, room, s, TakenOut, at)
		conflict, overtaken := errors.AsType[*RoomConflict](err)
		if !overtaken {
			return err
		}
		err = r.Members.Allowed(ctx, s.UserID, conversation)
		if refused, ok := errors.AsType[*contract.Error](err); !ok || refused.Code != contract.Forbidden {
			return err
		}
		at = conflict.At // joined after an earlier removal whose clock was ahead of ours
	}
	return fmt.Errorf("take %s out of %s: overtaken by %d joins", s.ID, room, joinTries)
}
