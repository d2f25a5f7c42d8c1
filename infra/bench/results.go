package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// preface is what a reader of the results has to know.
const preface = `# What was measured

Figures of one machine, where the system, its clients and whoever publishes share the cores. They compare: with net/http, with the
SDKs, with a Node server, one size with another, in the same run. What they do not say is how long anything takes in AWS: API
Gateway's own time for a post, cold starts inside Lambda's microVMs, DynamoDB's latency and the network are not here, and neither is
Lambda's concurrency, which is not bounded by the cores of one machine.

What it costs in AWS is in README.md; it follows from counts, which are the same everywhere.
`

// keep puts the result of a part into results.md, in the place of the one before.
func (b *bench) keep(ctx context.Context, p part, text string) error {
	path := filepath.Join(b.folder, "results.md")
	before, err := os.ReadFile(path) //nolint:gosec // G304: our own
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("results: %w", err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(before), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		sections[title] = strings.TrimSpace(section)
	}
	sections[p.title] = fmt.Sprintf("%s\n\n%s\n\n`make bench PART=%s`, %s, %s", p.title, strings.TrimSpace(text), p.name, time.Now().UTC().Format(time.DateOnly), machine(ctx))
	var all strings.Builder
	all.WriteString(preface)
	for _, known := range parts {
		if section, ok := sections[known.title]; ok {
			all.WriteString("\n## " + section + "\n")
		}
	}
	if err := os.WriteFile(path, []byte(all.String()), 0o644); err != nil { //nolint:gosec // G306: a file of the repository
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

// machine says on what it was measured.
func machine(ctx context.Context) string {
	return fmt.Sprintf("%s, %d cores, %s, %s, Node %s", processor(), runtime.NumCPU(), kernel(ctx), runtime.Version(), nodeVersion(ctx))
}

func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close() //nolint:errcheck // read only
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel(ctx context.Context) string { return output(ctx, "uname", "-sr") }

func nodeVersion(ctx context.Context) string { return output(ctx, "node", "--version") }

// output is what a program prints, or that it is not there.
func output(ctx context.Context, program string, args ...string) string {
	text, err := exec.CommandContext(ctx, program, args...).Output() //nolint:gosec // G204: names are constants
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(text))
}

// percentile of times in milliseconds; 0 of none.
func percentile(times []time.Duration, share float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))].Seconds() * 1e3
}

// middle is the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
