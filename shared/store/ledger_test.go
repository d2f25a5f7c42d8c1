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

func claim(id, owner, hash string, lease time.Time) realtime.Claim {
	return realtime.Claim{ID: id, Owner: owner, Hash: hash, Event: "messages:new", Lease: lease}
}

func TestPublishIsStoredAsDocumented(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		_, err := s.Ledger.Begin(t.Context(), claim("order 7 #1/é", "me", "h1", start.Add(30*time.Second)))
		ok(t, err)
		want := map[string]any{
			"pk":    "pub#order 7 #1/é",
			"sk":    "#",
			"state": "inflight",
			"event": "messages:new",
			"owner": "me",
			"lease": 1767323075.0,
			"hash":  "h1",
			"exp":   1767323045.0 + 24*3600,
		}
		equal(t, s.item(t, "pub#order 7 #1/é", "#"), want)
		ok(t, s.Ledger.End(t.Context(), "order 7 #1/é", "me", []byte(`{"matched":1}`)))
		want["state"], want["result"] = "done", `{"matched":1}`
		equal(t, s.item(t, "pub#order 7 #1/é", "#"), want)
	})
}

func TestLedger(t *testing.T) {
	lease := start.Add(30 * time.Second)
	onEngines(t, func(t *testing.T, s *suite) {
		begin := func(t *testing.T, id, owner, hash, wantResult string, want error) {
			t.Helper()
			record, err := s.Ledger.Begin(t.Context(), claim(id, owner, hash, lease))
			if !errors.Is(err, want) || string(record.Answer) != wantResult || record.Done != (wantResult != "") {
				t.Fatalf("Begin: %+v, %v, want %q, %v", record, err, wantResult, want)
			}
		}
		t.Run("done", func(t *testing.T) {
			begin(t, "p1", "a", "h", "", nil)
			begin(t, "p1", "b", "h", "", realtime.ErrBusy)
			begin(t, "p1", "b", "other", "", realtime.ErrChanged)
			begin(t, "p1", "a", "h", "", nil) // its own request, sent twice
			for range 2 {
				ok(t, s.Ledger.End(t.Context(), "p1", "a", []byte("answer")))
			}
			begin(t, "p1", "b", "h", "answer", nil)
			begin(t, "p1", "a", "h", "answer", nil)
			begin(t, "p1", "b", "other", "", realtime.ErrChanged)
			ok(t, s.Ledger.Release(t.Context(), "p1", "a")) // too late
			begin(t, "p1", "b", "h", "answer", nil)
		})
		t.Run("done with an empty answer", func(t *testing.T) {
			begin(t, "p2", "a", "h", "", nil)
			ok(t, s.Ledger.End(t.Context(), "p2", "a", nil))
			record, err := s.Ledger.Begin(t.Context(), claim("p2", "b", "h", lease))
			if err != nil || !record.Done || len(record.Answer) > 0 {
				t.Errorf("%+v, %v, want an empty answer", record, err)
			}
		})
		t.Run("released", func(t *testing.T) {
			begin(t, "p3", "a", "h", "", nil)
			ok(t, s.Ledger.Release(t.Context(), "p3", "b")) // not its own
			begin(t, "p3", "b", "h", "", realtime.ErrBusy)
			for range 2 {
				ok(t, s.Ledger.Release(t.Context(), "p3", "a"))
			}
			fails(t, s.Ledger.End(t.Context(), "p3", "a", []byte("answer")), realtime.ErrBusy)
			begin(t, "p3", "b", "other", "", nil)
		})
		t.Run("taken over", func(t *testing.T) {
			defer s.clock.Set(start)
			begin(t, "p4", "a", "h", "", nil)
			s.clock.Set(lease.Truncate(time.Second).Add(time.Second - time.Millisecond))
			begin(t, "p4", "b", "h", "", realtime.ErrBusy)
			s.clock.Set(lease.Truncate(time.Second).Add(time.Second))
			begin(t, "p4", "b", "other", "", realtime.ErrChanged)
			begin(t, "p4", "b", "h", "", nil)
			fails(t, s.Ledger.End(t.Context(), "p4", "a", []byte("answer")), realtime.ErrBusy)
			ok(t, s.Ledger.Release(t.Context(), "p4", "a"))
			ok(t, s.Ledger.End(t.Context(), "p4", "b", []byte("answer")))
		})
		t.Run("expired", func(t *testing.T) {
			defer s.clock.Set(start)
			begin(t, "p5", "a", "h", "", nil)
			ok(t, s.Ledger.End(t.Context(), "p5", "a", []byte("answer")))
			s.clock.Set(start.Add(24 * time.Hour))
			begin(t, "p5", "b", "other", "", realtime.ErrChanged)
			begin(t, "p5", "b", "h", "answer", nil)
			s.clock.Set(start.Add(24*time.Hour + time.Second))
			begin(t, "p5", "b", "other", "", nil)
			if result := s.item(t, "pub#p5", "#")["result"]; result != nil {
				t.Errorf("the claim has the old result %v", result)
			}
		})
		t.Run("never begun", func(t *testing.T) {
			fails(t, s.Ledger.End(t.Context(), "p6", "a", []byte("answer")), realtime.ErrBusy)
			ok(t, s.Ledger.Release(t.Context(), "p6", "a"))
			begin(t, "p6", "a", "h", "", nil)
		})
	})
}

// TestClaimsRace: of many that begin at once one has the claim, again after its lease, and the answer is the winner's.
func TestClaimsRace(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		for round := range 10 {
			s.clock.Set(start)
			id := fmt.Sprintf("publish-%d", round)
			race := func(lease time.Time) (winner string) {
				var claims atomic.Int64
				var all []func()
				for n := range 8 {
					owner := fmt.Sprintf("%d at %v", n, lease)
					all = append(all, func() {
						switch record, err := s.Ledger.Begin(t.Context(), claim(id, owner, "h", lease)); {
						case err == nil && !record.Done:
							claims.Add(1)
							winner = owner
						case !errors.Is(err, realtime.ErrBusy):
							t.Errorf("%+v, %v", record, err)
						}
					})
				}
				inParallel(all...)
				if claims.Load() != 1 {
					t.Fatalf("%d claims", claims.Load())
				}
				return winner
			}
			loser := race(start.Add(time.Minute))
			s.clock.Set(start.Add(2 * time.Minute))
			winner := race(start.Add(3 * time.Minute))
			fails(t, s.Ledger.End(t.Context(), id, loser, []byte(loser)), realtime.ErrBusy)
			ok(t, s.Ledger.End(t.Context(), id, winner, []byte(winner)))
			record, err := s.Ledger.Begin(t.Context(), claim(id, "late", "h", start.Add(time.Hour)))
			ok(t, err)
			equal(t, string(record.Answer), winner)
		}
	})
}

func TestStatusOfAPublish(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		read := func(t *testing.T, id string, want contract.PublishStatus, wantErr error) {
			t.Helper()
			got, err := s.Ledger.Read(t.Context(), id)
			if !errors.Is(err, wantErr) {
				t.Fatalf("%v, want %v", err, wantErr)
			}
			equal(t, got, want)
		}
		read(t, "s1", contract.PublishStatus{}, realtime.ErrNotFound)
		_, err := s.Ledger.Begin(t.Context(), claim("s1", "a", "h", start.Add(30*time.Second)))
		ok(t, err)
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "in_progress", Event: "messages:new"}, nil)
		end := start.Truncate(time.Second).Add(30 * time.Second)
		s.clock.Set(end.Add(5*time.Minute + time.Second - time.Millisecond)) // the last attempt of Lambda may be about to begin
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "in_progress", Event: "messages:new"}, nil)
		s.clock.Set(end.Add(5*time.Minute + time.Second))
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "interrupted", Event: "messages:new"}, nil)
		_, err = s.Ledger.Begin(t.Context(), claim("s1", "b", "h", end.Add(10*time.Minute)))
		ok(t, err)
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "in_progress", Event: "messages:new"}, nil)
		ok(t, s.Ledger.End(t.Context(), "s1", "b", []byte(`{"id":"s1","event":"messages:new","matched":6,"delivered":3,"gone":2,"failed":1}`)))
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "done", Event: "messages:new", Matched: 6, Delivered: 3, Gone: 2, Failed: 1}, nil)
		s.clock.Set(end.Add(24 * time.Hour)) // of the claim that ended it
		read(t, "s1", contract.PublishStatus{ID: "s1", State: "done", Event: "messages:new", Matched: 6, Delivered: 3, Gone: 2, Failed: 1}, nil)
		s.clock.Set(end.Add(25 * time.Hour))
		read(t, "s1", contract.PublishStatus{}, realtime.ErrNotFound)
	})
}
