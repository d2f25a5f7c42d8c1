package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

// transport is an HTTP client.
type transport func(*http.Request) (*http.Response, error)

func (do transport) Do(r *http.Request) (*http.Response, error) { return do(r) }

// through is the same table behind a network that misbehaves. The SDK tries again as it always does, but at once.
func (s *suite) through(do func(next dynamodb.HTTPClient, r *http.Request) (*http.Response, error)) *store.Table {
	options := s.client.Options()
	next := options.HTTPClient
	options.HTTPClient = transport(func(r *http.Request) (*http.Response, error) { return do(next, r) })
	options.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
	return store.New(dynamodb.New(options), s.name, s.clock.Now)
}

// respond is what DynamoDB answers when it fails.
func respond(r *http.Request, status int, kind string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:       io.NopCloser(strings.NewReader(fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, kind))),
		Request:    r,
	}
}

// call is a method of a port.
type call struct {
	name string
	do   func(ctx context.Context, t *store.Table) (any, error)
}

const secret = "nobody's business"

// calls are all methods, on rows that are not there.
func calls() []call {
	c := connection("alice")
	c.Rooms = []string{room}
	socket := realtime.PresenceSocket{Socket: socketOf(c), LastSeen: start, UserAgent: secret, IP: "192.0.2.1"}
	sweep := leaseOf("me", 0, realtime.Shards, start)
	none := func(err error) (any, error) { return nil, err }
	return []call{
		{"Connections.Put", func(ctx context.Context, t *store.Table) (any, error) { return none(t.Connections.Put(ctx, c)) }},
		{"Connections.Get", func(ctx context.Context, t *store.Table) (any, error) { return t.Connections.Get(ctx, c.ID) }},
		{"Connections.End", func(ctx context.Context, t *store.Table) (any, error) { return none(t.Connections.End(ctx, c)) }},
		{"Connections.Delete", func(ctx context.Context, t *store.Table) (any, error) { return none(t.Connections.Delete(ctx, c)) }},
		{"Connections.AddRoom", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Connections.AddRoom(ctx, c.ID, time.Time{}, room, 100))
		}},
		{"Connections.DropRooms", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Connections.DropRooms(ctx, c.ID, c.Rooms))
		}},
		{"Connections.All", func(ctx context.Context, t *store.Table) (any, error) { return t.Connections.All(ctx, 0) }},
		{"Connections.AllIn", func(ctx context.Context, t *store.Table) (any, error) { return t.Connections.AllIn(ctx, 0) }},
		{"Connections.Page", func(ctx context.Context, t *store.Table) (any, error) {
			page, _, err := t.Connections.Page(ctx, 0, "")
			return page, err
		}},
		{"Presences.Add", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Presences.Add(ctx, c.UserID, socket, maxSockets)
		}},
		{"Presences.Remove", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Presences.Remove(ctx, c.UserID, c.ID, start, start)
		}},
		{"Presences.Touch", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Presences.Touch(ctx, c.UserID, c.ID, start, 0)
		}},
		{"Presences.Read", func(ctx context.Context, t *store.Table) (any, error) { return t.Presences.Read(ctx, c.UserID) }},
		{"Presences.ReadAll", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Presences.ReadAll(ctx, []string{"bob", "alice"})
		}},
		{"Presences.Deny", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Presences.Deny(ctx, c.UserID, start))
		}},
		{"Rooms.Join", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Rooms.Join(ctx, room, socket.Socket, start))
		}},
		{"Rooms.Leave", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Rooms.Leave(ctx, room, socket.Socket, realtime.LeftRoom, start))
		}},
		{"Rooms.Delete", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Rooms.Delete(ctx, room, c.ID, start))
		}},
		{"Rooms.Sockets", func(ctx context.Context, t *store.Table) (any, error) { return t.Rooms.Sockets(ctx, room, 0) }},
		{"Rooms.SocketsIn", func(ctx context.Context, t *store.Table) (any, error) { return t.Rooms.SocketsIn(ctx, room, 0) }},
		{"Rooms.Without", func(ctx context.Context, t *store.Table) (any, error) { return t.Rooms.Without(ctx, c.ID, c.Rooms) }},
		{"Participants.Allowed", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Participants.Allowed(ctx, "alice", "c1"))
		}},
		{"Participants.Add", func(ctx context.Context, t *store.Table) (any, error) { return t.Participants.Add(ctx, "c1", "alice") }},
		{"Participants.Remove", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Participants.Remove(ctx, "c1", "alice")
		}},
		{"Participants.List", func(ctx context.Context, t *store.Table) (any, error) {
			page, _, err := t.Participants.List(ctx, "c1", "")
			return page, err
		}},
		{"Ledger.Begin", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Ledger.Begin(ctx, claim("p1", "me", secret, start))
		}},
		{"Ledger.Split", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Ledger.Split(ctx, "p1", "me", realtime.Record{Answer: []byte(secret), Parts: 1}))
		}},
		{"Ledger.Finish", func(ctx context.Context, t *store.Table) (any, error) { return t.Ledger.Finish(ctx, "p1", start) }},
		{"Ledger.Read", func(ctx context.Context, t *store.Table) (any, error) { return t.Ledger.Read(ctx, "p1") }},
		{"Parts.Begin", func(ctx context.Context, t *store.Table) (any, error) {
			return t.Parts.Begin(ctx, realtime.PartKey{ID: "p1"}, "me", 0, start, start)
		}},
		{"Parts.Save", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Parts.Save(ctx, realtime.PartKey{ID: "p1"}, "me", realtime.Part{}))
		}},
		{"Parts.End", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Parts.End(ctx, realtime.PartKey{ID: "p1"}, "me", realtime.Part{}))
		}},
		{"Ledger.End", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Ledger.End(ctx, "p1", "me", []byte(secret)))
		}},
		{"Ledger.Release", func(ctx context.Context, t *store.Table) (any, error) { return none(t.Ledger.Release(ctx, "p1", "me")) }},
		{"Timers.Begin", func(ctx context.Context, t *store.Table) (any, error) { return t.Timers.Begin(ctx, sweep, start) }},
		{"Timers.Save", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Timers.Save(ctx, sweep, 3, realtime.ShardTimer{}))
		}},
		{"Timers.End", func(ctx context.Context, t *store.Table) (any, error) {
			return none(t.Timers.End(ctx, sweep, realtime.Timer{}))
		}},
		{"Timers.Read", func(ctx context.Context, t *store.Table) (any, error) { return t.Timers.Read(ctx) }},
		{"Budget.Take", func(ctx context.Context, t *store.Table) (any, error) { return none(t.Budget.Take(ctx, start, 10, 10)) }},
	}
}

// answers are the errors that tell the rules something.
var answers = []error{
	realtime.ErrNotFound, realtime.ErrExists, realtime.ErrGone, realtime.ErrFull, realtime.ErrTooSoon,
	realtime.ErrTooYoung, realtime.ErrChanged, realtime.ErrBusy, realtime.ErrThrottled,
}

// TestFailureIsNoAnswer: whatever fails, every method returns an error that names the operation and the key, is none of
// the answers, and has neither a result with it nor an item in it.
func TestFailureIsNoAnswer(t *testing.T) {
	errBroken := errors.New("connection reset by peer")
	tests := []struct {
		name string
		do   func(next dynamodb.HTTPClient, r *http.Request) (*http.Response, error)
		is   func(error) bool
	}{
		{
			"throttled",
			func(_ dynamodb.HTTPClient, r *http.Request) (*http.Response, error) {
				return respond(r, http.StatusBadRequest, "ProvisionedThroughputExceededException"), nil
			},
			isA[*types.ProvisionedThroughputExceededException],
		},
		{
			"internal error",
			func(_ dynamodb.HTTPClient, r *http.Request) (*http.Response, error) {
				return respond(r, http.StatusInternalServerError, "InternalServerError"), nil
			},
			isA[*types.InternalServerError],
		},
		{
			"no such table",
			func(_ dynamodb.HTTPClient, r *http.Request) (*http.Response, error) {
				return respond(r, http.StatusBadRequest, "ResourceNotFoundException"), nil
			},
			isA[*types.ResourceNotFoundException],
		},
		{
			"broken connection",
			func(dynamodb.HTTPClient, *http.Request) (*http.Response, error) { return nil, errBroken },
			func(err error) bool { return errors.Is(err, errBroken) },
		},
	}
	onEngines(t, func(t *testing.T, s *suite) {
		for _, test := range tests {
			table := s.through(test.do)
			for _, call := range calls() {
				t.Run(test.name+"/"+call.name, func(t *testing.T) {
					got, err := call.do(t.Context(), table)
					if !test.is(err) || !strings.HasPrefix(err.Error(), "store: ") {
						t.Errorf("unexpected error %v", err)
					}
					isFailure(t, got, err)
				})
			}
		}
	})
}

func TestContextEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, call := range calls() {
			t.Run(call.name, func(t *testing.T) {
				got, err := call.do(ctx, s.Table)
				fails(t, err, context.Canceled)
				isFailure(t, got, err)
			})
		}
	})
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

func isFailure(t *testing.T, got any, err error) {
	t.Helper()
	for _, answer := range answers {
		if errors.Is(err, answer) {
			t.Errorf("%v is the answer %v", err, answer)
		}
	}
	if isA[*realtime.RoomConflict](err) || isA[*realtime.Denied](err) || isA[*contract.Error](err) {
		t.Errorf("%v is an answer", err)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%v tells what is in the item", err)
	}
	switch got := got.(type) {
	case nil:
	case bool:
		equal(t, got, false)
	case realtime.Connection:
		equal(t, got, realtime.Connection{})
	case realtime.Presence:
		equal(t, got, realtime.Presence{})
	case realtime.Timer:
		equal(t, got, realtime.Timer{})
	case []realtime.Connection:
		equal(t, len(got), 0)
	case []realtime.Socket:
		equal(t, len(got), 0)
	case []realtime.Presence:
		equal(t, len(got), 0)
	case []string:
		equal(t, len(got), 0)
	case realtime.Record:
		equal(t, got, realtime.Record{})
	case realtime.Part:
		equal(t, got, realtime.Part{})
	case contract.PublishStatus:
		equal(t, got, contract.PublishStatus{})
	default:
		t.Errorf("a result of type %T", got)
	}
}

// TestOneShardFails: a listing of everyone that lacks a shard is a failure, not a short list.
func TestOneShardFails(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ok(t, s.Connections.Put(t.Context(), connection("alice")))
		table := s.through(func(next dynamodb.HTTPClient, r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if bytes.Contains(body, []byte("ns#/ws/app#b")) {
				return respond(r, http.StatusInternalServerError, "InternalServerError"), nil
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			return next.Do(r)
		})
		got, err := table.Connections.All(t.Context(), 0)
		if !isA[*types.InternalServerError](err) || !strings.Contains(err.Error(), "ns#/ws/app#b") {
			t.Errorf("unexpected error %v", err)
		}
		isFailure(t, got, err)
	})
}

// TestAnswersThatGetLost: the table does what it was asked, its answer is lost, and the SDK asks again.
func TestAnswersThatGetLost(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		lost := map[string]int{}
		table := s.through(func(next dynamodb.HTTPClient, r *http.Request) (*http.Response, error) {
			response, err := next.Do(r)
			id := r.Header.Get("Amz-Sdk-Invocation-Id")
			if lost[id]++; err == nil && lost[id] == 1 {
				_, err = io.Copy(io.Discard, response.Body)
				return nil, errors.Join(errors.New("connection reset by peer"), err, response.Body.Close())
			}
			return response, err
		})
		ctx := t.Context()
		c := connection("alice")
		socket := realtime.PresenceSocket{Socket: socketOf(c), LastSeen: start}

		fails(t, table.Connections.Put(ctx, c), realtime.ErrExists)
		ok(t, table.Connections.AddRoom(ctx, c.ID, time.Time{}, room, 1))
		c.Rooms = []string{room}
		p, err := table.Presences.Add(ctx, "alice", socket, maxSockets)
		fails(t, err, realtime.ErrExists)
		equal(t, p, realtime.Presence{UserID: "alice", Version: 1, LastSeen: start, Sockets: []realtime.PresenceSocket{socket}})
		p, err = table.Presences.Touch(ctx, "alice", c.ID, at(1), 0)
		ok(t, err)
		equal(t, p.LastSeen, at(1))
		_, err = table.Presences.Remove(ctx, "alice", c.ID, at(2), time.Time{})
		fails(t, err, realtime.ErrNotFound)
		p, err = table.Presences.Read(ctx, "alice")
		ok(t, err)
		equal(t, p, realtime.Presence{UserID: "alice", Version: 2, LastSeen: at(2)})

		ok(t, table.Presences.Deny(ctx, "alice", at(60_000)))
		ok(t, table.Presences.Deny(ctx, "alice", time.Time{}))

		ok(t, table.Rooms.Join(ctx, room, socket.Socket, at(1)))
		ok(t, table.Rooms.Leave(ctx, room, socket.Socket, realtime.LeftRoom, at(2)))
		ok(t, table.Rooms.Delete(ctx, room, c.ID, time.Time{}))
		ok(t, table.Connections.Delete(ctx, c))
		ok(t, table.Connections.End(ctx, c))

		_, err = table.Ledger.Begin(ctx, claim("p1", "me", "h", at(1000)))
		ok(t, err)
		ok(t, table.Ledger.End(ctx, "p1", "me", []byte("answer")))
		record, err := table.Ledger.Begin(ctx, claim("p1", "other", "h", at(1000)))
		ok(t, err)
		equal(t, string(record.Answer), "answer")
		_, err = table.Ledger.Begin(ctx, claim("p2", "me", "h", at(1000)))
		ok(t, err)
		ok(t, table.Ledger.Release(ctx, "p2", "me"))

		_, err = table.Ledger.Begin(ctx, claim("p3", "me", "h", at(1000)))
		ok(t, err)
		ok(t, table.Ledger.Split(ctx, "p3", "me", realtime.Record{Answer: []byte(`{"matched":2}`), Parts: 1, Begun: start}))
		part := realtime.PartKey{ID: "p3"}
		_, err = table.Parts.Begin(ctx, part, "me", 0, start, at(1000))
		ok(t, err)
		ok(t, table.Parts.Save(ctx, part, "me", realtime.Part{Delivered: 1}))
		ok(t, table.Parts.End(ctx, part, "me", realtime.Part{Delivered: 1}))
		at1, err := table.Parts.Begin(ctx, part, "other", 1, start, at(1000))
		ok(t, err)
		equal(t, at1, realtime.Part{Delivered: 1})
		ok(t, table.Parts.End(ctx, part, "other", realtime.Part{Delivered: 2, Done: true}))
		if _, err := table.Ledger.Finish(ctx, "p3", start); err != nil && !errors.Is(err, realtime.ErrExists) {
			t.Error(err)
		}

		sweep := leaseOf("me", 0, realtime.Shards, at(1000))
		_, err = table.Timers.Begin(ctx, sweep, start)
		ok(t, err)
		ok(t, table.Timers.Save(ctx, sweep, 3, realtime.ShardTimer{Count: 1}))
		ok(t, table.Timers.End(ctx, sweep, realtime.Timer{Active: 2}))
		ok(t, table.Budget.Take(ctx, start, 10, 100))
		timer, err := table.Timers.Read(ctx)
		ok(t, err)
		equal(t, timer.Active, 2)
	})
}

// reluctant answers for a few keys of a BatchGetItem at a time.
type reluctant struct {
	store.API

	keys  int // it answers for
	calls int
	then  func(call int)
}

func (r *reluctant) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	r.calls++
	r.then(r.calls)
	out := &dynamodb.BatchGetItemOutput{UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	for name, wanted := range in.RequestItems {
		n := min(r.keys, len(wanted.Keys))
		now, later := wanted, wanted
		now.Keys, later.Keys = wanted.Keys[:n], wanted.Keys[n:]
		if n > 0 {
			var err error
			if out, err = r.API.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{name: now}}, options...); err != nil {
				return nil, err
			}
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{}
		}
		if len(later.Keys) > 0 {
			out.UnprocessedKeys[name] = later
		}
	}
	return out, nil
}

func TestUnprocessedKeys(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		socket := socketOf(connection("alice"))
		var rooms []string
		for n := range 10 {
			rooms = append(rooms, fmt.Sprintf("conversation:c%d", n))
			ok(t, s.Rooms.Join(t.Context(), rooms[n], socket, at(1)))
		}
		ok(t, s.Rooms.Leave(t.Context(), rooms[2], socket, realtime.LeftRoom, at(2)))
		ok(t, s.Rooms.Delete(t.Context(), rooms[9], socket.ID, time.Time{}))

		t.Run("asked for again", func(t *testing.T) {
			api := &reluctant{API: s.client, keys: 4, then: func(int) {}}
			got, err := store.New(api, s.name, s.clock.Now).Rooms.Without(t.Context(), socket.ID, rooms)
			ok(t, err)
			equal(t, got, slices.Concat(rooms[2:3], rooms[9:]))
			equal(t, api.calls, 3)
		})
		t.Run("until the context ends", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			api := &reluctant{API: s.client, then: func(call int) {
				if call == 2 {
					cancel()
				}
			}}
			got, err := store.New(api, s.name, s.clock.Now).Rooms.Without(ctx, socket.ID, rooms)
			fails(t, err, context.Canceled)
			isFailure(t, got, err)
			equal(t, api.calls, 2)
		})
	})
}
