package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// program runs one of the programs below this folder and returns what it prints.
func program(ctx context.Context, name string, args ...string) ([]byte, error) {
	return tool(ctx, append([]string{"run", "./infra/bench/" + name}, args...)...)
}

// tool runs the go command.
func tool(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)       //nolint:gosec // G204: our own
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1") // of the SDK for JavaScript, about the age of Node
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	defer signsOfLife()()
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out.Bytes(), nil
}

// signsOfLife tells every few seconds that a program is at work, until what it returns is called.
func signsOfLife() (stop func()) {
	begun, tick := time.Now(), time.NewTicker(5*time.Second)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(os.Stderr, "  %.0f s\n", time.Since(begun).Seconds())
			case <-done:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(done)
		<-stopped
	}
}

// poster compares ways to post.
func poster(ctx context.Context, b *bench) (string, error) {
	rounds := of(b, 5, 1)
	out, err := program(ctx, "poster", "-rounds", strconv.Itoa(rounds), "-seconds", of(b, "1", "0.1"))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "64 posts of 500 bytes under way at once, from one core to a stub on another; medians of %d rounds in which all take short turns. "+
		"nethttp and tls sign nothing. Those with -session send a session token as functions have it, a kilobyte more, which push-session signs as well; the others have none.\n\n| | posts a second | of net/http | CPU, µs a post |\n|---|--:|--:|--:|\n", rounds)
	var bars []bar
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var r struct {
			Name           string  `json:"name"`
			PostsPerSecond float64 `json:"posts_per_second"`
			CPUMicros      float64 `json:"cpu_us_per_post"`
			OfPlain        float64 `json:"of_nethttp"`
		}
		if err := lines.Decode(&r); err != nil {
			return "", fmt.Errorf("poster: %w", err)
		}
		fmt.Fprintf(&text, "| %s | %.0f | %.0f %% | %.0f |\n", r.Name, r.PostsPerSecond, 100*r.OfPlain, r.CPUMicros)
		bars = append(bars, bar{r.Name, r.PostsPerSecond})
	}
	fmt.Fprintf(&text, "\n![posts a second](poster.svg)\n")
	return text.String(), b.plot("poster.svg", barChart("Posts a second, on one core", bars))
}

// coldstart compares starts.
func coldstart(ctx context.Context, b *bench) (string, error) {
	rounds := of(b, 41, 1)
	out, err := program(ctx, "coldstart", "-rounds", strconv.Itoa(rounds))
	if err != nil && !b.small { // of one round no more than that it works can be told
		return "", err
	}
	return fmt.Sprintf("Each program as it is deployed, but for this machine's architecture, started %d times, all in turns. Ready: it asks for its first event. "+
		"In Lambda a function of 256 MB has a fraction of a core once it runs.\n\n%s", rounds, out), nil
}

// sweep has tests of its own for what it does when; here they play 100 000 connections. Its benchmark tells what a walk takes.
func sweep(ctx context.Context, b *bench) (string, error) {
	const folder = "./infra/bench/sweep"
	size := of(b, []string{"-connections", "100000", "-rps", "1000", "-per-worker", "20000"}, nil)
	cycle, err := tool(ctx, append([]string{"test", "-v", "-count=1", "-timeout", "20m", "-run", "^TestCycle$", folder, "-args"}, size...)...)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, cycle)
	}
	walks, err := tool(ctx, "test", "-run", "^$", "-bench", of(b, ".", "/^5000$"), "-benchtime", of(b, "5x", "1x"), folder)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, walks)
	}
	var text strings.Builder
	text.WriteString("The rules on the embedded table with a simulated clock, and a stub in the place of API Gateway: eleven minutes of a schedule that comes every minute.\n\n")
	for line := range strings.Lines(string(cycle)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") || strings.Contains(line, "connections, SWEEP_RPS=") {
			text.WriteString(line + "\n")
			if !strings.HasPrefix(line, "|") {
				text.WriteString("\n")
			}
		}
	}
	text.WriteString("\nA worker that walks and verifies, without waiting for API Gateway:\n\n| connections | CPU, µs a connection | heap, KB |\n|--:|--:|--:|\n")
	for line := range strings.Lines(string(walks)) {
		values := benchmark(line)
		if name, ok := values[""]; ok {
			fmt.Fprintf(&text, "| %s | %s | %s |\n", name, values["cpu-µs/connection"], values["KB-heap"])
		}
	}
	return text.String(), nil
}

// benchmark takes a line of go test -bench apart: values by their unit, and under "" what the benchmark's name ends with.
func benchmark(line string) map[string]string {
	words := strings.Fields(line)
	if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
		return nil
	}
	name := words[0][strings.LastIndex(words[0], "/")+1:]
	if i := strings.LastIndex(name, "-"); i > 0 {
		name = name[:i] // the number of cores
	}
	values := map[string]string{"": name}
	for i := 2; i+1 < len(words); i += 2 {
		values[words[i+1]] = words[i]
	}
	return values
}
