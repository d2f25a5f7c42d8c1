package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
)

const (
	// reachPause is how long control waits before it looks again for sockets that answered 410: a handshake takes some
	// milliseconds, as does the end of a connection.
	reachPause = time.Second
	// reachTime is how long it does so: a socket that is not in a handshake any more is removed when it answers 410.
	reachTime = handshakeGuard + 5*time.Second
)

// disconnect has publish send the sockets away. With a deny time it keeps their users out first: a connection that comes
// meanwhile either sees that, or is seen by publish.
func (c *Control) disconnect(ctx context.Context, req *contract.DisconnectSockets) (*contract.SocketsDisconnected, error) {
	answer := &contract.SocketsDisconnected{}
	if req.DenySeconds != nil {
		var err error
		if answer.Denied, answer.DeniedUntil, err = c.deny(ctx, req); err != nil {
			return nil, err
		}
	}
	var err error
	if answer.Published, err = c.sendAway(ctx, req, req.Users, req.Connections); err != nil {
		return nil, err
	}
	if len(answer.Denied) > 0 && answer.Published.Gone > 0 {
		err = c.sendAwayRest(ctx, req, answer)
	}
	return answer, err
}

// deny keeps the users out, or lets them in again where the time is 0, and returns whom it keeps out until when.
func (c *Control) deny(ctx context.Context, req *contract.DisconnectSockets) (users []string, untilMS *int64, err error) {
	if users, err = c.usersOf(ctx, req); err != nil {
		return nil, nil, err
	}
	var until time.Time
	if seconds := *req.DenySeconds; seconds > 0 {
		until = c.Now().Add(time.Duration(seconds)*time.Second + time.Second - time.Nanosecond).Truncate(time.Second) // rounded up
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for _, user := range users {
		g.Go(func() error { return c.Users.Deny(gctx, user, until) })
	}
	if err := g.Wait(); err != nil || until.IsZero() || len(users) == 0 {
		return nil, nil, err
	}
	return users, millis(until), nil
}

// usersOf are the users of a request and those of its connections.
func (c *Control) usersOf(ctx context.Context, req *contract.DisconnectSockets) ([]string, error) {
	users := make([]string, len(req.Connections))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for i, id := range req.Connections {
		g.Go(func() error {
			connection, err := c.Connections.Get(gctx, id)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			users[i] = connection.UserID
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := unique(append(users, req.Users...))
	if len(all) > 0 && all[0] == "" { // of connections that are not there, or nobody's
		all = all[1:]
	}
	return all, nil
}

// sendAway publishes system:disconnect to the sockets of users and to connections.
func (c *Control) sendAway(ctx context.Context, req *contract.DisconnectSockets, users, connections []string) (contract.Published, error) {
	published, err := c.Publishing.Publish(ctx, contract.Publish{
		Event:     contract.SystemDisconnect,
		Data:      encode(contract.Disconnect{Reason: req.Reason, Message: req.Message}),
		To:        &contract.Audience{Users: users, Connections: connections},
		Reconnect: req.Reconnect,
	})
	if err != nil {
		return contract.Published{}, fmt.Errorf("publish: %w", err)
	}
	return published, nil
}

// sendAwayRest tries again those that answered 410 and are still in the presence of a user who is kept out: they came before that,
// and their handshake was under way. A socket that has truly ended is removed from the presence when it answers 410 and is too old
// for a handshake. Whatever is there after reachTime, or at the end of the invocation's time, has failed.
func (c *Control) sendAwayRest(ctx context.Context, req *contract.DisconnectSockets, answer *contract.SocketsDisconnected) error {
	published := &answer.Published
	until := time.Now().Add(reachTime) // a stopwatch: no clock of the rules
	if end, ok := ctx.Deadline(); ok && end.Add(-endReserve).Before(until) {
		until = end.Add(-endReserve)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reachPause):
		}
		presences, err := c.Users.ReadAll(ctx, answer.Denied)
		if err != nil {
			return err
		}
		rest := meant(req, presences)
		if len(rest) == 0 {
			return nil
		}
		if time.Now().After(until) {
			n := min(len(rest), published.Gone)
			published.Gone, published.Failed = published.Gone-n, published.Failed+n
			return nil
		}
		for some := range slices.Chunk(rest, contract.MaxAudience) {
			again, err := c.sendAway(ctx, req, nil, some)
			if err != nil {
				return err
			}
			n := min(again.Delivered, published.Gone) // one that failed is there at the next look
			published.Gone, published.Delivered = published.Gone-n, published.Delivered+n
		}
	}
}

// meant are those sockets that the request names, or whose user it names.
func meant(req *contract.DisconnectSockets, presences []Presence) (ids []string) {
	for _, presence := range presences {
		for _, s := range presence.Sockets {
			if slices.Contains(req.Users, s.UserID) || slices.Contains(req.Connections, s.ID) {
				ids = append(ids, s.ID)
			}
		}
	}
	return ids
}
