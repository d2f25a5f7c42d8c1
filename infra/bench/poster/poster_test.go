package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	if os.Getenv(stubVariable) != "" { // startStub starts this binary
		if err := serveStub(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Every contestant posts, and the results have what make bench reads.
func TestCompare(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0)) // compare has it at 1
	results, err := compare(t.Context(), options{inFlight: 4, length: 10 * time.Millisecond, rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range results {
		names = append(names, r.Name)
		if r.PostsPerSecond <= 0 || r.CPUMicros <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff([]string{"nethttp", "nethttp-session", "push", "push-session", "sdk", "tls-http1", "tls-http2"}, names); diff != "" {
		t.Error(diff)
	}
}

// A contestant whose posts fail ends the comparison, and is named.
func TestPostAllFails(t *testing.T) {
	var posts atomic.Int64
	n, err := postAll(t.Context(), func(context.Context, string, []byte) error {
		if posts.Add(1) > 3 {
			return os.ErrDeadlineExceeded
		}
		return nil
	}, 2, time.Now().Add(time.Minute))
	if n != 3 || err == nil {
		t.Errorf("%d posts, %v", n, err)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2, 100}, 3}} {
		var results []result
		for _, v := range test.values {
			results = append(results, result{CPUMicros: v})
		}
		if got := median(results, func(r result) float64 { return r.CPUMicros }); got != test.want {
			t.Errorf("%v: %v", test.values, got)
		}
	}
}

// BenchmarkPost measures each contestant on one core, 64 posts of 500 bytes in flight, and compares it with plain net/http: of
// the CPU time that push has spent on a post, the share that plain net/http would have is push's ratio.
//
//	go test -run '^$' -bench '^BenchmarkPost$' -benchtime 2s -count 3 ./infra/bench/poster
func BenchmarkPost(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, err := startStub(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.stop(); err != nil {
			b.Error(err)
		}
	})
	const inFlight = 64
	message := []byte(strings.Repeat("m", bodySize))
	first := 0.0 // the CPU time of a post of the first contestant, microseconds
	for _, c := range contestants {
		b.Run(c.name, func(b *testing.B) {
			do, err := c.make(s, inFlight)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := postAll(b.Context(), do, inFlight, time.Now().Add(50*time.Millisecond)); err != nil {
				b.Fatal(err)
			}
			before, err := cpuTime()
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(inFlight)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := do(b.Context(), "L0SM9cOFvHcCIhw=", message); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			after, err := cpuTime()
			if err != nil {
				b.Fatal(err)
			}
			micros := float64((after - before).Nanoseconds()) / 1000 / float64(b.N)
			if first == 0 || c.name == contestants[0].name {
				first = micros
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
			b.ReportMetric(micros, "cpu-us/post")
			b.ReportMetric(first/micros, "of-"+contestants[0].name)
		})
	}
}

// The contestant for Node is held to the version that its lock file has.
func TestNodeContestantIsThere(t *testing.T) {
	for _, name := range []string{"package.json", "package-lock.json", "post.js"} {
		if _, err := os.Stat(filepath.Join("node", name)); err != nil {
			t.Error(err)
		}
	}
}
