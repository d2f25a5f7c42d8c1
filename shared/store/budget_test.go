package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
)

func TestBudget(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx := t.Context()
		ok(t, s.Budget.Take(ctx, start, 199, 200))
		fails(t, s.Budget.Take(ctx, start, 2, 200), realtime.ErrFull)
		ok(t, s.Budget.Take(ctx, start.Add(200*time.Millisecond), 1, 200)) // the same second
		fails(t, s.Budget.Take(ctx, start, 1, 200), realtime.ErrFull)
		ok(t, s.Budget.Take(ctx, start, 1, 201)) // the setting has changed
		next := start.Add(time.Second)
		fails(t, s.Budget.Take(ctx, next, 201, 200), realtime.ErrFull) // never
		ok(t, s.Budget.Take(ctx, next, 200, 200))
		equal(t, s.item(t, "presence#1767323045", "#"), map[string]any{"pk": "presence#1767323045", "sk": "#", "used": 201.0, "exp": 1767323345.0})
		equal(t, s.item(t, "presence#1767323046", "#"), map[string]any{"pk": "presence#1767323046", "sk": "#", "used": 200.0, "exp": 1767323346.0})
	})
}

// Whoever asks at once gets no more than there is, and all of it.
func TestBudgetIsShared(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var taken atomic.Int64
		var all []func()
		for range 40 {
			all = append(all, func() {
				if s.Budget.Take(t.Context(), start, 7, 100) == nil {
					taken.Add(7)
				}
			})
		}
		inParallel(all...)
		equal(t, taken.Load(), int64(98))
	})
}
