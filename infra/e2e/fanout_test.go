package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// inShards connects a user until so many shards have a socket, and returns one socket of each.
func (s *system) inShards(t *testing.T, user string, shards int) (one []*client) {
	t.Helper()
	taken := map[int]bool{}
	for n := 0; len(one) < shards; n++ {
		c := s.connect(t, fmt.Sprintf("%s-%d", user, n))
		if shard := realtime.Shard(c.id); !taken[shard] {
			taken[shard] = true
			one = append(one, c)
		}
	}
	return one
}

// A publish to more than 10 sockets at one post a second is split. Its worker is killed half-way: Lambda starts another, which
// goes on from the checkpoint, and nobody is left out. All of it, the second attempt too, is one trace.
func TestSplitPublishSurvivesItsWorker(t *testing.T) {
	t.Parallel()
	const sockets, killingCall = 12, 12
	var publishes atomic.Int64
	publishes.Store(-1_000_000) // not yet
	var trail trail
	s := own(t, func(o *stack.Options) {
		settings(map[string]string{"FANOUT_RPS": "1", "PRESENCE_GLOBAL_MAX": "1"})(o)
		o.Lambda.Scale = 0.1 // a retry comes after 6 s
		o.Lambda.Kill = func(function string) int {
			if strings.Contains(strings.ToLower(function), "publish") && publishes.Add(1) == 2 {
				return killingCall // the worker, behind the request itself
			}
			return 0
		}
		trail.watch(o)
	})
	l := s.embedded(t)
	clients := s.inShards(t, unique("alice"), sockets)
	var ids []string
	for _, c := range clients {
		ids = append(ids, c.id)
	}
	publishes.Store(0)
	id := unique("id-")
	answer := s.publish(t, "notifications:new", notice("k"), `"to":{"connections":`+list(ids)+`},"id":"`+id+`"`)
	if want := (published{ID: id, Event: "notifications:new", Matched: sockets, Queued: sockets}); answer != want {
		t.Errorf("answered %+v, want %+v", answer, want)
	}
	status := func() contract.PublishStatus {
		return *must[*contract.PublishStatus](t)(s.backend().ReadPublish(t.Context(), id))
	}
	eventually(t, "the worker has posted", func() bool { return status().Delivered > 0 })
	trace := trail.of(t, `"eventKey":"k"`)
	eventually(t, "the worker is dead", func() bool { return trail.counts(trace)["publish, attempt 1"] == 2 })
	counted := status().Delivered
	l.set(t, key("pub#"+id, "w#0"), 0, "lease") // nobody waits here for the end of its lease
	eventually(t, "the publish is finished", func() bool { return status().State == contract.PublishDone })
	if got, want := status(), (contract.PublishStatus{ID: id, State: "done", Event: "notifications:new", Matched: sockets, Delivered: sockets}); got != want {
		t.Errorf("in the end %+v, want %+v", got, want)
	}
	if n := publishes.Load(); n < 3 {
		t.Errorf("publish was invoked %d times: nothing died", n)
	}
	twice := 0
	slices.SortFunc(clients, func(a, b *client) int { return realtime.Shard(a.id) - realtime.Shard(b.id) }) // as the worker takes them
	for i, c := range clients {
		switch n := len(c.takeAll(func(f frame) bool { return f.raw == envelope("notifications:new", notice("k")) })); {
		case n == 1:
		case n == 2 && i >= counted:
			twice++
		default:
			t.Errorf("%s, number %d of which %d had a checkpoint, heard it %d times", c.user, i+1, counted, n)
		}
	}
	eventually(t, "the second attempt has ended and logged", func() bool {
		did := trail.counts(trace)
		return did["publish, attempt 2"] == 1 && did["log of publish"] >= 2
	})
	if did := trail.counts(trace); did["publish, attempt 1"] != 2 || did["post"] != sockets+twice || did["UpdateItem"] < sockets {
		t.Errorf("in the trace: %v", did)
	}
}

// A split publish takes 3 write units for its record, one for each checkpoint, and 3 more for the begin and end of its one worker
// and its finish; a read unit says that all parts are done.
func TestCostOfSplitPublish(t *testing.T) {
	t.Parallel()
	const sockets = 11
	b := newBill(t, map[string]string{"FANOUT_RPS": "1", "PRESENCE_GLOBAL_MAX": "1"})
	var ids []string
	for _, c := range b.inShards(t, unique("alice"), sockets) {
		ids = append(ids, c.id)
	}
	b.costs("publish to 11 connections, one in a shard, at FANOUT_RPS=1, so by a worker", reading{Write: 3 + sockets + 3, Read: sockets + 1, Invocations: 2, Posts: sockets}, func() {
		if p := b.publish(t, "notifications:new", notice("k"), `"to":{"connections":`+list(ids)+`}`); p.Queued != sockets || p.ID == "" {
			t.Errorf("%+v", p)
		}
	})
}
