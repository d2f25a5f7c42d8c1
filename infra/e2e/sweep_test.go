package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/realtime"
)

// verified are the connections that sweep asked API Gateway for.
type verified struct {
	mu    sync.Mutex
	asked map[string]int // how often
	last  time.Time
}

func (v *verified) observe(e gateway.Event) {
	if e.Kind != gateway.GetConnection {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked[e.ConnectionID]++
	v.last = time.Now()
}

// take returns what was asked since the last time, and when for the last one.
func (v *verified) take() (asked map[string]int, last time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked, v.asked = v.asked, map[string]int{}
	return asked, v.last
}

// sweepKey is the SWEEP item's.
func sweepKey() item { return key("sweep#/ws/app", "#") }

// shardTimes is a time of each shard in the SWEEP item, in ms or, of a lease, in s; 0 for none.
func (l *local) shardTimes(t *testing.T, name string) (times [realtime.Shards]int64) {
	t.Helper()
	row := l.row(t, sweepKey())
	for h := range times {
		if n, ok := row[fmt.Sprintf("%s%x", name, h)].(*types.AttributeValueMemberN); ok {
			times[h] = must[int64](t)(strconv.ParseInt(n.Value, 10, 64))
		}
	}
	return times
}

// A run for 60 000 connections is split over four workers, which keep to SWEEP_RPS together and leave nobody out. Most of these connections
// are a number in the item that sweep counts them in.
func TestSweepSplits(t *testing.T) {
	t.Parallel()
	const workers, rps, sockets, many = 4, 8, 16, 60_000
	seen := &verified{asked: map[string]int{}}
	k := &killer{}
	s := own(t, func(o *stack.Options) {
		o.Settings["SWEEP_RPS"] = strconv.Itoa(rps)
		o.Lambda.Kill = k.kill
		o.Lambda.Scale = 1 // a worker's event is dropped when it is a minute old, not after 0.6 s of a machine that stands still
		observe := o.Gateway.Observe
		o.Gateway.Observe = func(e gateway.Event) {
			observe(e)
			seen.observe(e)
		}
	})
	l := s.embedded(t)
	alice := unique("alice-")
	stays, goes := s.connect(t, alice), s.connect(t, alice)
	living := map[string]int{stays.id: 1}
	for len(living) < sockets {
		living[s.connect(t, unique("bob-")).id] = 1
	}
	s.sweep(t)
	seen.take()

	// split has a run split, and waits for its workers.
	split := func() (begun time.Time) {
		t.Helper()
		l.set(t, sweepKey(), many, "count0")
		before := l.meter.invoked()["sweep"]
		begun = time.Now()
		s.sweep(t)
		eventually(t, "the workers end", func() bool { return l.meter.invoked()["sweep"] == before+1+workers })
		return begun
	}
	since := func(begun time.Time) (walked, verified [realtime.Shards]bool) {
		for h, at := range l.shardTimes(t, "walked") {
			walked[h] = at >= begun.UnixMilli()
		}
		for h, at := range l.shardTimes(t, "verified") {
			verified[h] = at >= begun.UnixMilli()
		}
		return walked, verified
	}
	var none, all [realtime.Shards]bool
	for h := range all {
		all[h] = true
	}

	l.loseDisconnect(goes.id)
	_ = goes.conn.CloseNow()
	l.age(t, goes, time.Minute)
	eventually(t, "API Gateway knows of the end", func() bool { return l.Gateway.Open() == sockets })
	begun := split()
	asked, last := seen.take()
	living[goes.id] = 1
	if !maps.Equal(asked, living) {
		t.Errorf("asked for %v, want each of %v", asked, living)
	}
	delete(living, goes.id)
	if walked, verified := since(begun); walked != all || verified != all {
		t.Errorf("shards walked: %v, verified: %v", walked, verified)
	}
	if leases := l.shardTimes(t, "lease"); leases != [realtime.Shards]int64{} {
		t.Errorf("leases are left: %v", leases)
	}
	stays.presence("swept", alice, online(1))
	if l.row(t, connectionKey(goes.id)) != nil {
		t.Error("the row of whom nobody heard is there")
	}
	calls := [workers]int{}
	for id := range asked {
		calls[realtime.Shard(id)*workers/realtime.Shards]++
	}
	busiest := slices.Max(calls[:])
	if least := time.Duration(busiest-1) * time.Second * workers / rps; last.Sub(begun) < least {
		t.Errorf("one of %d workers made %d calls within %v, at SWEEP_RPS=%d not in less than %v", workers, busiest, last.Sub(begun), rps, least)
	}

	// A worker that dies takes nobody with it: the others do their part, and the run after its lease does the rest.
	k.orderAfter("sweep", 2, 2) // the second worker, with its first look at a shard
	begun = split()
	dead := l.shardTimes(t, "lease")
	walked, _ := since(begun)
	for h, lease := range dead {
		if died := lease != 0; died == walked[h] {
			t.Errorf("shard %x: walked %v, lease %d", h, walked[h], lease)
		}
	}
	if walked == none || walked == all {
		t.Errorf("shards walked: %v: nothing died, or everything", walked)
	}
	rest := begun
	for h, lease := range dead {
		if lease != 0 {
			l.set(t, sweepKey(), 0, fmt.Sprintf("lease%x", h)) // nobody waits here for its end
		}
	}
	split()
	if walked, verified := since(rest); walked != all || verified != all {
		t.Errorf("in the end shards walked: %v, verified: %v", walked, verified)
	}
	asked, _ = seen.take()
	for id := range living {
		if asked[id] == 0 {
			t.Errorf("nobody asked for %s of shard %s", id, shard(id))
		}
	}

	s.sweep(t) // one run for all of them
	if asked, _ := seen.take(); !maps.Equal(asked, living) {
		t.Errorf("asked for %v, want each of %v", asked, living)
	}
	if active, ok := l.row(t, sweepKey())["active"].(*types.AttributeValueMemberN); !ok || active.Value != strconv.Itoa(sockets) {
		t.Errorf("%v active, want %d", active, sockets)
	}
}
