package realtime

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A throttled presence gives up after a second, so that messages have what there is; it counts as failed.
func TestPresenceGivesUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, poster, asker, metrics := budgeted(t, 20, 0)
		tries := map[string]int{}
		poster.fail = func(_, id string) error {
			if tries[id]++; id == "u1=" || id == "u2=" && tries[id] < 3 {
				return ErrThrottled
			}
			return nil
		}
		if err := p.Do(t.Context(), aliceNow()); err != nil {
			t.Fatal(err)
		}
		if took := p.Now().Sub(start); took > time.Second || tries["u1="] < 4 {
			t.Errorf("gave up after %v and %d tries", took, tries["u1="])
		}
		if len(poster.posted) != 19 || metrics.sum["Failed"] != 1 || metrics.sum["Delivered"] != 19 {
			t.Errorf("told %d, metrics %v", len(poster.posted), metrics.sum)
		}
		want := []Job{{Presence: &PresenceJob{User: "alice", Missed: []Socket{old("u1=", "u1")}, AtMS: p.Now().UnixMilli()}}}
		if diff := cmp.Diff(want, asker.jobs); diff != "" {
			t.Errorf("asked: -want +got\n%s", diff)
		}
	})
}

// One event has room for so many; where everybody is throttled there may be more.
func TestMissedJobsAreOfASizeThatLambdaTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, poster, asker, _ := budgeted(t, 2*missedPerJob+3, 0)
		poster.fail = func(_, id string) error {
			if id == "a=" {
				return nil
			}
			return ErrThrottled
		}
		if err := p.Do(t.Context(), aliceNow()); err != nil {
			t.Fatal(err)
		}
		missed := map[string]bool{}
		for _, job := range asker.jobs {
			if len(job.Presence.Missed) > missedPerJob {
				t.Errorf("a job for %d", len(job.Presence.Missed))
			}
			for _, s := range job.Presence.Missed {
				missed[s.ID] = true
			}
		}
		if len(asker.jobs) != 3 || len(missed) != 2*missedPerJob+2 {
			t.Errorf("%d jobs for %d sockets", len(asker.jobs), len(missed))
		}
	})
}

// TestPresenceIsToldToThoseWhoMissedIt: whose posts failed has a job of its own, which Lambda tries again; the others, of whom the
// job knows nothing, hear it once.
func TestPresenceIsToldToThoseWhoMissedIt(t *testing.T) {
	missed := []Socket{old("u1=", "u1"), old("u2=", "u2")}
	for _, tt := range []struct {
		name  string
		age   time.Duration // of the job
		fails error         // of the posts to u1
		tries int           // at least
		want  error
	}{
		{"reached now", 0, nil, 1, nil},
		{"throttled still", 0, ErrThrottled, 4, errMissed},
		{"throttled at the second try", 65 * time.Second, ErrThrottled, 4, errMissed},
		{"throttled at the last try", lastTry, ErrThrottled, 4, nil},
		{"refused for good", 0, ErrRejected, 1, nil},
		{"has left", 0, ErrGone, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _, poster, asker, _ := budgeted(t, 20, 0)
				p.Presences.(*fakePresences).remove = func(string, string, time.Time, time.Time) (Presence, error) {
					return Presence{}, ErrTooYoung
				}
				tries := 0
				poster.fail = func(op, id string) error {
					if op != "post" || id != "u1=" {
						return nil
					}
					tries++
					return tt.fails
				}
				err := p.Do(t.Context(), Job{Presence: &PresenceJob{User: "alice", Missed: missed, AtMS: start.Add(-tt.age).UnixMilli()}})
				if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) || tries < tt.tries || len(asker.jobs) != 0 {
					t.Errorf("got %v after %d tries, asked %v", err, tries, asker.jobs)
				}
				delete(poster.posted, "u1=")
				if len(poster.posted) != 2 || len(poster.posted["u2="]) != 1 || len(poster.posted["a="]) != 1 {
					t.Errorf("posted %v, want u2 and alice's own", poster.posted)
				}
			})
		})
	}
}
