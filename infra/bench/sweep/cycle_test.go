package sweep

import (
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

var (
	connections = flag.Int("connections", 2_000, "how many there are")
	rps         = flag.Int("rps", 20, "SWEEP_RPS")
	perWorker   = flag.Int("per-worker", 400, "connections above which a run is split")
	minutes     = flag.Int("minutes", 11, "how long the schedule runs, at least 11")
	clients     = flag.String("clients", "json,socketio", "which of them")
)

// TestCycle has the schedule run for some minutes, on time: pings and keep-alives keep theirs, verification takes what SWEEP_RPS
// leaves and comes to everybody in the time that this allows. The sizes by default have the proportions of 100 000 connections.
func TestCycle(t *testing.T) {
	worlds := []struct {
		protocol wire.Protocol
		step     time.Duration
		calls    float64 // for each that is due
	}{{wire.JSON, 8 * time.Minute, 2}, {wire.SocketIO, contract.PingInterval, 1}}
	lines := make([]string, len(worlds))
	t.Run("clients", func(t *testing.T) {
		for i, tt := range worlds {
			if !strings.Contains(*clients, string(tt.protocol)) {
				continue
			}
			t.Run(string(tt.protocol), func(t *testing.T) {
				t.Parallel() // one has work for little more than a core
				synctest.Test(t, func(t *testing.T) { lines[i] = cycle(t, tt.protocol, tt.step, tt.calls) })
			})
		}
	})
	t.Logf("\n%d connections, SWEEP_RPS=%d\n| clients | due a second | workers | longest run | verified every | calls a second, at most | late | write units a minute | read units a minute |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n%s",
		*connections, *rps, strings.Join(lines, ""))
}

func cycle(t *testing.T, protocol wire.Protocol, step time.Duration, calls float64) string {
	w := newWorld(t, *connections, protocol, step, *rps, *perWorker, time.Sleep)
	n := float64(*connections)
	for range *minutes {
		w.runs.Go(func() { w.run(t.Context(), w.Sweep) })
		time.Sleep(time.Minute)
		w.noteVerified(t)
	}
	w.runs.Wait()
	end := time.Now()

	// Each got its posts once a step, the first within the first step, none later than a run after it was due.
	if len(w.posts) != *connections {
		t.Errorf("%s: %d of %d got something", protocol, len(w.posts), *connections)
	}
	for id, posts := range w.posts {
		last := w.began
		for i, at := range append(posts, end) {
			if apart := at.Sub(last); apart > step+2*time.Minute || i > 0 && i < len(posts) && apart < step-2*time.Minute {
				t.Fatalf("%s: %s waited %v for post %d of %d", protocol, id, apart, i, len(posts))
			}
			last = at
		}
	}
	if w.metrics["SweepLate"] != 0 || w.metrics["SweepFailures"] != 0 {
		t.Errorf("%s: %v", protocol, w.metrics)
	}
	most := 0
	for second := range w.calls {
		most = max(most, (w.calls[second]+w.calls[second+1])/2)
	}
	if most > *rps*3/2 { // a run may begin with a second's calls at once
		t.Errorf("%s: %d calls a second", protocol, most)
	}
	due := n / step.Seconds() * calls
	// Verification has what is left of the 50 s in each minute that a run lasts, and has nothing to ask about whom a run has posted to.
	want := n * (1 - 1/step.Minutes()) / (float64(*rps)*50/60 - due)
	longest := w.longestCycle(t)
	if longest.Seconds() > math.Max(want, 60)*1.25+120 {
		t.Errorf("%s: verified every %v, want about %.0f s", protocol, longest, want)
	}
	return fmt.Sprintf("| %s | %.0f | %d | %.0f s | %.0f s | %d | 0 | %.0f | %.0f |\n", protocol, due, w.workers(), w.longest.Seconds(), longest.Seconds(), most,
		float64(w.write.Load())/2/float64(*minutes)-w.pongs(protocol), float64(w.read.Load())/2/float64(*minutes))
}

// pongs are the write units of a minute that the clients' pongs take, one each, which are not sweep's.
func (w *world) pongs(protocol wire.Protocol) (units float64) {
	if protocol == wire.JSON {
		return 0
	}
	for _, pings := range w.posts {
		units += float64(len(pings)) / float64(*minutes)
	}
	return units
}

func (w *world) workers() int {
	n := 1
	for n < 16 && n**perWorker < *connections {
		n *= 2
	}
	return n
}

func (w *world) noteVerified(t *testing.T) {
	timer, err := w.table.Timers.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for shard, s := range timer.Shards {
		if seen := w.seen[shard]; len(seen) == 0 || !seen[len(seen)-1].Equal(s.Verified) {
			w.seen[shard] = append(seen, s.Verified)
		}
	}
}

// longestCycle is the longest time between two verifications of a shard, but for the first, which the seed has made up.
func (w *world) longestCycle(t *testing.T) (longest time.Duration) {
	for shard, seen := range w.seen {
		if len(seen) < 3 {
			t.Errorf("shard %d was verified at %v only", shard, seen)
		}
		for i := 2; i < len(seen); i++ {
			longest = max(longest, seen[i].Sub(seen[i-1]))
		}
	}
	return longest
}
