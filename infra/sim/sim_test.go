package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Int("seeds", 8, "how many seeds to play")
	first = flag.Uint64("seed", 1, "the first seed; with -seeds 1 it replays that one")
)

// calm limits: presence is global, and nobody reaches a limit.
var calm = limits{presenceGlobalMax: 200, socketsPerUser: 32, roomsPerSocket: 100, sweepRPS: 1000}

// TestPromises plays seeds and holds each settled world to its promises. A seed that fails is printed and replays:
// make sim SEEDS=1 SEED=17.
func TestPromises(t *testing.T) {
	for i := range *seeds {
		seed := *first + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			if broken, trace := playSeed(t, seed, rough, nil); len(broken) > 0 {
				t.Errorf("seed %d breaks %d promises (replay: make sim SEEDS=1 SEED=%d):\n%s", seed, len(broken), seed, strings.Join(broken, "\n"))
				if *seeds == 1 {
					t.Log(strings.Join(trace, "\n"))
				}
			}
		})
	}
}

// playSeed plays one seed and returns the promises it breaks.
func playSeed(t *testing.T, seed uint64, f faults, wrap func(*ports)) (broken, trace []string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, f, calm, wrap)
		h := w.play(3, 3, 2, 90*time.Second)
		w.settle(6)
		h.check()
		w.endAll()
		w.settle(5)
		w.checkLeftovers()
		broken, trace = w.broken, w.trace
	})
	return broken, trace
}

// endAll closes what is still open; $disconnect comes for one half of it.
func (w *world) endAll() {
	var open []string
	w.mu.Lock()
	for id, c := range w.conns {
		if c.open() {
			open = append(open, id)
		}
	}
	w.mu.Unlock()
	for i, id := range open {
		if i%2 == 0 {
			w.end(id)
			continue
		}
		w.mu.Lock()
		w.conns[id].closed = time.Now()
		w.mu.Unlock()
	}
}
