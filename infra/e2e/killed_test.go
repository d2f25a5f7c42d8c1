package e2e

import (
	"sync"
	"testing"

	"example.org/realtime/infra/local/faults"
)

// killer kills the next invocation of one function, or one behind some that it spares, with one of its calls.
type killer struct {
	mu       sync.Mutex
	function string // "" for none
	spared   int
	call     int
}

func (k *killer) order(function string, call int) { k.orderAfter(function, 0, call) }

func (k *killer) orderAfter(function string, spared, call int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.function, k.spared, k.call = function, spared, call
}

// kill is lambda.Config.Kill.
func (k *killer) kill(function string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if function != k.function {
		return 0
	}
	if k.spared--; k.spared >= 0 {
		return 0
	}
	k.function = ""
	return k.call
}

func (k *killer) waits() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.function != ""
}

// Wherever a function dies while somebody comes, joins, leaves and goes: presence comes to be exact for who stays, and nothing is left.
func TestKilledAtEachCall(t *testing.T) {
	t.Parallel()
	k := &killer{}
	r := newTrial(t, faults.Config{Seed: *faultSeed}, k.kill)
	r.participants(t, "set", conversation, r.users()...)
	watcher, json, socketIO := r.players[1], r.players[0], r.players[2]
	watcher.connect()
	for _, victim := range []struct {
		function string
		by       *player
		calls    int // with its answer, and one more
	}{{"connect", json, 4}, {"disconnect", json, 7}, {"publish", json, 8}, {"join", json, 6}, {"leave", json, 4}, {"default", socketIO, 7}} {
		for call := 1; call <= victim.calls; call++ {
			k.order(victim.function, call)
			p := victim.by
			p.connect()
			p.join(conversation)
			p.join(conversation)
			p.leave(conversation)
			p.join(conversation)
			p.hangUp(false)
			eventually(t, victim.function+" dies", func() bool { return !k.waits() })
			r.settle()
			if word, heard := watcher.word(p.user); !heard || word.IsOnline {
				t.Errorf("%s died at call %d: the last word on %s is %+v", victim.function, call, p.user, word)
			}
		}
	}
	for _, p := range r.players {
		for _, problem := range p.problems {
			t.Errorf("%s: %s", p.user, problem)
		}
	}
}
