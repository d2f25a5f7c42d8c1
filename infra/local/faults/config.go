package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config says how much goes wrong. Shares are from 0, never, to 1, always; the zero Config lets everything be. Parse and String know each
// field by the key that Keys lists.
type Config struct {
	Seed uint64 // the same choices for the same seed; see Faults

	// Of the requests to @connections, the first of them that is drawn:
	Gone      float64 // the client's socket is cut first: a 410 that is true
	FalseGone float64 // 410, of a connection that lives on
	Throttled float64 // 429
	Failed    float64 // 500, and nothing was done
	Lost      float64 // 500, and all of it was done
	// and besides:
	Slow    float64       // held back for Latency
	Latency time.Duration // zero is DefaultLatency

	LoseDisconnect float64 // of the connections that end, nobody is told

	Kill      float64 // of the invocations: the process is killed in the middle of it
	Duplicate float64 // of the asynchronous events: they run twice

	// Of the operations on the table's items, the first of them that is drawn:
	TableThrottled   float64 // ProvisionedThroughputExceededException
	TableFailed      float64 // InternalServerError, and nothing was done
	TableLost        float64 // InternalServerError, and all of it was done
	TableUnprocessed float64 // of the batches: some items are left out
	// and besides:
	TableSlow    float64       // held back for TableLatency
	TableLatency time.Duration // zero is DefaultLatency
}

// DefaultLatency is how long a slow request takes that is not told otherwise.
const DefaultLatency = time.Second

// Key is a field of Config as people write it.
type Key struct {
	Name    string
	Meaning string
}

// field is a Key with its place in a Config: a *float64 is a share.
type field struct {
	Key
	value any // *uint64, *float64 or *time.Duration
}

func (c *Config) fields() []field {
	return []field{
		{Key{"seed", "the same number, the same choices; 0 for connection ids by chance"}, &c.Seed},
		{Key{"gone", "@connections: the client's socket is cut, then 410"}, &c.Gone},
		{Key{"false-gone", "@connections: 410 of a connection that lives on"}, &c.FalseGone},
		{Key{"throttled", "@connections: 429"}, &c.Throttled},
		{Key{"failed", "@connections: 500, nothing done"}, &c.Failed},
		{Key{"lost", "@connections: 500, all done"}, &c.Lost},
		{Key{"slow", "@connections: held back for latency"}, &c.Slow},
		{Key{"latency", "a duration, 1s"}, &c.Latency},
		{Key{"lose-disconnect", "connections that end without $disconnect"}, &c.LoseDisconnect},
		{Key{"kill", "invocations whose process is killed in the middle"}, &c.Kill},
		{Key{"duplicate", "asynchronous events that run twice"}, &c.Duplicate},
		{Key{"table-throttled", "table: throttled"}, &c.TableThrottled},
		{Key{"table-failed", "table: internal error, nothing done"}, &c.TableFailed},
		{Key{"table-lost", "table: internal error, all done"}, &c.TableLost},
		{Key{"table-unprocessed", "table: batches that leave some items out"}, &c.TableUnprocessed},
		{Key{"table-slow", "table: held back for table-latency"}, &c.TableSlow},
		{Key{"table-latency", "a duration, 1s"}, &c.TableLatency},
	}
}

// Keys lists what Parse takes, in the order of String.
func Keys() []Key {
	var keys []Key
	for _, f := range new(Config).fields() {
		keys = append(keys, f.Key)
	}
	return keys
}

// Parse reads what String writes: throttled=0.1,gone=0.02,seed=7. The error is one line that names the key and the fix.
func Parse(s string) (Config, error) {
	var c Config
	given := map[string]bool{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		switch f, known := c.field(name); {
		case !known:
			return Config{}, fmt.Errorf("%q is no fault: choose from %s", name, names())
		case !ok:
			return Config{}, fmt.Errorf("%s: has no value: write %s=%s", name, name, f.example())
		case given[name]:
			return Config{}, fmt.Errorf("%s: is there twice: give it once", name)
		default:
			given[name] = true
			if err := f.parse(value); err != nil {
				return Config{}, err
			}
		}
	}
	return c, c.check()
}

// String is the shortest text that Parse makes the same Config of: "" is the zero Config.
func (c Config) String() string {
	var parts []string
	for _, f := range c.fields() {
		if value := f.text(); value != "" {
			parts = append(parts, f.Name+"="+value)
		}
	}
	return strings.Join(parts, ",")
}

// check reports the first field that cannot be, by its key.
func (c *Config) check() error {
	for _, f := range c.fields() {
		switch v := f.value.(type) {
		case *float64:
			if !(*v >= 0 && *v <= 1) {
				return f.wrong(strconv.FormatFloat(*v, 'g', -1, 64))
			}
		case *time.Duration:
			if *v < 0 {
				return f.wrong(v.String())
			}
		}
	}
	switch {
	case c.Latency > 0 && c.Slow == 0:
		return fmt.Errorf("latency: nothing is slow: say how much, as in slow=0.1,latency=%s", c.Latency)
	case c.TableLatency > 0 && c.TableSlow == 0:
		return fmt.Errorf("table-latency: nothing is slow: say how much, as in table-slow=0.1,table-latency=%s", c.TableLatency)
	}
	return nil
}

func (c *Config) field(name string) (field, bool) {
	for _, f := range c.fields() {
		if f.Name == name {
			return f, true
		}
	}
	return field{}, false
}

func names() string {
	var all []string
	for _, k := range Keys() {
		all = append(all, k.Name)
	}
	return strings.Join(all, ", ")
}

func (f field) parse(s string) error {
	var err error
	switch v := f.value.(type) {
	case *uint64:
		*v, err = strconv.ParseUint(s, 10, 64)
	case *float64:
		*v, err = strconv.ParseFloat(s, 64)
	case *time.Duration:
		*v, err = time.ParseDuration(s)
	}
	if err != nil {
		return f.wrong(s)
	}
	return nil
}

// text is "" for a zero value.
func (f field) text() string {
	switch v := f.value.(type) {
	case *uint64:
		if *v != 0 {
			return strconv.FormatUint(*v, 10)
		}
	case *float64:
		if *v != 0 {
			return strconv.FormatFloat(*v, 'g', -1, 64)
		}
	case *time.Duration:
		if *v != 0 {
			return v.String()
		}
	}
	return ""
}

func (f field) wrong(value string) error {
	want := "a number from 0 to 1, the share it happens to"
	switch f.value.(type) {
	case *uint64:
		want = "a whole number"
	case *time.Duration:
		want = "a duration, such as 200ms or 2s"
	}
	return fmt.Errorf("%s: %q is not %s: write %s=%s", f.Name, value, want, f.Name, f.example())
}

func (f field) example() string {
	switch f.value.(type) {
	case *uint64:
		return "7"
	case *time.Duration:
		return "200ms"
	}
	return "0.1"
}
