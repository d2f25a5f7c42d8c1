// Command bill says what the service costs in AWS: for standard scenarios, from what the real functions take on the local stack.
//
//	go run ./infra/bench/bill            # the page, from measured.json
//	go run ./infra/bench/bill -measure   # measures first, and writes measured.json: two minutes
//	go run ./infra/bench/bill -write     # puts the page into README.md
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"example.org/realtime/infra/bench/rig"
)

const (
	measuredFile = "infra/bench/bill/measured.json"
	readme       = "README.md"
)

// measured is what was counted. It changes with the code alone, but for the bytes of the log, in which numbers have more digits or fewer.
type measured struct {
	MemoryMB     map[string]int      `json:"memory_mb"` // of each function
	Metrics      map[string][]string `json:"metrics"`   // custom ones that were put, by function
	AlarmMetrics int                 `json:"alarm_metrics"`
	TableBytes   map[string]int64    `json:"table_bytes"` // that were stored, by the key of the scenario or occasion
	Flows        map[string]flows    `json:"flows"`       // by the same
}

func main() {
	measure := flag.Bool("measure", false, "measure and write "+measuredFile)
	write := flag.Bool("write", false, "put the page into "+readme)
	flag.Parse()
	if err := run(context.Background(), *measure, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, measure, write bool) error {
	if measure {
		if err := remeasure(ctx); err != nil {
			return err
		}
	}
	m, err := load(measuredFile)
	if err != nil {
		return err
	}
	page := m.page()
	if !write {
		fmt.Print(page)
		return nil
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	head, _, tail, ok := cut(string(text))
	if !ok {
		return fmt.Errorf("%s has no lines %q and %q", readme, begin, end)
	}
	return os.WriteFile(readme, []byte(head+page+tail), 0o600) //nolint:gosec // G703: our own file
}

// The lines of README.md around the page.
const (
	begin = "<!-- go run ./infra/bench/bill -write -->\n"
	end   = "<!-- end of the bill -->\n"
)

// cut finds the page in the README.
func cut(text string) (head, page, tail string, ok bool) {
	head, rest, ok1 := strings.Cut(text, begin)
	page, tail, ok2 := strings.Cut(rest, end)
	return head + begin, page, end + tail, ok1 && ok2
}

func load(path string) (measured, error) {
	var m measured
	text, err := os.ReadFile(path) //nolint:gosec // G304: our own
	if err != nil {
		return m, fmt.Errorf("measured: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	keys := []string{nobody}
	for _, s := range scenarios {
		keys = append(keys, s.Key)
	}
	for _, o := range occasions {
		keys = append(keys, o.Key)
	}
	for _, key := range keys {
		if m.Flows[key] == nil {
			return m, fmt.Errorf("%s has no %s: measure again, with -measure", path, key)
		}
	}
	return m, nil
}

func newMeasured() measured {
	return measured{MemoryMB: map[string]int{}, Metrics: map[string][]string{}, TableBytes: map[string]int64{}, Flows: map[string]flows{}}
}

// remeasure measures everything.
func remeasure(ctx context.Context) error {
	m := newMeasured()
	if err := m.take(ctx, nobody, measureNobody); err != nil {
		return err
	}
	for _, s := range scenarios {
		if err := m.take(ctx, s.Key, s.measure); err != nil {
			return err
		}
	}
	for _, o := range occasions {
		if err := m.take(ctx, o.Key, o.measure); err != nil {
			return err
		}
	}
	var err error
	if m.AlarmMetrics, err = alarmMetrics("template.yaml"); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return fmt.Errorf("measured: %w", err)
	}
	return os.WriteFile(measuredFile, append(text, '\n'), 0o644) //nolint:gosec // G306: a file of the repository
}

// attempts of a measurement: on a machine that is busy with something else, a call that takes too long is tried again, and counted twice.
const attempts = 3

// take measures one and adds what it found.
func (m *measured) take(ctx context.Context, key string, measure func(context.Context) (flows, *rig.Rig, error)) (err error) {
	for range attempts {
		fmt.Fprintln(os.Stderr, key)
		var got flows
		var r *rig.Rig
		got, r, err = measure(ctx)
		if r != nil {
			maps.Copy(m.MemoryMB, r.Memory())
			for function, names := range r.Metrics() {
				names = append(names, m.Metrics[function]...)
				slices.Sort(names)
				m.Metrics[function] = slices.Compact(names)
			}
			size, stored := r.TableBytes(ctx)
			m.TableBytes[key] = size
			err = errors.Join(err, stored, r.Close(ctx))
		}
		if err == nil {
			m.Flows[key] = got
			return nil
		}
		fmt.Fprintln(os.Stderr, key+":", err)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// An alarm watches one metric of its own, or each MetricStat in its list.
var watched = regexp.MustCompile(`(?m)MetricStat:|^      MetricName:`)

// alarmMetrics is how many metrics the alarms of the template watch.
func alarmMetrics(path string) (int, error) {
	text, err := os.ReadFile(path) //nolint:gosec // G304: our own
	if err != nil {
		return 0, fmt.Errorf("alarms: %w", err)
	}
	return len(watched.FindAll(text, -1)), nil
}
