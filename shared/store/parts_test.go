package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// split begins a publish and splits it.
func (s *suite) split(t *testing.T, id string, parts, matched int) {
	t.Helper()
	_, err := s.Ledger.Begin(t.Context(), claim(id, "publish", "h", start.Add(55*time.Second)))
	ok(t, err)
	ok(t, s.Ledger.Split(t.Context(), id, "publish", realtime.Record{
		Answer: fmt.Appendf(nil, `{"id":%q,"event":"messages:new","matched":%d,"queued":%d}`, id, matched, matched), Parts: parts, Begun: at(500),
	}))
}

func TestPartsAreStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		s.split(t, "p1", 4, 5000)
		equal(t, s.item(t, "pub#p1", "#"), map[string]any{
			"pk": "pub#p1", "sk": "#", "state": "inflight", "event": "messages:new", "owner": "publish", "lease": 1767323100.0, "hash": "h",
			"result": `{"id":"p1","event":"messages:new","matched":5000,"queued":5000}`, "parts": 4.0, "begun": float64(at(500).UnixMilli()),
			"exp": float64(at(500).Add(24 * time.Hour).Unix()),
		})
		part := realtime.PartKey{ID: "p1", Part: 3}
		_, err := s.Parts.Begin(t.Context(), part, "me", 2, at(500), start.Add(55*time.Second))
		ok(t, err)
		ok(t, s.Parts.Save(t.Context(), part, "me", realtime.Part{Shards: 1, After: "c=", Delivered: 10, Gone: 2, Failed: 1}))
		want := map[string]any{
			"pk": "pub#p1", "sk": "w#3", "owner": "me", "lease": 1767323100.0, "depth": 2.0, "shards": 1.0, "after": "c=", "done": false,
			"delivered": 10.0, "gone": 2.0, "failed": 1.0, "exp": float64(at(500).Add(24 * time.Hour).Unix()),
		}
		equal(t, s.item(t, "pub#p1", "w#3"), want)
		ok(t, s.Parts.End(t.Context(), part, "me", realtime.Part{Shards: 4, Done: true, Delivered: 20, Gone: 2, Failed: 1}))
		delete(want, "lease")
		want["ended"] = float64(start.Unix())
		want["shards"], want["after"], want["done"], want["delivered"] = 4.0, "", true, 20.0
		equal(t, s.item(t, "pub#p1", "w#3"), want)
	})
}

func TestParts(t *testing.T) {
	lease := start.Add(55 * time.Second)
	on := realtime.Part{Shards: 2, After: "m=", Delivered: 7, Gone: 1, Failed: 1}
	end := realtime.Part{Shards: 4, Done: true, Delivered: 9, Gone: 1, Failed: 1}
	onEngines(t, func(t *testing.T, s *suite) {
		begin := func(t *testing.T, id, owner string, depth int, want realtime.Part, wantErr error) {
			t.Helper()
			got, err := s.Parts.Begin(t.Context(), realtime.PartKey{ID: id}, owner, depth, start, lease)
			if !errors.Is(err, wantErr) {
				t.Fatalf("%v, want %v", err, wantErr)
			}
			equal(t, got, want)
		}
		t.Run("to its end", func(t *testing.T) {
			key := realtime.PartKey{ID: "p1"}
			begin(t, "p1", "a", 0, realtime.Part{}, nil)
			begin(t, "p1", "a", 0, realtime.Part{}, nil) // its own request, sent twice
			begin(t, "p1", "b", 0, realtime.Part{}, realtime.ErrBusy)
			for range 2 {
				ok(t, s.Parts.Save(t.Context(), key, "a", on))
			}
			fails(t, s.Parts.Save(t.Context(), key, "b", on), realtime.ErrBusy)
			for range 2 {
				ok(t, s.Parts.End(t.Context(), key, "a", end))
			}
			fails(t, s.Parts.End(t.Context(), key, "b", end), realtime.ErrBusy)
			begin(t, "p1", "b", 0, end, nil)
			begin(t, "p1", "a", 0, end, nil)
		})
		t.Run("handed over", func(t *testing.T) {
			key := realtime.PartKey{ID: "p2"}
			begin(t, "p2", "a", 0, realtime.Part{}, nil)
			ok(t, s.Parts.End(t.Context(), key, "a", on))
			begin(t, "p2", "b", 1, on, nil)
			begin(t, "p2", "c", 0, realtime.Part{}, realtime.ErrExists) // the first job once more
			begin(t, "p2", "c", 1, realtime.Part{}, realtime.ErrBusy)
			fails(t, s.Parts.Save(t.Context(), key, "a", on), realtime.ErrBusy)
		})
		t.Run("taken over", func(t *testing.T) {
			defer s.clock.Set(start)
			key := realtime.PartKey{ID: "p3"}
			begin(t, "p3", "a", 3, realtime.Part{}, nil)
			ok(t, s.Parts.Save(t.Context(), key, "a", on))
			s.clock.Set(lease)
			begin(t, "p3", "b", 3, realtime.Part{}, realtime.ErrBusy)
			s.clock.Set(lease.Add(time.Second))
			begin(t, "p3", "b", 3, on, nil)
			fails(t, s.Parts.Save(t.Context(), key, "a", on), realtime.ErrBusy)
			ok(t, s.Parts.End(t.Context(), key, "b", end))
		})
		t.Run("expired", func(t *testing.T) {
			defer s.clock.Set(start)
			begin(t, "p4", "a", 0, realtime.Part{}, nil)
			ok(t, s.Parts.End(t.Context(), realtime.PartKey{ID: "p4"}, "a", end))
			s.clock.Set(start.Add(24 * time.Hour))
			begin(t, "p4", "b", 0, end, nil)
			s.clock.Set(start.Add(24*time.Hour + time.Second))
			begin(t, "p4", "b", 0, realtime.Part{}, nil)
		})
		t.Run("raced for", func(t *testing.T) {
			defer s.clock.Set(start)
			for round := range 10 {
				id := fmt.Sprintf("p5-%d", round)
				for n, now := range []time.Time{start, start.Add(2 * time.Minute)} {
					s.clock.Set(now)
					var claims atomic.Int64
					var all []func()
					for c := range 8 {
						all = append(all, func() {
							_, err := s.Parts.Begin(t.Context(), realtime.PartKey{ID: id}, fmt.Sprintf("%d-%d", n, c), 0, start, now.Add(time.Minute))
							if err == nil {
								claims.Add(1)
							} else if !errors.Is(err, realtime.ErrBusy) {
								t.Error(err)
							}
						})
					}
					inParallel(all...)
					if claims.Load() != 1 {
						t.Fatalf("%d claims", claims.Load())
					}
				}
			}
		})
	})
}

// A publish that was split and not answered goes on with its plan; nothing of it is given away.
func TestSplitPublishIsTakenOver(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		lease := start.Add(55 * time.Second)
		s.split(t, "p1", 4, 5000)
		plan := realtime.Record{Answer: []byte(`{"id":"p1","event":"messages:new","matched":5000,"queued":5000}`), Parts: 4, Begun: at(500)}
		ok(t, s.Ledger.Release(t.Context(), "p1", "publish"))
		_, err := s.Ledger.Begin(t.Context(), claim("p1", "other", "h", lease))
		fails(t, err, realtime.ErrBusy)
		s.clock.Set(lease.Add(time.Second))
		_, err = s.Ledger.Begin(t.Context(), claim("p1", "other", "h2", lease))
		fails(t, err, realtime.ErrChanged)
		got, err := s.Ledger.Begin(t.Context(), claim("p1", "other", "h", lease.Add(time.Minute)))
		ok(t, err)
		equal(t, got, plan)
		fails(t, s.Ledger.Split(t.Context(), "p1", "publish", plan), realtime.ErrBusy)
		fails(t, s.Ledger.End(t.Context(), "p1", "publish", plan.Answer), realtime.ErrBusy)
		ok(t, s.Ledger.End(t.Context(), "p1", "other", plan.Answer))
		got, err = s.Ledger.Begin(t.Context(), claim("p1", "third", "h", lease.Add(time.Minute)))
		ok(t, err)
		plan.Done = true
		equal(t, got, plan)
		s.clock.Set(at(500).Add(24*time.Hour + time.Second)) // its parts have expired with it
		got, err = s.Ledger.Begin(t.Context(), claim("p1", "fourth", "h2", lease.Add(48*time.Hour)))
		ok(t, err)
		equal(t, got, realtime.Record{})
	})
}

func TestStatusOfASplitPublish(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		s.split(t, "p1", 2, 10)
		first, second := realtime.PartKey{ID: "p1", Part: 0}, realtime.PartKey{ID: "p1", Part: 1}
		read := func(state string, delivered, gone, failed, queued int) {
			t.Helper()
			got, err := s.Ledger.Read(t.Context(), "p1")
			ok(t, err)
			equal(t, got, contract.PublishStatus{
				ID: "p1", State: state, Event: "messages:new", Matched: delivered + gone + failed + queued,
				Delivered: delivered, Gone: gone, Failed: failed, Queued: queued,
			})
		}
		finish := func(want error) {
			t.Helper()
			_, err := s.Ledger.Finish(t.Context(), "p1", at(9000))
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		read("in_progress", 0, 0, 0, 10)
		ok(t, s.Ledger.End(t.Context(), "p1", "publish", []byte(`{"id":"p1","event":"messages:new","matched":10,"queued":10}`)))
		read("in_progress", 0, 0, 0, 10)
		for _, part := range []realtime.PartKey{first, second} {
			_, err := s.Parts.Begin(t.Context(), part, "w", 0, at(500), start.Add(time.Minute))
			ok(t, err)
		}
		ok(t, s.Parts.Save(t.Context(), first, "w", realtime.Part{Delivered: 2, Gone: 1}))
		read("in_progress", 2, 1, 0, 7)
		ok(t, s.Parts.End(t.Context(), first, "w", realtime.Part{Delivered: 4, Gone: 1, Done: true}))
		finish(realtime.ErrBusy)
		ok(t, s.Parts.Save(t.Context(), second, "w", realtime.Part{Delivered: 5, Failed: 1})) // one more has come meanwhile
		read("in_progress", 9, 1, 1, 0)
		ok(t, s.Parts.End(t.Context(), second, "w", realtime.Part{Delivered: 5, Failed: 1, Done: true}))
		read("done", 9, 1, 1, 0)
		got, err := s.Ledger.Finish(t.Context(), "p1", at(9000))
		ok(t, err)
		equal(t, got, contract.PublishStatus{ID: "p1", State: "done", Event: "messages:new", Matched: 11, Delivered: 9, Gone: 1, Failed: 1})
		read("done", 9, 1, 1, 0)
		finish(realtime.ErrExists)
		s.clock.Set(at(500).Add(24*time.Hour + time.Second))
		finish(realtime.ErrNotFound)
	})
}

// TestInterruptedSplitPublish: it is in progress while anybody is at work on it, and for as long as Lambda may begin another attempt
// after the last who was. Then whoever sends the request again goes on with it, before that it gets the first answer.
func TestInterruptedSplitPublish(t *testing.T) {
	var (
		whole  = start.Truncate(time.Second)
		answer = []byte(`{"id":"p1","event":"messages:new","matched":10,"queued":10}`)
		first  = realtime.PartKey{ID: "p1", Part: 0}
		second = realtime.PartKey{ID: "p1", Part: 1}
	)
	begin := func(t *testing.T, s *suite, part realtime.PartKey, depth int, at time.Time) {
		s.clock.Set(at)
		_, err := s.Parts.Begin(t.Context(), part, fmt.Sprint("worker", depth), depth, start, at.Add(55*time.Second))
		ok(t, err)
	}
	end := func(t *testing.T, s *suite, part realtime.PartKey, depth int, at time.Time, done bool) {
		s.clock.Set(at)
		ok(t, s.Parts.End(t.Context(), part, fmt.Sprint("worker", depth), realtime.Part{Delivered: 5, Done: done}))
	}
	for _, tt := range []struct {
		name string
		play func(t *testing.T, s *suite)
		sign time.Duration // after the start: the last sign of somebody at work
	}{
		{"no worker has begun", func(*testing.T, *suite) {}, 55 * time.Second},
		{"a worker died", func(t *testing.T, s *suite) {
			begin(t, s, first, 0, whole.Add(10*time.Second))
		}, 65 * time.Second},
		{"a worker died while another was at work", func(t *testing.T, s *suite) {
			begin(t, s, first, 0, whole.Add(10*time.Second))
			begin(t, s, second, 0, whole.Add(170*time.Second))
		}, 225 * time.Second},
		{"one was done, another had not begun", func(t *testing.T, s *suite) {
			begin(t, s, first, 0, whole.Add(60*time.Second))
			end(t, s, first, 0, whole.Add(70*time.Second), true)
		}, 70 * time.Second},
		{"handed over to one that did not begin", func(t *testing.T, s *suite) {
			begin(t, s, first, 0, whole.Add(60*time.Second))
			end(t, s, first, 0, whole.Add(100*time.Second), false)
			begin(t, s, first, 1, whole.Add(101*time.Second))
			end(t, s, first, 1, whole.Add(150*time.Second), false)
		}, 150 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, s *suite) {
				s.split(t, "p1", 2, 10)
				ok(t, s.Ledger.End(t.Context(), "p1", "publish", answer))
				tt.play(t, s)
				state := func(want string) {
					t.Helper()
					got, err := s.Ledger.Read(t.Context(), "p1")
					ok(t, err)
					if got.State != want || got.Queued == 0 || got.Matched != 10 {
						t.Errorf("%+v, want %s", got, want)
					}
				}
				again := func(owner string, want realtime.Record) {
					t.Helper()
					got, err := s.Ledger.Begin(t.Context(), claim("p1", owner, "h", s.clock.Now().Add(55*time.Second)))
					ok(t, err)
					equal(t, got, want)
				}
				plan := realtime.Record{Answer: answer, Parts: 2, Begun: at(500)}
				answered := plan
				answered.Done = true

				over := whole.Add(tt.sign + 5*time.Minute + time.Second)
				s.clock.Set(over.Add(-time.Millisecond))
				state("in_progress")
				again("early", answered)
				s.clock.Set(over)
				state("interrupted")
				_, err := s.Ledger.Begin(t.Context(), claim("p1", "other", "h2", over.Add(time.Minute)))
				fails(t, err, realtime.ErrChanged)
				again("backend", plan)
				state("in_progress")
				_, err = s.Ledger.Begin(t.Context(), claim("p1", "too late", "h", over.Add(time.Minute)))
				fails(t, err, realtime.ErrBusy)
				ok(t, s.Ledger.Release(t.Context(), "p1", "backend")) // its parts have a plan
				ok(t, s.Ledger.End(t.Context(), "p1", "backend", answer))
				state("in_progress") // although no worker has begun yet
				again("duplicate", answered)
				for _, part := range []realtime.PartKey{first, second} {
					left, err := s.Parts.Begin(t.Context(), part, "worker", 0, start, over.Add(time.Minute))
					ok(t, err)
					if !left.Done {
						ok(t, s.Parts.End(t.Context(), part, "worker", realtime.Part{Delivered: 5, Done: true}))
					}
				}
				_, err = s.Ledger.Finish(t.Context(), "p1", over)
				ok(t, err)
				s.clock.Set(over.Add(time.Hour))
				got, err := s.Ledger.Read(t.Context(), "p1")
				ok(t, err)
				equal(t, got, contract.PublishStatus{ID: "p1", State: "done", Event: "messages:new", Matched: 10, Delivered: 10})
				again("late", answered)
			})
		})
	}
}

// Of many parts that end at once one finishes the publish.
func TestFinishRace(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for round := range 5 {
			id := fmt.Sprintf("p%d", round)
			s.split(t, id, 8, 8)
			var finished atomic.Int64
			var all []func()
			for part := range 8 {
				all = append(all, func() {
					key := realtime.PartKey{ID: id, Part: part}
					_, err := s.Parts.Begin(t.Context(), key, "w", 0, at(500), start.Add(time.Minute))
					if err := errors.Join(err, s.Parts.End(t.Context(), key, "w", realtime.Part{Done: true, Delivered: 1})); err != nil {
						t.Error(err)
					}
					switch status, err := s.Ledger.Finish(t.Context(), id, start); {
					case err == nil && status.Delivered == 8:
						finished.Add(1)
					case !errors.Is(err, realtime.ErrBusy) && !errors.Is(err, realtime.ErrExists):
						t.Errorf("%+v, %v", status, err)
					}
				})
			}
			inParallel(all...)
			if finished.Load() != 1 {
				t.Errorf("finished %d times", finished.Load())
			}
		}
	})
}
