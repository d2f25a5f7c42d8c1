package faults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

func with(t testing.TB, c Config) *Faults {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func get(partition string) table.Op {
	return table.Op{Name: "GetItem", Keys: []table.Key{{Partition: partition, Sort: "#"}}}
}

// Each fault by itself.
func TestEachFault(t *testing.T) {
	tests := map[string]struct {
		c    Config
		want gateway.Fault
	}{
		"gone":       {Config{Gone: 1}, gateway.Fault{Cut: true}},
		"false-gone": {Config{FalseGone: 1}, gateway.Fault{Status: 410}},
		"throttled":  {Config{Throttled: 1}, gateway.Fault{Status: 429}},
		"failed":     {Config{Failed: 1}, gateway.Fault{Status: 500}},
		"lost":       {Config{Lost: 1}, gateway.Fault{Status: 500, After: true}},
		"slow":       {Config{Slow: 1, Latency: time.Minute}, gateway.Fault{Delay: time.Minute}},
	}
	for key, tt := range tests {
		f := with(t, tt.c)
		if got := f.Management(gateway.PostToConnection, "c="); got != tt.want {
			t.Errorf("%s: %+v, want %+v", key, got, tt.want)
		}
		if diff := cmp.Diff(map[string]int{key: 1}, f.Injected()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", key, diff)
		}
	}
	if got := with(t, Config{Lost: 1, Slow: 1}).Management("", ""); got != (gateway.Fault{Status: 500, After: true, Delay: DefaultLatency}) {
		t.Errorf("lost and slow: %+v", got)
	}
	if !with(t, Config{LoseDisconnect: 1}).LoseDisconnect("c=") || !with(t, Config{Duplicate: 1}).Duplicate("publish") {
		t.Error("lose-disconnect or duplicate does not happen")
	}
	if with(t, Config{Kill: 1}).Kill("publish") < 1 {
		t.Error("kill does not happen")
	}
	var throttled *types.ProvisionedThroughputExceededException
	var internal *types.InternalServerError
	if err := with(t, Config{TableThrottled: 1}).Before(t.Context(), get("p")); !errors.As(err, &throttled) {
		t.Errorf("table-throttled: %v", err)
	}
	if err := with(t, Config{TableFailed: 1}).Before(t.Context(), get("p")); !errors.As(err, &internal) {
		t.Errorf("table-failed: %v", err)
	}
	lost := with(t, Config{TableLost: 1})
	if err := lost.Before(t.Context(), get("p")); err != nil {
		t.Errorf("table-lost, before: %v", err)
	}
	if err := lost.After(t.Context(), get("p")); !errors.As(err, &internal) {
		t.Errorf("table-lost, after: %v", err)
	}
}

func TestNothingHappens(t *testing.T) {
	for name, f := range map[string]*Faults{"zero": with(t, Config{}), "a seed alone": with(t, Config{Seed: 7}), "ended": with(t, everything)} {
		if name == "ended" {
			if err := f.Set(Config{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			if f.Management("", "c=") != (gateway.Fault{}) || f.LoseDisconnect("c=") || f.Kill("join") != 0 || f.Duplicate("join") ||
				f.Before(t.Context(), get("p")) != nil || f.After(t.Context(), get("p")) != nil || len(f.Injected()) != 0 {
				t.Fatalf("%s: something happens", name)
			}
		}
	}
	// Making and describing tables is left alone.
	f := with(t, Config{TableThrottled: 1, TableLost: 1})
	if f.Before(t.Context(), table.Op{Name: "CreateTable"}) != nil || f.After(t.Context(), table.Op{Name: "CreateTable"}) != nil {
		t.Error("a table cannot be made")
	}
}

// What happens to one thing is the same whatever happens beside it, in whatever order.
func TestChoicesRepeat(t *testing.T) {
	const subjects, times = 20, 50
	choices := func(c Config, concurrent bool) map[string][]gateway.Fault {
		f := with(t, c)
		all := map[string][]gateway.Fault{}
		var mu sync.Mutex
		var done sync.WaitGroup
		for i := range subjects {
			name := fmt.Sprint("connection ", i)
			ask := func() {
				var faults []gateway.Fault
				for range times {
					faults = append(faults, f.Management(gateway.PostToConnection, name))
				}
				mu.Lock()
				defer mu.Unlock()
				all[name] = faults
			}
			if concurrent {
				done.Go(ask)
			} else {
				ask()
			}
		}
		done.Wait()
		return all
	}
	c := Config{Seed: 7, Gone: 0.2, FalseGone: 0.2, Throttled: 0.2, Failed: 0.2, Lost: 0.2, Slow: 0.2}
	one := choices(c, false)
	if diff := cmp.Diff(one, choices(c, true)); diff != "" {
		t.Errorf("the same seed, concurrently: -one +other:\n%s", diff)
	}
	other := c
	other.Seed = 8
	if cmp.Equal(one, choices(other, false)) {
		t.Error("another seed makes the same choices")
	}
	// One fault more leaves the others where they were, unless it comes first.
	slower := c
	slower.Slow = 1
	for name, faults := range choices(slower, false) {
		for i, fault := range faults {
			was := one[name][i]
			was.Delay = DefaultLatency
			if fault != was {
				t.Fatalf("%s, %d: %+v, was %+v", name, i, fault, was)
			}
		}
	}
}

func TestShares(t *testing.T) {
	const n = 20_000
	for _, share := range []float64{0.01, 0.1, 0.5, 0.9} {
		f := with(t, Config{Seed: 1, Duplicate: share, Throttled: share})
		one, many := 0, 0
		for i := range n {
			if f.Duplicate("publish") { // the same thing over and over
				one++
			}
			if f.Management(gateway.PostToConnection, fmt.Sprint(i)).Status != 0 { // many things, once each
				many++
			}
		}
		within := 5 * math.Sqrt(n*share*(1-share)) // five standard deviations
		for what, got := range map[string]int{"one thing": one, "many things": many} {
			if math.Abs(float64(got)-n*share) > within {
				t.Errorf("%s at %g: %d of %d", what, share, got, n)
			}
		}
	}
}

// A killed invocation may die anywhere from its first call on.
func TestKillAnywhere(t *testing.T) {
	f := with(t, Config{Seed: 1, Kill: 1})
	at := map[int]int{}
	for range 1000 {
		at[f.Kill("publish")]++
	}
	for call := 1; call <= 12; call++ {
		if at[call] == 0 {
			t.Errorf("never at call %d: %v", call, at)
		}
	}
	if at[0] > 0 {
		t.Error("spared")
	}
}

func TestUnprocessed(t *testing.T) {
	f := with(t, Config{TableUnprocessed: 1})
	for items := 1; items <= 5; items++ {
		op := table.Op{Name: "BatchGetItem", Keys: make([]table.Key, items)}
		for range 20 {
			var left table.Unprocessed
			if err := f.Before(t.Context(), op); !errors.As(err, &left) || len(left) == 0 || slices.Min(left) < 0 || slices.Max(left) >= items {
				t.Fatalf("of %d items %v are left out", items, err)
			}
		}
	}
	if err := f.Before(t.Context(), get("p")); err != nil {
		t.Errorf("no batch: %v", err)
	}
}

func TestTableLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := with(t, Config{TableSlow: 1, TableLatency: 3 * time.Second})
		begun := time.Now()
		if err := f.Before(t.Context(), get("p")); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if err := f.Before(ctx, get("p")); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("a caller that gives up: %v after %v", err, time.Since(begun))
		}
	})
}

func TestConnectionIDs(t *testing.T) {
	if got := with(t, Config{Kill: 1}).ConnectionID(); got != "" {
		t.Errorf("without a seed: %q", got)
	}
	f, again := with(t, Config{Seed: 7}), with(t, Config{Seed: 7})
	seen := map[string]bool{}
	for range 100 {
		id := f.ConnectionID()
		if other := again.ConnectionID(); other != id {
			t.Errorf("%s, and again %s", id, other)
		}
		seen[id] = true
	}
	if err := f.Set(Config{Seed: 7, Kill: 1}); err != nil { // begins anew, and ids do not
		t.Fatal(err)
	}
	if seen[f.ConnectionID()] || len(seen) != 100 {
		t.Error("an id came twice")
	}
}

// What is remembered is bounded.
func TestCountsAreBounded(t *testing.T) {
	f := with(t, Config{Throttled: 0.5})
	for i := range maxSubjects + 10 {
		f.Management("", fmt.Sprint(i))
	}
	if got := len(f.counts); got > maxSubjects {
		t.Errorf("%d counts", got)
	}
}
