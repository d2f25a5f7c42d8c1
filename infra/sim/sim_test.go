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
	seeds = flag.Int("seeds", 8, "how many seeds to play; a quarter of them with -short")
	first = flag.Uint64("seed", 1, "the first seed; with -seeds 1 it replays that one")
)

// calm limits: presence is global, and nobody reaches a limit.
var calm = limits{presenceGlobalMax: 200, socketsPerUser: 32, roomsPerSocket: 100, sweepRPS: 1000}

// scarce limits: every run of sweep is split, and presence has to wait for its budget.
var scarce = limits{presenceGlobalMax: 200, socketsPerUser: 32, roomsPerSocket: 100, presenceRPS: 15, sweepRPS: 20, sweepPerWorker: 2}

// TestPromises plays seeds and holds each settled world to its promises. A seed that fails is printed and replays:
// make sim SEEDS=1 SEED=17.
func TestPromises(t *testing.T) {
	playSeeds(t, func(t *testing.T, seed uint64) (broken, trace []string) { return playSeed(t, seed, rough, nil) })
}

// TestPromisesInAStorm does so with an API Gateway that throttles and fails, a sweep that is split, and a presence budget that is
// used up.
func TestPromisesInAStorm(t *testing.T) {
	playSeeds(t, func(t *testing.T, seed uint64) (broken, trace []string) {
		return play(t, seed, stormy, scarce, 5, nil)
	})
}

func playSeeds(t *testing.T, play func(t *testing.T, seed uint64) (broken, trace []string)) {
	n := *seeds
	if testing.Short() {
		n = (n + 3) / 4
	}
	for i := range n {
		seed := *first + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			if broken, trace := play(t, seed); len(broken) > 0 {
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
	return play(t, seed, f, calm, 3, wrap)
}

func play(t *testing.T, seed uint64, f faults, l limits, users int, wrap func(*ports)) (broken, trace []string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, f, l, wrap)
		h := w.play(users, 3, 2, 90*time.Second)
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
