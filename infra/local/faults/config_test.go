package faults

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everything has each field set, and no two to the same value.
var everything = Config{
	Seed: 7, Gone: 0.01, FalseGone: 0.02, Throttled: 0.03, Failed: 0.04, Lost: 0.05, Slow: 0.06, Latency: 200 * time.Millisecond,
	LoseDisconnect: 0.07, Kill: 0.08, Duplicate: 1, TableThrottled: 0.09, TableFailed: 0.1, TableLost: 0.11, TableUnprocessed: 0.12,
	TableSlow: 0.13, TableLatency: 2 * time.Second,
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Config{
		"":    {},
		" , ": {},
		"throttled=0.1,gone=0.02,kill=0.05,seed=7": {Throttled: 0.1, Gone: 0.02, Kill: 0.05, Seed: 7},
		" kill=1 , lost=0":                         {Kill: 1},
		"seed=18446744073709551615":                {Seed: math.MaxUint64},
		"slow=1e-3":                                {Slow: 0.001},
		everything.String():                        everything,
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%q becomes %q becomes %+v, %v", text, got, again, err)
		}
	}
}

func TestStringHasEveryKey(t *testing.T) {
	text := everything.String()
	for _, key := range Keys() {
		if !strings.Contains(","+text, ","+key.Name+"=") || key.Meaning == "" {
			t.Errorf("%s is not in %s, or means nothing", key.Name, text)
		}
	}
	if got := strings.Count(text, "="); got != len(Keys()) {
		t.Errorf("%d keys in %s", got, text)
	}
	if got := (Config{}).String(); got != "" {
		t.Errorf("the zero Config is %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"thottled=0.1":             `"thottled" is no fault: choose from seed, gone, false-gone, `,
		"=1":                       `"" is no fault: choose from `,
		"kill":                     "kill: has no value: write kill=0.1",
		"kill=0.1,kill=0.1":        "kill: is there twice: give it once",
		"kill=10%":                 `kill: "10%" is not a number from 0 to 1, the share it happens to: write kill=0.1`,
		"kill=1.01":                `kill: "1.01" is not a number from 0 to 1, the share it happens to: write kill=0.1`,
		"kill=-0.1":                `kill: "-0.1" is not a number from 0 to 1`,
		"kill=NaN":                 `kill: "NaN" is not a number from 0 to 1`,
		"seed=-1":                  `seed: "-1" is not a whole number: write seed=7`,
		"slow=1,latency=5":         `latency: "5" is not a duration, such as 200ms or 2s: write latency=200ms`,
		"slow=1,latency=-1s":       `latency: "-1s" is not a duration`,
		"latency=1s":               "latency: nothing is slow: say how much, as in slow=0.1,latency=1s",
		"slow=1,table-latency=2ms": "table-latency: nothing is slow: say how much, as in table-slow=0.1,table-latency=2ms",
	} {
		_, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Kill: 2}); err == nil {
		t.Error("a share of 2 is taken")
	}
	f, err := New(Config{Kill: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Set(Config{Kill: math.NaN()}); err == nil || f.Get() != (Config{Kill: 1}) {
		t.Errorf("%v, and then %v", err, f.Get())
	}
}
