package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// members are so many users with a socket each in a room, there for a minute: nothing goes wrong with how they came.
func (w *world) members(room string, n int) (all []*conn) {
	ctx := w.t.Context()
	for i := range n {
		c := w.dial(fmt.Sprintf("%s-%x", strings.ReplaceAll(room, ":", "-"), 7919*i), time.Time{}, wire.JSON)
		c.opened, c.since, c.active = c.began, c.began, c.began
		s := realtime.Socket{ID: c.id, UserID: c.user, Protocol: wire.JSON, ConnectedAt: ms(c.began)}
		_, err := w.ports.presences.Add(ctx, c.user, realtime.PresenceSocket{Socket: s, LastSeen: ms(c.began)}, 32)
		err = errors.Join(err,
			w.ports.connections.Put(ctx, realtime.Connection{ID: c.id, UserID: c.user, Protocol: wire.JSON, ConnectedAt: ms(c.began)}),
			w.ports.rooms.Join(ctx, room, s, ms(c.began)),
			w.ports.connections.AddRoom(ctx, c.id, time.Time{}, room, 100))
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, c)
	}
	time.Sleep(time.Minute)
	return all
}

// backend publishes with an id until it is answered, as a backend does; crashed tells whether an attempt died.
func (w *world) backend(id, to string) (answer contract.Published, crashed bool) {
	raw := []byte(fmt.Sprintf(`{"id":%q,"event":"notifications:new","to":%s,"data":{"eventKey":%q,"notification":{}}}`, id, to, id))
	req, err := contract.ParsePublish(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	for try := 0; ; try++ {
		err = w.invoke("publish "+id, 50*time.Second, try < 3, func(ctx context.Context) (err error) {
			answer, err = w.publisher.Publish(ctx, req, raw)
			return err
		})
		if err == nil {
			return answer, crashed
		}
		crashed = crashed || !isInProgress(err)
		time.Sleep(30 * time.Second)
	}
}

// states are those that a publish is seen in every second until it is done, or for an hour; each once in a row.
func (w *world) states(id string) (seen []string) {
	for range 3600 {
		status, err := w.ports.ledger.Read(w.t.Context(), id)
		if err == nil && (len(seen) == 0 || status.State != seen[len(seen)-1]) {
			seen = append(seen, status.State)
		}
		if status.State == contract.PublishDone {
			break
		}
		time.Sleep(time.Second)
	}
	return seen
}

// watch holds a publish to it that it never seems interrupted while whoever dies is started again.
func (w *world) watch(id string) {
	w.running.Go(func() {
		if seen := w.states(id); !slices.Equal(seen, []string{contract.PublishInFlight, contract.PublishDone}) {
			w.fail("%s was seen %v", id, seen)
		}
	})
}

// checkSplit holds a publish that has settled to its promises: everybody of the audience who stayed heard it, once unless
// something died, and its status is what was posted.
func (w *world) checkSplit(id string, audience []*conn, exact bool) contract.PublishStatus {
	w.t.Helper()
	status, err := w.ports.ledger.Read(w.t.Context(), id)
	if err != nil || status.State != contract.PublishDone || status.Queued != 0 || status.Failed != 0 || status.Matched != status.Delivered+status.Gone {
		w.fail("%s: in the end %+v, %v", id, status, err)
	}
	h := &history{world: w}
	posts := 0
	for _, c := range w.conns {
		n := h.received(c, id)
		posts += n
		if n > 1 && exact {
			w.fail("%s heard %s %d times", c.id, id, n)
		}
	}
	for _, c := range audience {
		if c.open() && h.received(c, id) == 0 {
			w.fail("%s did not hear %s", c.id, id)
		}
	}
	if posts < status.Delivered || exact && posts != status.Delivered {
		w.fail("%s: %d posts, status %+v", id, posts, status)
	}
	return status
}

// TestCrashOfASplitPublish kills the publish, or its worker, after each of its steps: whoever retries goes on, and each
// socket hears it, at most those of one page twice.
func TestCrashOfASplitPublish(t *testing.T) {
	const sockets = 12 // of which 10 would be posted to inline at one post a second
	slow := calm
	slow.fanoutRPS = 1
	for _, name := range []string{"publish p1", "fanout p1 part 0 depth 0 #0"} {
		t.Run(name, func(t *testing.T) {
			died := true
			for n := 0; died; n++ {
				inWorld(t, slow, func(t *testing.T, w *world) {
					all := w.members("group:g1", sockets)
					w.killing[name] = n
					w.watch("p1")
					answer, _ := w.backend("p1", `{"groups":["g1"]}`)
					if answer.Queued != sockets || answer.Matched != sockets {
						t.Errorf("after %d steps: answer %+v", n, answer)
					}
					time.Sleep(10 * time.Minute)
					w.running.Wait()
					status := w.checkSplit("p1", all, false)
					if status.Delivered != sockets {
						t.Errorf("after %d steps: %+v", n, status)
					}
					for _, c := range all {
						if heard := len(c.events()); heard > 2 {
							t.Errorf("after %d steps: %s heard it %d times", n, c.id, heard)
						}
					}
					died = w.deaths > 0
				})
			}
		})
	}
}

// TestSplitPublishHandsOver: at one post a second, a worker has 50 s for some of an audience, and the next one the rest.
func TestSplitPublishHandsOver(t *testing.T) {
	slow := calm
	slow.fanoutRPS = 1
	inWorld(t, slow, func(t *testing.T, w *world) {
		all := w.members("group:g1", 60)
		w.watch("p1")
		answer, _ := w.backend("p1", `{"groups":["g1"]}`)
		if answer.Queued != 60 {
			t.Errorf("answer %+v", answer)
		}
		w.running.Wait()
		if status := w.checkSplit("p1", all, true); status.Delivered != 60 {
			t.Errorf("%+v", status)
		}
		if w.counts["invoke/fanout p1 part 0 depth 1 #0"] != 1 {
			t.Error("it was not handed over")
		}
	})
}

// TestInterruptedPublish kills a worker in each of its three attempts: it is seen that nobody is at work any more, but not before.
// The backend publishes again, and whoever had not heard it does.
func TestInterruptedPublish(t *testing.T) {
	const sockets = 12
	slow := calm
	slow.fanoutRPS = 1
	for _, steps := range []int{0, 3, 8} { // before the worker has the part, before its first post, after some
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			inWorld(t, slow, func(t *testing.T, w *world) {
				all := w.members("group:g1", sockets)
				first, _ := w.backend("p1", `{"groups":["g1"]}`)
				var seen []string
				w.running.Go(func() { seen = w.states("p1") })
				for range 3 {
					w.mu.Lock()
					w.killing["fanout p1 part 0 depth 0 #0"] = steps
					w.mu.Unlock()
					time.Sleep(45 * time.Second) // the second attempt comes a minute after the first, the third two minutes after the second
				}
				time.Sleep(10 * time.Minute)
				w.mu.Lock()
				deaths, broken := w.deaths, w.broken
				w.broken = nil
				w.mu.Unlock()
				if len(broken) != 1 || !strings.Contains(broken[0], "went to the failure queue") || deaths != 3 {
					t.Fatalf("%d died; %q", deaths, broken)
				}
				if again, _ := w.backend("p1", `{"groups":["g1"]}`); again != first {
					t.Errorf("again %+v, first %+v", again, first)
				}
				w.running.Wait()
				if want := []string{"in_progress", "interrupted", "in_progress", "done"}; !slices.Equal(seen, want) {
					t.Errorf("it was seen %q, want %q", seen, want)
				}
				if status := w.checkSplit("p1", all, false); status.Delivered != sockets {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

// TestLargePublishes plays seeds of publishes to 2 400 sockets, with workers that die, run twice and are not heard of, while
// sockets come and go.
func TestLargePublishes(t *testing.T) {
	for i := range (*seeds + 3) / 4 {
		seed := *first + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			for _, broken := range playLarge(t, seed, nil) {
				t.Errorf("seed %d: %s (replay: go test ./infra/sim -run TestLargePublishes -args -seeds 1 -seed %d)", seed, broken, seed)
			}
		})
	}
}

// TestBrokenCheckpointsAreFound breaks a rule of the workers on purpose.
func TestBrokenCheckpointsAreFound(t *testing.T) {
	for name, rule := range map[string]struct {
		seed uint64 // one that finds it; later ones are tried where the rules have changed since
		wrap func(*ports)
	}{
		"a part has no lease":                  {1, func(p *ports) { p.parts = shared{p.parts} }},
		"a checkpoint is ahead of its page":    {4, func(p *ports) { p.parts = hasty{p.parts} }},
		"the status does not count every part": {1, func(p *ports) { p.parts = uncounted{p.parts} }},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := rule.seed; seed < rule.seed+uint64(*brokenSeeds); seed++ {
				if broken := playLarge(t, seed, rule.wrap); len(broken) > 0 {
					t.Logf("found by seed %d: %s", seed, broken[0])
					return
				}
			}
			t.Errorf("not found in %d seeds from %d", *brokenSeeds, rule.seed)
		})
	}
}

type shared struct{ realtime.Parts }

func (s shared) Begin(ctx context.Context, key realtime.PartKey, owner string, depth int, begun, lease time.Time) (realtime.Part, error) {
	part, err := s.Parts.Begin(ctx, key, owner, depth, begun, lease)
	if errors.Is(err, realtime.ErrBusy) {
		return realtime.Part{}, nil
	}
	return part, err
}

func (s shared) Save(ctx context.Context, key realtime.PartKey, owner string, p realtime.Part) error {
	if err := s.Parts.Save(ctx, key, owner, p); !errors.Is(err, realtime.ErrBusy) {
		return err
	}
	return nil
}

type hasty struct{ realtime.Parts }

func (h hasty) Save(ctx context.Context, key realtime.PartKey, owner string, p realtime.Part) error {
	p.Shards, p.After = p.Shards+2, ""
	return h.Parts.Save(ctx, key, owner, p)
}

type uncounted struct{ realtime.Parts }

func (u uncounted) End(ctx context.Context, key realtime.PartKey, owner string, p realtime.Part) error {
	if key.Part == 1 {
		p.Delivered--
	}
	return u.Parts.End(ctx, key, owner, p)
}

func playLarge(t *testing.T, seed uint64, wrap func(*ports)) (broken []string) {
	synctest.Test(t, func(t *testing.T) {
		l := calm
		l.fanoutRPS = 3000 // three workers
		w := newWorld(t, seed, faults{double: 0.2, mute: 0.2, drop: 0.2}, l, wrap)
		all := append(w.members("group:g1", 2200), w.members("conversation:c1", 200)...)
		var users []string
		for _, c := range all[2150:2300] { // some of both rooms
			users = append(users, c.user)
		}
		to, _ := json.Marshal(map[string]any{"groups": []string{"g1"}, "conversations": []string{"c1"}, "users": users})
		r := w.rand("large")
		calmly := seed%3 == 1
		if !calmly {
			for part := range 3 {
				w.killing[fmt.Sprintf("fanout p1 part %d depth 0 #0", part)] = r.IntN(900)
			}
			if r.IntN(2) == 0 {
				w.killing["publish p1"] = r.IntN(40)
			}
		}
		for range 20 {
			c := pick(r, all)
			pause := between(r, 0, 5*time.Second)
			w.running.Go(func() {
				time.Sleep(pause)
				w.end(c.id)
			})
		}
		w.watch("p1")
		answer, _ := w.backend("p1", string(to))
		if answer.Matched != answer.Queued || answer.Matched < 2380 || answer.Matched > 2400 {
			w.fail("answer %+v", answer)
		}
		time.Sleep(10 * time.Minute)
		again, _ := w.backend("p1", string(to))
		if answer.Duplicate = true; again != answer {
			w.fail("again %+v, want %+v", again, answer)
		}
		w.running.Wait()
		status := w.checkSplit("p1", all, w.deaths == 0)
		if status.Matched < 2380 || status.Matched > 2400 {
			w.fail("in the end %+v", status)
		}
		t.Logf("%d died; %+v", w.deaths, status)
		broken = w.broken
	})
	return broken
}
