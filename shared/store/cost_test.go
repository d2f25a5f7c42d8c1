package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

const uuid = "0b1f7c9e-6f5d-4c39-9a53-1f6ea0c1d2b3"

// costs wants a step to take that many request units, in that many calls.
func (s *suite) costs(t *testing.T, step string, want units, calls int, do func() error) {
	t.Helper()
	s.meter.take()
	ok(t, do())
	got, n := s.meter.take()
	t.Logf("%-50s %5.1f WRU %5.1f RRU, calls: %d", step, got.Write, got.Read, n)
	if got != want || n != calls {
		t.Errorf("%s: %+v in %d calls, want %+v in %d", step, got, n, want, calls)
	}
}

// TestCosts asserts the request units of each operation, where every item is within one unit: 1 KB a write, 4 KB a read.
func TestCosts(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		c := connection(uuid)
		c.TokenExpiry = start.Truncate(time.Second)
		socket := realtime.PresenceSocket{Socket: socketOf(c), LastSeen: start, UserAgent: strings.Repeat("u", contract.MaxUserAgentBytes), IP: "2001:db8:85a3::8a2e:370:7334"}
		rooms := []string{room, "conversation:c2", "conversation:c3"}
		recorded := c
		recorded.Rooms = rooms
		write := units{Write: 1}
		read := units{Read: 1}

		s.costs(t, "connect: put CONN", write, 1, func() error { return s.Connections.Put(ctx, c) })
		s.costs(t, "connect: add socket", write, 1, func() error {
			_, err := s.Presences.Add(ctx, c.UserID, socket, maxSockets)
			return err
		})
		s.costs(t, "heartbeat", write, 1, func() error {
			_, err := s.Presences.Touch(ctx, c.UserID, c.ID, start, 0)
			return err
		})
		s.costs(t, "read presence", read, 1, func() error {
			_, err := s.Presences.Read(ctx, c.UserID)
			return err
		})
		both := []string{c.UserID, "another"}
		_, err := s.Presences.Add(ctx, both[1], realtime.PresenceSocket{Socket: socketOf(connection("another"))}, maxSockets)
		ok(t, err)
		s.costs(t, "read presences of 2", units{Read: 2}, 1, func() error {
			_, err := s.Presences.ReadAll(ctx, both)
			return err
		})
		s.costs(t, "deny", write, 1, func() error { return s.Presences.Deny(ctx, c.UserID, at(60_000)) })
		s.costs(t, "allow", write, 1, func() error { return s.Presences.Deny(ctx, c.UserID, time.Time{}) })
		s.costs(t, "add participant", write, 1, func() error {
			_, err := s.Participants.Add(ctx, "c1", c.UserID)
			return err
		})
		s.costs(t, "join: is a participant", read, 1, func() error { return s.Participants.Allowed(ctx, c.UserID, "c1") })
		s.costs(t, "join: room row", write, 1, func() error { return s.Rooms.Join(ctx, room, socket.Socket, at(1)) })
		s.costs(t, "join: record room", write, 1, func() error { return s.Connections.AddRoom(ctx, c.ID, time.Time{}, room, 100) })
		for _, other := range rooms[1:] {
			ok(t, s.Rooms.Join(ctx, other, socket.Socket, at(1)))
			ok(t, s.Connections.AddRoom(ctx, c.ID, time.Time{}, other, 100))
		}
		s.costs(t, "rooms left, of 3", units{Read: 3}, 1, func() error {
			_, err := s.Rooms.Without(ctx, c.ID, rooms)
			return err
		})
		s.costs(t, "leave", write, 1, func() error { return s.Rooms.Leave(ctx, rooms[1], socket.Socket, realtime.LeftRoom, at(2)) })
		s.costs(t, "drop rooms", write, 1, func() error { return s.Connections.DropRooms(ctx, c.ID, rooms[1:2]) })
		ok(t, s.Connections.AddRoom(ctx, c.ID, time.Time{}, rooms[1], 100))
		s.costs(t, "remove participant", write, 1, func() error {
			_, err := s.Participants.Remove(ctx, "c1", c.UserID)
			return err
		})
		s.costs(t, "remove participant: a socket out of the room", write, 1, func() error {
			return s.Rooms.Leave(ctx, room, socket.Socket, realtime.TakenOut, at(1000))
		})
		s.costs(t, "disconnect: read CONN", read, 1, func() error {
			_, err := s.Connections.Get(ctx, c.ID)
			return err
		})
		s.costs(t, "disconnect: remove socket", write, 1, func() error {
			_, err := s.Presences.Remove(ctx, c.UserID, c.ID, start, time.Time{})
			return err
		})
		s.costs(t, "disconnect: 3 room rows", units{Write: 3}, 3, func() error {
			for _, r := range rooms {
				ok(t, s.Rooms.Delete(ctx, r, c.ID, time.Time{}))
			}
			return nil
		})
		s.costs(t, "disconnect: delete CONN", write, 1, func() error { return s.Connections.Delete(ctx, recorded) })
		s.costs(t, "disconnect before connect: end", write, 1, func() error { return s.Connections.End(ctx, c) })

		s.costs(t, "publish with an id: begin", write, 1, func() error {
			_, err := s.Ledger.Begin(ctx, realtime.Claim{ID: "p1", Owner: "owner", Hash: strings.Repeat("h", 64), Event: "messages:new", Lease: at(1)})
			return err
		})
		s.costs(t, "publish with an id: end", write, 1, func() error {
			return s.Ledger.End(ctx, "p1", "owner", []byte(`{"id":"p1","event":"messages:new","matched":5,"delivered":5,"gone":0,"failed":0,"duplicate":false}`))
		})
		ok(t, s.Ledger.Release(ctx, "p1", "nobody"))
		_, err = s.Ledger.Begin(ctx, realtime.Claim{ID: "p2", Owner: "owner", Hash: "h", Lease: at(1)})
		ok(t, err)
		s.costs(t, "publish with an id: release", write, 1, func() error { return s.Ledger.Release(ctx, "p2", "owner") })
	})
}

// TestCostOfSplitPublish: what a publish takes besides its listings. The status is a unit for up to 16 parts.
func TestCostOfSplitPublish(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		const owner = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" // crypto/rand.Text
		write := units{Write: 1}
		record := realtime.Record{
			Answer: []byte(`{"id":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","event":"notifications:new","matched":1000000,"delivered":0,"gone":0,"failed":0,"queued":1000000,"duplicate":false}`),
			Parts:  realtime.Shards, Begun: start,
		}
		s.costs(t, "begin", write, 1, func() error {
			_, err := s.Ledger.Begin(ctx, realtime.Claim{ID: owner, Owner: owner, Hash: strings.Repeat("h", 64), Event: "notifications:new", Lease: at(1)})
			return err
		})
		s.costs(t, "split", write, 1, func() error { return s.Ledger.Split(ctx, owner, owner, record) })
		s.costs(t, "end", write, 1, func() error { return s.Ledger.End(ctx, owner, owner, record.Answer) })
		at := realtime.Part{Shards: 3, After: newID(), Delivered: 60_000, Gone: 1000, Failed: 1000}
		for part := range realtime.Shards {
			key := realtime.PartKey{ID: owner, Part: part}
			s.costs(t, "begin part", write, 1, func() error {
				_, err := s.Parts.Begin(ctx, key, owner, 0, start, start.Add(time.Minute))
				return err
			})
			s.costs(t, "checkpoint", write, 1, func() error { return s.Parts.Save(ctx, key, owner, at) })
			at.Done = true
			s.costs(t, "end part", write, 1, func() error { return s.Parts.End(ctx, key, owner, at) })
		}
		s.costs(t, "finish", units{Write: 1, Read: 1}, 2, func() error {
			_, err := s.Ledger.Finish(ctx, owner, start)
			return err
		})
		s.costs(t, "finish again", units{Read: 1}, 1, func() error {
			_, err := s.Ledger.Finish(ctx, owner, start)
			if !errors.Is(err, realtime.ErrExists) {
				t.Error(err)
			}
			return nil
		})
		s.costs(t, "status", units{Read: 1}, 1, func() error {
			_, err := s.Ledger.Read(ctx, owner)
			return err
		})
	})
}

// TestCostOfSweep: a run of its own stays within one unit a write, also after workers were there. A worker's writes take up to
// three, while walks and verifications of all shards are under way.
func TestCostOfSweep(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		const owner = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" // crypto/rand.Text
		timer := realtime.Timer{Active: 1_000_000, Peak: 1_000_000}
		all := realtime.Lease{Owner: owner, Until: at(60_000)}
		for i := range timer.Shards {
			timer.Shards[i] = realtime.ShardTimer{Walked: at(i), Verified: at(i), Count: 123_456}
			all.Shards = append(all.Shards, i)
		}
		run := func(name string, l realtime.Lease, begin, write float64) {
			s.costs(t, name+": begin", units{Write: begin}, 1, func() error {
				_, err := s.Timers.Begin(ctx, l, start)
				return err
			})
			s.costs(t, name+": its shards done", units{Write: write * float64(len(l.Shards))}, len(l.Shards), func() error {
				for _, shard := range l.Shards {
					ok(t, s.Timers.Save(ctx, l, shard, timer.Shards[shard]))
				}
				return nil
			})
			s.costs(t, name+": end", units{Write: write}, 1, func() error { return s.Timers.End(ctx, l, timer) })
		}
		run("alone", all, 1, 1)
		s.costs(t, "read", units{Read: 0.5}, 1, func() error {
			_, err := s.Timers.Read(ctx)
			return err
		})
		under := timer
		for i := range timer.Shards {
			timer.Shards[i].Walk = realtime.Walk{Started: at(i), After: newID(), Count: 123_456}
			timer.Shards[i].Verification = realtime.Verification{Began: at(i), After: newID(), Missed: true}
		}
		for shard := range realtime.Shards {
			l := realtime.Lease{Owner: owner, Shards: []int{shard}, Until: at(60_000)}
			_, err := s.Timers.Begin(ctx, l, start)
			ok(t, err)
			ok(t, s.Timers.End(ctx, l, timer))
		}
		run("a worker, with everything under way", realtime.Lease{Owner: owner, Shards: all.Shards[:8], Until: at(60_000)}, 3, 3)
		timer = under
		_, err := s.Timers.Begin(ctx, all, start)
		ok(t, err)
		ok(t, s.Timers.End(ctx, all, timer))
		run("alone again", all, 1, 1)
	})
}

func TestCostOfBudget(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		s.costs(t, "take posts", units{Write: 1}, 1, func() error { return s.Budget.Take(t.Context(), start, 200, 300) })
	})
}

// TestCostOfEveryone has rows in every shard, because DynamoDB Local takes nothing for an empty query, and DynamoDB half
// a unit or a whole one.
func TestCostOfEveryone(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var all []realtime.Connection
		for shard := range realtime.Shards {
			for _, id := range newIDs(20, shard) {
				c := connection(uuid)
				c.ID, c.TokenExpiry = id, start
				all = append(all, c)
			}
		}
		s.putAll(t, all)
		s.costs(t, "list 320 connections", units{Read: 16}, 16, func() error {
			got, err := s.Connections.All(t.Context(), 0)
			equal(t, len(got), 320)
			return err
		})
		s.costs(t, "list 320 connections, at most 320", units{Read: 16}, 16, func() error {
			got, err := s.Connections.All(t.Context(), 320)
			equal(t, len(got), 320)
			return err
		})
		s.costs(t, "walk 320 connections, eventually consistent", units{Read: 8}, 16, func() error {
			for shard := range realtime.Shards {
				_, _, err := s.Connections.Page(t.Context(), shard, "")
				ok(t, err)
			}
			return nil
		})
		s.meter.take()
		got, err := s.Connections.All(t.Context(), 50)
		ok(t, err)
		spent, calls := s.meter.take()
		t.Logf("stopped after %d of 320 with limit 50: %+v in %d calls", len(got), spent, calls)
		if calls > 10 { // 8 at once, of which the third to end passes the limit
			t.Errorf("%d queries for a limit of 50, want at most 10", calls)
		}
	})
}

// TestCostOfRoom: with UUIDs for ids 28 rows are one unit.
func TestCostOfRoom(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		room := "conversation:" + uuid
		sockets := func() error {
			_, err := s.Rooms.Sockets(t.Context(), room, 0)
			return err
		}
		for range 28 {
			ok(t, s.Rooms.Join(t.Context(), room, socketOf(connection(uuid)), at(1)))
		}
		s.costs(t, "a room of 28", units{Read: 1}, 1, sockets)
		ok(t, s.Rooms.Join(t.Context(), room, socketOf(connection(uuid)), at(1)))
		s.costs(t, "a room of 29", units{Read: 2}, 1, sockets)
	})
}

// TestCostOfFullUser has users with as many sockets as the limit allows, of Socket.IO clients: a JSON client's is a little smaller.
func TestCostOfFullUser(t *testing.T) {
	tests := []struct {
		name, userAgent, ip string
		heartbeats          bool
		write, read         float64
	}{
		{"a browser's user agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "203.0.113.255", false, 8, 2},
		{"as long as can be", strings.Repeat("u", contract.MaxUserAgentBytes), "2001:0db8:85a3:0000:0000:8a2e:0370:7334", true, 10, 3},
	}
	onEngines(t, func(t *testing.T, s *suite) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				ctx := t.Context()
				user := fmt.Sprintf("%d%s", i, uuid[1:])
				var last realtime.PresenceSocket
				for n := range maxSockets {
					last = presenceSocket(user)
					last.UserAgent, last.IP = test.userAgent, test.ip
					last.Protocol, last.Entered = wire.SocketIO, start
					if n < maxSockets-1 {
						_, err := s.Presences.Add(ctx, user, last, maxSockets)
						ok(t, err)
					}
					if test.heartbeats && n < maxSockets-1 {
						_, err := s.Presences.Touch(ctx, user, last.ID, start, 0)
						ok(t, err)
					}
				}
				write := units{Write: test.write}
				s.costs(t, "add the 32nd", write, 1, func() error {
					_, err := s.Presences.Add(ctx, user, last, maxSockets)
					return err
				})
				s.costs(t, "heartbeat of one", write, 1, func() error {
					_, err := s.Presences.Touch(ctx, user, last.ID, start, 0)
					return err
				})
				s.costs(t, "read", units{Read: test.read}, 1, func() error {
					_, err := s.Presences.Read(ctx, user)
					return err
				})
				s.costs(t, "remove one", write, 1, func() error {
					_, err := s.Presences.Remove(ctx, user, last.ID, start, time.Time{})
					return err
				})
			})
		}
	})
}

func TestCostOfManyRooms(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		c := connection(uuid)
		for n := range 99 {
			c.Rooms = append(c.Rooms, fmt.Sprintf("conversation:%036d", n))
		}
		ok(t, s.Connections.Put(ctx, c))
		hundredth := fmt.Sprintf("conversation:%036d", 99)
		s.costs(t, "100th room of a connection", units{Write: 5}, 1, func() error { return s.Connections.AddRoom(ctx, c.ID, time.Time{}, hundredth, 100) })
		c.Rooms = append(slices.Clone(c.Rooms), hundredth)
		s.costs(t, "delete a connection of 100 rooms", units{Write: 5}, 1, func() error { return s.Connections.Delete(ctx, c) })
	})
}
