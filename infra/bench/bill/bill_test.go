package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/bench/rig"
)

// logTolerance is by how much the bytes of the log may differ from those that were measured: times in it have more digits or fewer.
const logTolerance = 0.1

// The README has the page that measured.json makes.
func TestPage(t *testing.T) {
	t.Chdir("../../..")
	m, err := load(measuredFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, page, _, ok := cut(string(text))
	if diff := cmp.Diff(strings.Split(m.page(), "\n"), strings.Split(page, "\n")); !ok || diff != "" {
		t.Errorf("README.md is not what was measured (go run ./infra/bench/bill -write): -bill +README\n%s", diff)
	}
	metrics, err := alarmMetrics("template.yaml")
	if err != nil || metrics != m.AlarmMetrics {
		t.Errorf("alarms watch %d metrics, and measured.json has %d (%v)", metrics, m.AlarmMetrics, err)
	}
}

// What Lambda itself logs is not in the bill, because functions are deployed so that it does not log what succeeds.
func TestPlatformLogs(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Parameters map[string]struct {
			Default any `yaml:"Default"`
		} `yaml:"Parameters"`
		Globals struct {
			Function struct {
				LoggingConfig map[string]string `yaml:"LoggingConfig"`
			} `yaml:"Function"`
		} `yaml:"Globals"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"ApplicationLogLevel": "TRACE", "LogFormat": "JSON", "SystemLogLevel": "SystemLogLevel"} // a reference, which loses its tag
	if diff := cmp.Diff(want, template.Globals.Function.LoggingConfig); diff != "" || template.Parameters["SystemLogLevel"].Default != "WARN" {
		t.Errorf("-want +template\n%s, %v by default", diff, template.Parameters["SystemLogLevel"].Default)
	}
}

// What was measured is what is measured now, where that takes seconds.
func TestMeasured(t *testing.T) {
	t.Chdir("../../..")
	m, err := load(measuredFile)
	if err != nil {
		t.Fatal(err)
	}
	now := newMeasured()
	if err := now.take(t.Context(), nobody, measureNobody); err != nil {
		t.Fatal(err)
	}
	few := 0
	for _, s := range scenarios {
		if s.Connections <= 100 {
			few++
			if err := now.take(t.Context(), s.Key, s.measure); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, o := range occasions {
		if o.Connections <= 200 {
			few++
			if err := now.take(t.Context(), o.Key, o.measure); err != nil {
				t.Fatal(err)
			}
		}
	}
	if few < 3 {
		t.Errorf("%d of the scenarios and occasions are small", few)
	}
	for key, got := range now.Flows {
		same := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LogBytes" }, cmp.Comparer(func(a, b int) bool {
			return math.Abs(float64(a-b)) <= logTolerance*float64(max(a, b))
		}))
		for name, r := range got {
			r.Busy = 0 // is not kept
			got[name] = r
		}
		if diff := cmp.Diff(m.Flows[key], got, same); diff != "" {
			t.Errorf("%s takes something else than was measured (go run ./infra/bench/bill -measure -write): -measured +now\n%s", key, diff)
		}
	}
	for function, mb := range now.MemoryMB {
		if m.MemoryMB[function] != mb {
			t.Errorf("%s has %d MB, not %d", function, mb, m.MemoryMB[function])
		}
	}
}

// A month is the sum of its parts.
func TestMonth(t *testing.T) {
	m := measured{
		TableBytes: map[string]int64{"s": 5000},
		MemoryMB:   map[string]int{"publish": 1024, "sweep": 512, "connect": 256},
		Flows: map[string]flows{
			nobody: {flowSweep: {Write: 18}},
			"s": {
				flowSweep:   {Write: 20},
				flowPings:   {Write: 20, Outbound: 9, Posts: 9},
				flowPong:    {Inbound: 1, Write: 1},
				flowSession: {Write: 5, Invocations: map[string]int{"connect": 1}},
				flowMessage: {Outbound: 3, Posts: 3, Invocations: map[string]int{"publish": 1}},
			},
		},
	}
	s := scenario{Key: "s", Connections: 10, Hours: 2, Session: life, Room: 3, Messages: 7, Ping: keepAlive}
	got := s.month(m)
	const signs, sessions = 15, 10 // every 8 minutes for two hours; each of ten once
	want := price.Usage{
		Messages:          signs*10 + signs*10 + 7*3,
		ConnectionMinutes: 10 * 120,
		Invocations:       sessions + 7,
		Write:             (20-18)*120 + signs*10 + sessions*5,
		StoredByteMonths:  5000,
		GBSeconds:         signs*10*0.5/sweepRPS + 7*(price.PostMilliseconds+price.Milliseconds["publish"])/1000 + sessions*price.Milliseconds["connect"]/1000/4,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := s.deliveries(); got != 21 {
		t.Errorf("%g deliveries", got)
	}
}

func TestDollars(t *testing.T) {
	for _, test := range []struct {
		amount float64
		want   string
	}{{0, "$0.00"}, {1234.567, "$1234.57"}, {0.1, "$0.10"}, {0.0999, "$0.100"}, {0.05, "$0.050"}, {0.000123, "$0.00012"}} {
		if got := dollars(test.amount); got != test.want {
			t.Errorf("%g: %s, want %s", test.amount, got, test.want)
		}
	}
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567"} {
		if got := count(n); got != want {
			t.Errorf("%g: %s, want %s", n, got, want)
		}
	}
}

// A scenario that goes wrong is told.
func TestFailures(t *testing.T) {
	t.Chdir("../../..")
	r, err := rig.Start(t.Context(), rig.Options{Everybody: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context()) //nolint:errcheck // the test has failed before
	m := &measurement{rig: r, got: flows{}}
	m.flow(t.Context(), "refused", func() error { return m.publish(t.Context(), map[string]any{}, 1) })
	m.flow(t.Context(), "next", func() error { t.Error("the next flow runs"); return nil })
	if m.err == nil || !strings.Contains(m.err.Error(), "refused: publish: ") {
		t.Error(m.err)
	}
}
