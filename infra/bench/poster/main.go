// Command poster measures posts to connections on one core: those of shared/push, of plain net/http without a signature, of the
// SDK for Go, and of the SDK for JavaScript where Node and its packages are there (npm ci --prefix infra/bench/poster/node).
//
//	go run ./infra/bench/poster -n 64 -seconds 2 -rounds 5
//
// It prints a line of JSON per contestant, the median of its rounds. In a round they take short turns, so that whatever else the
// machine does meets them all, but for Node, which has one; what posts are posted to is another process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// result is what a contestant did.
type result struct {
	Name           string  `json:"name"`
	PostsPerSecond float64 `json:"posts_per_second"`
	CPUMicros      float64 `json:"cpu_us_per_post"` // of the posting process, the system's part included
	OfPlain        float64 `json:"of_nethttp"`      // posts per second, over those of the first contestant in the same round
}

// options are what is measured.
type options struct {
	inFlight int
	length   time.Duration // of a round of one contestant
	rounds   int
	node     string   // folder of the contestant for Node; "" for none
	only     []string // besides the first contestant; nil for all
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "poster:", err)
		os.Exit(1)
	}
}

func run() error {
	if os.Getenv(stubVariable) != "" {
		return serveStub()
	}
	var o options
	flag.IntVar(&o.inFlight, "n", 64, "posts in flight")
	seconds := flag.Float64("seconds", 2, "length of a round of one contestant")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median counts")
	flag.StringVar(&o.node, "node", filepath.Join("infra", "bench", "poster", "node"), "folder of the contestant for Node; empty for none")
	only := flag.String("only", "", "names of contestants, separated by commas; empty for all")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if o.inFlight < 1 || *seconds <= 0 || o.rounds < 1 || flag.NArg() > 0 {
		return errors.New("usage: poster [-n 64] [-seconds 2] [-rounds 3] [-only push,sdk] [-node FOLDER], numbers above 0")
	}
	o.length = time.Duration(*seconds * float64(time.Second))
	if o.node != "" {
		if _, err := os.Stat(filepath.Join(o.node, "node_modules")); err != nil {
			fmt.Fprintf(os.Stderr, "poster: without the SDK for JavaScript: it needs npm ci --prefix %s\n", o.node)
			o.node = ""
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := compare(ctx, o)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, r := range results {
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// turns is how many a contestant has in a round.
const turns = 20

// compare lets every contestant post in turn.
func compare(ctx context.Context, o options) (results []result, err error) {
	s, err := startStub(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	runtime.GOMAXPROCS(1)

	var names []string
	var posts []post
	for i, c := range contestants {
		if i > 0 && o.only != nil && !slices.Contains(o.only, c.name) {
			continue
		}
		do, err := c.make(s, o.inFlight)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		names, posts = append(names, c.name), append(posts, do)
	}
	all := map[string][]result{}
	for range o.rounds {
		done := make([]work, len(posts))
		for range turns {
			for i, do := range posts {
				if err := measure(ctx, do, o.inFlight, o.length/turns, &done[i]); err != nil {
					return nil, fmt.Errorf("%s: %w", names[i], err)
				}
			}
		}
		plain := done[0].result().PostsPerSecond
		add := func(name string, r result) {
			r.OfPlain = r.PostsPerSecond / plain
			all[name] = append(all[name], r)
		}
		for i, w := range done {
			add(names[i], w.result())
		}
		if o.node != "" && (o.only == nil || slices.Contains(o.only, nodeName)) {
			r, err := measureNode(ctx, s, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", nodeName, err)
			}
			add(nodeName, r)
		}
	}
	if len(all[nodeName]) > 0 {
		names = append(names, nodeName)
	}
	for _, name := range names {
		results = append(results, result{
			Name:           name,
			PostsPerSecond: median(all[name], func(r result) float64 { return r.PostsPerSecond }),
			CPUMicros:      median(all[name], func(r result) float64 { return r.CPUMicros }),
			OfPlain:        median(all[name], func(r result) float64 { return r.OfPlain }),
		})
	}
	return results, nil
}

// work is what a contestant did in its turns.
type work struct {
	posts     int64
	took, cpu time.Duration
}

func (w work) result() result {
	return result{
		PostsPerSecond: float64(w.posts) / w.took.Seconds(),
		CPUMicros:      float64(w.cpu.Microseconds()) / float64(w.posts),
	}
}

// measure posts for that long with so many posts in flight, after a tenth of it to open connections and warm up, and adds what
// it did to w. The garbage of whoever came before is not its own.
func measure(ctx context.Context, do post, inFlight int, length time.Duration, w *work) error {
	runtime.GC()
	if _, err := postAll(ctx, do, inFlight, time.Now().Add(length/10)); err != nil {
		return err
	}
	cpu, err := cpuTime()
	if err != nil {
		return err
	}
	start := time.Now()
	posts, err := postAll(ctx, do, inFlight, start.Add(length))
	if err != nil {
		return err
	}
	w.posts, w.took = w.posts+posts, w.took+time.Since(start)
	after, err := cpuTime()
	w.cpu += after - cpu
	return err
}

// postAll posts until then, and counts.
func postAll(ctx context.Context, do post, inFlight int, until time.Time) (int64, error) {
	var posts atomic.Int64
	failures := make([]error, inFlight)
	message := []byte(strings.Repeat("m", bodySize))
	var wg sync.WaitGroup
	for i := range inFlight {
		wg.Go(func() {
			id := fmt.Sprintf("L0SM9cOFvHcCIh%02d=", i)
			for failures[i] == nil && time.Now().Before(until) {
				if failures[i] = do(ctx, id, message); failures[i] == nil {
					posts.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return max(posts.Load(), 1), errors.Join(failures...)
}

// nodeName is the contestant that is another program.
const nodeName = "node-sdk"

// measureNode runs the contestant for Node, which measures itself.
func measureNode(ctx context.Context, s *stub, o options) (r result, err error) {
	command := exec.CommandContext(ctx, "node", filepath.Join(o.node, "post.js"), s.http+stage, //nolint:gosec // G204: this repository's
		strconv.Itoa(o.inFlight), strconv.FormatFloat(o.length.Seconds(), 'f', -1, 64), strconv.Itoa(bodySize))
	command.Env = append(os.Environ(), "AWS_REGION="+region, "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_SESSION_TOKEN=")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// cpuTime is what this process has used so far, the system's part included.
func cpuTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

func median(results []result, of func(result) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
