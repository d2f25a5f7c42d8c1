package realtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeBudget has so many posts in each second, from start on; used is what was taken of each.
type fakeBudget struct {
	room func(second int) int // nil: whatever limit says
	fail error

	mu    sync.Mutex
	used  map[int]int
	calls int
}

func (f *fakeBudget) Take(_ context.Context, second time.Time, posts, limit int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fail != nil {
		return f.fail
	}
	n := int(second.Sub(start.Truncate(time.Second)) / time.Second)
	if f.room != nil {
		limit = f.room(n)
	}
	if f.used[n]+posts > limit {
		return ErrFull
	}
	if f.used == nil {
		f.used = map[int]int{}
	}
	f.used[n] += posts
	return nil
}

// houseOf is so many users of one socket each, alice among them.
func houseOf(n int) house {
	h := house{users: map[string][]Socket{"alice": {old("a=", "alice")}}, rooms: map[string][]Socket{}}
	for i := 1; i < n; i++ {
		user := fmt.Sprintf("u%d", i)
		h.users[user] = []Socket{old(user+"=", user)}
	}
	return h
}

func budgeted(t *testing.T, n, rps int) (*Publisher, *fakeBudget, *fakePoster, *fakeAsker, *fakeMetrics) {
	t.Helper()
	p, poster, asker, metrics := newPublisher(t, houseOf(n))
	budget := &fakeBudget{}
	p.Budget, p.PresenceRPS, p.Now, p.PresenceGlobalMax = budget, rps, ticking(), 0
	return p, budget, poster, asker, metrics
}

func aliceNow() Job {
	return Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: start.UnixMilli()}}
}

// Fewer than 10 posts cost nothing more than before.
func TestSmallPresencesAskForNoBudget(t *testing.T) {
	for _, tt := range []struct {
		posts, rps int
		used       map[int]int
	}{
		{freePosts - 1, 2000, nil},
		{freePosts, 2000, map[int]int{0: freePosts}},
		{200, 2000, map[int]int{0: 200}},
		{200, 0, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, budget, poster, _, _ := budgeted(t, tt.posts, tt.rps)
			if err := p.Do(t.Context(), aliceNow()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.used, budget.used); diff != "" || len(poster.posted) != tt.posts {
				t.Errorf("%d posts at %d a second: posted %d, budget -want +got\n%s", tt.posts, tt.rps, len(poster.posted), diff)
			}
		})
	}
}

// A presence waits for a second with room, then tells what is true by then.
func TestPresenceWaitsForItsSecond(t *testing.T) {
	for _, tt := range []struct {
		name    string
		free    int // the only second with room, from now
		moved   int64
		told    bool
		message string
	}{
		{"room at once", 0, 5, true, `"lastSeen":1701245041798`},
		{"the next second", 1, 5, true, `"lastSeen":1701245041798`},
		{"a newer write meanwhile, which has a job of its own", 1, 6, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, budget, poster, asker, metrics := budgeted(t, 20, 2000)
				budget.room = func(second int) int {
					if second == tt.free {
						return 2000
					}
					return 0
				}
				read := p.Presences.(*fakePresences).read
				reads := 0
				p.Presences.(*fakePresences).read = func(user string) (Presence, error) {
					presence, err := read(user)
					if reads++; reads > 1 {
						presence.Version = tt.moved
					}
					return presence, err
				}
				if err := p.Do(t.Context(), aliceNow()); err != nil {
					t.Fatal(err)
				}
				second := start.Truncate(time.Second).Add(time.Duration(tt.free) * time.Second)
				if waited := p.Now(); tt.free > 0 && !waited.Equal(second) || tt.free == 0 && !waited.Equal(start) {
					t.Errorf("told at %v, its second is %v", waited, second)
				}
				if told := len(poster.posted) == 20; told != tt.told || len(asker.jobs) != 0 || metrics.sum["PresenceDeferred"] != 0 {
					t.Errorf("told %d, asked %v, metrics %v", len(poster.posted), asker.jobs, metrics.sum)
				}
				for id, posted := range poster.posted {
					if len(posted) != 1 || !strings.Contains(posted[0], tt.message) {
						t.Errorf("%s received %q", id, posted)
					}
				}
			})
		})
	}
}

// Where no second has room, a job comes back, and whoever was to be welcomed is welcomed once.
func TestPresenceThatIsDeferred(t *testing.T) {
	now := start.UnixMilli()
	for _, tt := range []struct {
		name  string
		job   Job
		err   bool
		asked []Job
		own   int // posts of alice's socket
	}{
		{"first try", aliceNow(), true, nil, 0},
		{"second try", Job{Presence: &PresenceJob{User: "alice", Version: 5, AtMS: now - 65_000}}, true, nil, 0},
		{
			"last try",
			Job{Presence: &PresenceJob{User: "alice", Version: 5, Rooms: []string{"conversation:c1"}, AtMS: now - 190_000}},
			false,
			[]Job{{Presence: &PresenceJob{User: "alice", Rooms: []string{"conversation:c1"}, AtMS: now}}},
			0,
		},
		{
			"welcome",
			Job{Welcome: &Welcome{Connection: "a=", User: "alice", Version: 5, AtMS: now}},
			false,
			[]Job{aliceNow()},
			1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, budget, poster, asker, metrics := budgeted(t, 20, 2000)
				budget.room = func(int) int { return 19 }
				if err := p.Do(t.Context(), tt.job); errors.Is(err, errDeferred) != tt.err || (err != nil) != tt.err {
					t.Errorf("got %v", err)
				}
				if diff := cmp.Diff(tt.asked, asker.jobs); diff != "" {
					t.Errorf("asked: -want +got\n%s", diff)
				}
				if len(poster.posted["a="]) != tt.own || len(poster.posted) != tt.own || metrics.sum["PresenceDeferred"] != 1 || budget.calls != budgetTries {
					t.Errorf("posted %v, metrics %v, asked for %d seconds", poster.posted, metrics.sum, budget.calls)
				}
			})
		})
	}
}

func TestPresenceWithoutTable(t *testing.T) {
	p, budget, poster, _, _ := budgeted(t, 20, 2000)
	budget.fail = errors.New("the table does not answer")
	if err := p.Do(t.Context(), aliceNow()); !errors.Is(err, budget.fail) || len(poster.posted) != 0 {
		t.Errorf("got %v, posted %d", err, len(poster.posted))
	}
}

// An audience larger than a second's posts is told in portions, none above a quarter of it, each once.
func TestPresenceOfManyInPortions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rps = 105, 40
		p, budget, poster, _, _ := budgeted(t, n, rps)
		perSecond := map[int]int{}
		poster.fail = func(_, _ string) error {
			perSecond[int(p.Now().Sub(start.Truncate(time.Second))/time.Second)]++
			return nil
		}
		if err := p.Do(t.Context(), aliceNow()); err != nil {
			t.Fatal(err)
		}
		for id, posted := range poster.posted {
			if len(posted) != 1 {
				t.Errorf("%s was told %d times", id, len(posted))
			}
		}
		if len(poster.posted) != n || budget.calls < n*4/rps {
			t.Errorf("told %d of %d, asked %d times", len(poster.posted), n, budget.calls)
		}
		if diff := cmp.Diff(budget.used, perSecond); diff != "" {
			t.Errorf("posts by second: -taken +posted\n%s", diff)
		}
	})
}

// Everybody hears of a presence in the time of one invocation, whatever PRESENCE_RPS is; one that is too low is told of.
func TestPresenceWithTooSmallABudget(t *testing.T) {
	for _, tt := range []struct{ n, rps, needed int }{{400, 40, 40}, {401, 40, 41}, {1000, 1, 100}} {
		synctest.Test(t, func(t *testing.T) {
			p, budget, poster, asker, metrics := budgeted(t, tt.n, tt.rps)
			if err := p.Do(t.Context(), aliceNow()); err != nil || len(poster.posted) != tt.n || len(asker.jobs) != 0 {
				t.Errorf("%d sockets at %d a second: told %d, %v; asked %v", tt.n, tt.rps, len(poster.posted), err, asker.jobs)
			}
			if took := p.Now().Sub(start); took > 15*time.Second {
				t.Errorf("%d sockets at %d a second: took %v", tt.n, tt.rps, took)
			}
			for second, posts := range budget.used {
				if posts > tt.needed {
					t.Errorf("%d sockets at %d a second: %d in second %d, want %d at most", tt.n, tt.rps, posts, second, tt.needed)
				}
			}
			if told := metrics.sum["PresenceOverBudget"] == 1; told != (tt.needed > tt.rps) {
				t.Errorf("%d sockets at %d a second: metrics %v", tt.n, tt.rps, metrics.sum)
			}
		})
	}
}

// Of an audience that was told in part, those that were gone are removed all the same.
func TestPresenceThatIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, budget, poster, _, metrics := budgeted(t, 40, 40)
		budget.room = func(second int) int {
			if second == 0 {
				return 20
			}
			return 0
		}
		poster.fail = func(string, string) error { return ErrGone }
		var removed []string
		var mu sync.Mutex
		p.Presences.(*fakePresences).remove = func(_, id string, _, _ time.Time) (Presence, error) {
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, id)
			return Presence{}, ErrTooYoung
		}
		if err := p.Do(t.Context(), aliceNow()); !errors.Is(err, errDeferred) {
			t.Errorf("got %v", err)
		}
		if len(removed) != 20 || metrics.sum["Gone"] != 20 {
			t.Errorf("removed %d, metrics %v", len(removed), metrics.sum)
		}
	})
}

// A second is not taken that the invocation does not live to see.
func TestPresenceDoesNotWaitPastItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, budget, _, _, _ := budgeted(t, 20, 2000)
		budget.room = func(second int) int { return 2000 * min(second, 1) } // all but this one
		ctx, cancel := context.WithTimeout(t.Context(), endReserve+postTime)
		defer cancel()
		if err := p.Do(ctx, aliceNow()); !errors.Is(err, errDeferred) || len(budget.used) != 0 {
			t.Errorf("got %v, took %v", err, budget.used)
		}
	})
}

// Whoever waits asks for this second, the next, and others that differ from user to user.
func TestSecondsAhead(t *testing.T) {
	times := map[int64]int{}
	for i := range 900 {
		seconds := secondsAhead(fmt.Sprint("u", i), start)
		if !slices.Equal(seconds[:2], []int64{0, 1}) || len(seconds) != budgetTries {
			t.Fatalf("%v", seconds)
		}
		slices.Sort(seconds)
		if len(slices.Compact(seconds)) != budgetTries || seconds[budgetTries-1] > budgetAhead {
			t.Errorf("%v", seconds)
		}
		for _, second := range seconds[2:] {
			times[second]++
		}
	}
	for second := int64(2); second <= budgetAhead; second++ {
		if times[second] < 200 || times[second] > 400 {
			t.Errorf("second %d: asked for %d times of 300", second, times[second])
		}
	}
}

// At PRESENCE_GLOBAL_MAX everybody hears, above it the user and small rooms, whether the count or the listing finds it.
func TestPresenceGlobalMax(t *testing.T) {
	const limit = 30
	for _, tt := range []struct {
		name            string
		connections     int
		counted         int  // by sweep
		comes           bool // one more, while the connections are listed
		posts, listings int
		limited         float64
	}{
		{"below", limit - 1, 0, false, limit - 1, 1, 0},
		{"at the limit", limit, limit, false, limit, 1, 0},
		{"above, not counted yet", limit + 1, limit, false, 1 + 7, 1, 1},
		{"one comes while they are listed", limit, limit, true, 1 + 7, 1, 1},
		{"above, counted", limit + 1, limit + 1, false, 1 + 7, 0, 1},
		{"below again, not counted yet", limit - 1, limit + 1, false, 1 + 7, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := houseOf(tt.connections)
			for i := 1; i <= limit+1; i++ {
				member := old(fmt.Sprintf("u%d=", i), fmt.Sprintf("u%d", i))
				if i <= 7 {
					h.rooms["conversation:small"] = append(h.rooms["conversation:small"], member)
				}
				h.rooms["conversation:large"] = append(h.rooms["conversation:large"], member)
			}
			p, poster, _, metrics := newPublisher(t, h)
			p.PresenceGlobalMax = limit
			listings := 0
			p.Everyone.(*fakeConnections).all = func(most int) ([]Socket, error) {
				listings++
				all := h.everybody()
				if tt.comes {
					all = append(all, old("late=", "late"))
				}
				return all[:min(len(all), most+1)], nil // stops soon after
			}
			p.Timers.(*fakeTimers).read = func() (Timer, error) { return Timer{Active: tt.counted}, nil }
			job := aliceNow()
			job.Presence.Rooms = []string{"conversation:small", "conversation:large"}
			if err := p.Do(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if len(poster.posted) != tt.posts || listings != tt.listings || metrics.sum["PresenceLimited"] != tt.limited {
				t.Errorf("told %d, want %d; %d listings; metrics %v", len(poster.posted), tt.posts, listings, metrics.sum)
			}
			if len(poster.posted["a="]) != 1 {
				t.Errorf("the user's own socket was told %d times", len(poster.posted["a="]))
			}
		})
	}
}

// That presence is limited holds for long: it is logged and counted once a minute, not for each of them.
func TestLimitedIsToldOnceAMinute(t *testing.T) {
	p, _, _, metrics := newPublisher(t, houseOf(2))
	var said bytes.Buffer
	p.Log, p.PresenceGlobalMax = slog.New(slog.NewTextHandler(&said, nil)), 1
	now := time.Unix(60_000, 0)
	p.Now = func() time.Time { return now }
	for _, step := range []struct {
		after time.Duration
		told  int
	}{{0, 1}, {0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {59 * time.Second, 2}, {time.Hour, 3}} {
		now = now.Add(step.after)
		job := aliceNow()
		job.Presence.AtMS = now.UnixMilli()
		if err := p.Do(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(said.String(), "PRESENCE_GLOBAL_MAX"); lines != step.told || int(metrics.sum["PresenceLimited"]) != step.told {
			t.Errorf("at %v: %d lines, metric %v, want %d of each", now.UTC(), lines, metrics.sum["PresenceLimited"], step.told)
		}
	}
}
