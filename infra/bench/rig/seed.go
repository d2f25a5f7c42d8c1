package rig

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

// User is the n-th user's id.
func User(n int) string { return fmt.Sprintf("user-%06d", n) }

// connectionID is the n-th connection's, as long as API Gateway's and the same in every run.
func connectionID(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "connection %d", n))
	return base64.RawURLEncoding.EncodeToString(sum[:11]) + "="
}

// Seed writes what connects of so many users leave in the table: a socket each, connected at that time. They are there for everything but
// a client.
func (r *Rig) Seed(ctx context.Context, users int, protocol wire.Protocol, at time.Time) error {
	table := r.table()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for n := range users {
		group.Go(func() error {
			s := socket(n, protocol, at)
			if err := table.Connections.Put(ctx, realtime.Connection{ID: s.ID, UserID: s.UserID, Protocol: protocol, ConnectedAt: at, TokenExpiry: at.Add(24 * time.Hour)}); err != nil {
				return err
			}
			_, err := table.Presences.Add(ctx, s.UserID, realtime.PresenceSocket{Socket: s, LastSeen: at, UserAgent: agent, IP: "127.0.0.1"}, contract.SocketsPerUserMax)
			return err
		})
	}
	return group.Wait()
}

// Join puts the sockets of the users below limit, all seeded, into a conversation.
func (r *Rig) Join(ctx context.Context, conversation string, limit int, protocol wire.Protocol, at time.Time) error {
	table := r.table()
	for n := range limit {
		s := socket(n, protocol, at)
		if err := table.Rooms.Join(ctx, contract.ConversationRoom(conversation), s, at); err != nil {
			return err
		}
		if err := table.Connections.AddRoom(ctx, s.ID, time.Time{}, contract.ConversationRoom(conversation), contract.RoomsPerConnectionMax); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) table() *store.Table {
	return store.New(r.Stack.Table.Client(), r.Stack.TableName, time.Now)
}

func socket(n int, protocol wire.Protocol, at time.Time) realtime.Socket {
	return realtime.Socket{ID: connectionID(n), UserID: User(n), Protocol: protocol, ConnectedAt: at}
}
