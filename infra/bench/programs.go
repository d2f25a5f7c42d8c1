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
)

// program runs one of the programs below this folder and returns what it prints.
func program(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./infra/bench/" + name}, args...)...) //nolint:gosec // G204: our own
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out.Bytes(), nil
}

// poster compares ways to post.
func poster(ctx context.Context, b *bench) (string, error) {
	rounds := of(b, 5, 1)
	out, err := program(ctx, "poster", "-rounds", strconv.Itoa(rounds), "-seconds", of(b, "2", "0.1"))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "64 posts of 500 bytes under way at once, from one core to a stub on another; medians of %d rounds in which all take turns. "+
		"net/http signs nothing.\n\n| | posts a second | of net/http | CPU, µs a post |\n|---|--:|--:|--:|\n", rounds)
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
