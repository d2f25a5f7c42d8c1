// Command bench measures the service on this machine and writes what it finds to infra/bench/results.md, with plots beside it.
//
//	go run ./infra/bench                     # everything, about eight minutes
//	go run ./infra/bench -part poster,rooms  # parts of it; the others keep their results
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.org/realtime/shared/wire"
)

// bench is a run.
type bench struct {
	small  bool   // tiny sizes, which say nothing: whether the parts work
	folder string // of the results

	companies map[wire.Protocol]company // those that were measured
}

// part of the measurements.
type part struct {
	name, title string
	run         func(context.Context, *bench) (string, error) // returns Markdown
}

// parts in the order of the results.
var parts = []part{
	{"poster", "Posts on one core", poster},
	{"coldstart", "From the start of a process to its first event", coldstart},
	{"publish", "Publish, end to end", publish},
	{"connect", "Connecting, and 10 000 idle connections", connect},
	{"rooms", "Rooms of 6 at 2 messages a second", rooms},
	{"fanout", "A publish inline and split", fanout},
	{"sweep", "Sweep of 100 000 connections", sweep},
}

func main() {
	if os.Getenv(swarmVariable) != "" {
		if err := runSwarm(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "swarm:", err)
			os.Exit(1)
		}
		return
	}
	names := flag.String("part", "", "parts, separated by commas; none: all of "+strings.Join(partNames(), ", "))
	plan := flag.Bool("plan", false, "say what would be measured, and end")
	small := flag.Bool("small", false, "tiny sizes, to see that everything works; the results stay as they are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{small: *small, folder: filepath.Join("infra", "bench")}
	do := b.run
	if *plan {
		do = b.plan
	}
	if err := do(ctx, *names); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func partNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// choose finds parts by their names, with commas between them; "" is all of them.
func choose(names string) (chosen []part, err error) {
	if names == "" {
		return parts, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("PART: %q is none of %s", name, strings.Join(partNames(), ", "))
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}

// plan says what run would measure, before anything is fetched for it.
func (b *bench) plan(_ context.Context, names string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		b.say("%-10s %s", p.name, p.title)
	}
	if names == "" {
		b.say("about eight minutes; the results go to %s", filepath.Join(b.folder, "results.md"))
	}
	return nil
}

// run measures the parts and writes each result when it is there.
func (b *bench) run(ctx context.Context, names string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if b.small {
		folder, err := os.MkdirTemp("", "bench")
		if err != nil {
			return fmt.Errorf("results: %w", err)
		}
		defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
		b.folder = folder
	}
	for _, p := range chosen {
		begun := time.Now()
		b.say("%s ...", p.title)
		text, err := p.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("\n## %s\n\n%s\n", p.title, text)
		b.say("%s took %.0f s", p.name, time.Since(begun).Seconds())
		if err := b.keep(ctx, p, text); err != nil {
			return err
		}
	}
	return nil
}

// say tells of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// of is the one size or, in a small run, the other.
func of[T any](b *bench, size, small T) T {
	if b.small {
		return small
	}
	return size
}
