package sweep

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// BenchmarkWalk is a run of one worker that walks through so many connections and verifies them: the time of a processor for each, of
// which the embedded table has its part, and the KB of heap that it holds when it begins to verify.
func BenchmarkWalk(b *testing.B) {
	for _, n := range []int{5_000, 20_000, 62_500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, n, wire.JSON, time.Minute, 10_000, 0, func(time.Duration) {})
			w.RPS = 1_000_000
			var before, during runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			// Nobody is due, so that the first question is where verification begins.
			w.Now = func() time.Time { return w.began }
			measure := sync.OnceFunc(func() {
				runtime.GC()
				runtime.ReadMemStats(&during)
			})
			all := realtime.Worker{RPS: 1_000_000}
			for shard := range realtime.Shards {
				all.Shards = append(all.Shards, shard)
			}
			w.onLookup = measure
			if err := w.Work(b.Context(), all); err != nil {
				b.Fatal(err)
			}
			w.onLookup = nil
			began := processor(b)
			for b.Loop() {
				w.forget(b)
				if err := w.Work(b.Context(), all); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processor(b)-began).Microseconds())/float64(n)/float64(b.N), "cpu-µs/connection")
			b.ReportMetric(float64(int64(during.HeapAlloc)-int64(before.HeapAlloc))/1024, "KB-heap")
		})
	}
}

// processor is the time of processors that this process has had: other processes on the machine do not count.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// forget makes the last verification an old one.
func (w *world) forget(t testing.TB) {
	t.Helper()
	all := realtime.Lease{Owner: "seed", Until: w.began.Add(-time.Second)}
	timer, err := w.table.Timers.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for shard := range realtime.Shards {
		all.Shards = append(all.Shards, shard)
		timer.Shards[shard].Verified = w.began.Add(-time.Hour)
	}
	if _, err := w.table.Timers.Begin(t.Context(), all, w.began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := w.table.Timers.End(t.Context(), all, timer); err != nil {
		t.Fatal(err)
	}
}
