package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the parts start this program again as a swarm.
func TestMain(m *testing.M) {
	if os.Getenv(swarmVariable) != "" {
		if err := runSwarm(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "swarm:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every part works, at tiny sizes: each has a table without an empty row, nothing is lost, and plots are images. That of coldstart has a test
// of its own.
func TestParts(t *testing.T) {
	t.Chdir("../..")
	for _, p := range parts {
		if p.name == "coldstart" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			b := &bench{small: true, folder: t.TempDir()}
			text, err := p.run(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			if rows := strings.Count(text, "\n| "); rows < 2 {
				t.Errorf("%d rows:\n%s", rows, text)
			}
			for row := range strings.Lines(text) {
				if strings.HasSuffix(row, " |\n") && strings.Contains(text, "| lost |") && !strings.Contains(row, "lost") && !strings.Contains(row, "--:") && !strings.HasSuffix(row, "| 0 |\n") {
					t.Errorf("lost: %s", row)
				}
			}
			plots, err := filepath.Glob(filepath.Join(b.folder, "*.svg"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range plots {
				image(t, path)
				if !strings.Contains(text, "("+filepath.Base(path)+")") {
					t.Errorf("%s is not in the text", path)
				}
			}
		})
	}
}

// image is well-formed.
func image(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, text)
		}
	}
}

// A part's result takes the place of the one before, the others stay, in the order of the parts.
func TestKeep(t *testing.T) {
	b := &bench{folder: t.TempDir()}
	for _, step := range []struct {
		part int
		text string
	}{{2, "second, old"}, {0, "first"}, {2, "second, new"}} {
		if err := b.keep(t.Context(), parts[step.part], step.text); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(b.folder, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		lines := strings.SplitN(section, "\n", 4)
		got = append(got, lines[0], lines[2])
	}
	if diff := cmp.Diff([]string{parts[0].title, "first", parts[2].title, "second, new"}, got); diff != "" {
		t.Errorf("-want +got\n%s\n%s", diff, text)
	}
	if !strings.HasPrefix(string(text), preface) || !strings.Contains(string(text), "`make bench PART="+parts[2].name+"`") {
		t.Errorf("%s", text)
	}
}

func TestUnknownPart(t *testing.T) {
	b := &bench{small: true}
	for _, do := range []func(context.Context, string) error{b.run, b.plan} {
		if err := do(t.Context(), "poster,pots"); err == nil || !strings.Contains(err.Error(), `PART: "pots" is none of poster, `) {
			t.Error(err)
		}
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for ms := 100; ms >= 1; ms-- {
		times = append(times, time.Duration(ms)*time.Millisecond)
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := percentile(times, share); got != want {
			t.Errorf("%g: %g, want %g", share, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("of none: %g", got)
	}
}

// A swarm that is asked for what cannot be says so, and goes on.
func TestSwarmSaysWhatIsWrong(t *testing.T) {
	orders := `{"url":"ws://127.0.0.1:1/","protocol":"json","to":1,"at_once":1}` + "\n" + `{"expect":1,"patience":1000000}` + "\n"
	var reports bytes.Buffer
	if err := runSwarm(strings.NewReader(orders), &reports); err != nil {
		t.Fatal(err)
	}
	var first, second report
	d := json.NewDecoder(&reports)
	if err := errors.Join(d.Decode(&first), d.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	if first.Error == "" || first.Count != 0 || second.Error != "" || second.Count != 0 {
		t.Errorf("%+v, %+v", first, second)
	}
}

// What the Node server answers is looked at.
func TestPost(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	if err := post(t.Context(), server.Client(), server.URL, "x"); err != nil {
		t.Error(err)
	}
	status = http.StatusBadGateway
	if err := post(t.Context(), server.Client(), server.URL, "x"); err == nil || err.Error() != "publish: status 502" {
		t.Error(err)
	}
}

// An event without its time ends its client.
func TestHeard(t *testing.T) {
	c := &crowd{}
	if err := c.heard([]byte(`{"t":1700000000000000000,"x":1}`)); err != nil || len(c.times) != 1 || c.times[0] < time.Hour {
		t.Errorf("%v, %v", c.times, err)
	}
	for _, frame := range []string{`{"t":"soon"}`, `{"t":`, `{"t":12`} {
		if err := c.heard([]byte(frame)); err == nil {
			t.Errorf("%s is accepted", frame)
		}
	}
}

func TestBenchmark(t *testing.T) {
	got := benchmark("BenchmarkWalk/20000-2   \t       5\t 904410230 ns/op\t     12.5 KB-heap\t        43.1 cpu-µs/connection\n")
	want := map[string]string{"": "20000", "ns/op": "904410230", "KB-heap": "12.5", "cpu-µs/connection": "43.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, line := range []string{"", "PASS", "ok  \texample.org/x\t1s", "Benchmark"} {
		if got := benchmark(line); got != nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}
