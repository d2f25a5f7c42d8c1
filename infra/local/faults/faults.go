// Package faults decides what goes wrong in the local stack: which requests to @connections and to the table fail and how, which
// $disconnects are lost, which functions die, and which events run twice. All of it follows from one Config, which may be changed while the
// stack runs.
//
// A choice depends on the seed, the kind of the fault, what it happens to (a connection, an item, a function) and how often that has come up
// there, and on nothing else: the n-th post to a connection is throttled, or it is not, whatever happens beside it.
package faults

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

const (
	// maxSubjects bounds what is remembered of how often something came up; above it, all counts begin again.
	maxSubjects = 1 << 16
	// meanCalls is about how many calls a killed invocation gets to.
	meanCalls = 6
	// idLength, in bytes, of a connection id before base64.
	idLength = 11
)

// Faults answers the hooks of gateway, lambda and table. Its methods may be called concurrently. While its Config is zero they cost an
// atomic load.
type Faults struct {
	config      atomic.Pointer[Config] // nil is the zero Config
	connections atomic.Uint64          // ids given

	mu       sync.Mutex
	counts   map[subject]uint64
	injected map[string]int
}

// subject is what may happen to what.
type subject struct{ fault, name string }

// New returns the faults of a Config. The error is Parse's for the same values.
func New(c Config) (*Faults, error) {
	f := &Faults{counts: map[subject]uint64{}, injected: map[string]int{}}
	return f, f.Set(c)
}

// Set changes what goes wrong from now on, and starts the counting anew. A Config that cannot be changes nothing.
func (f *Faults) Set(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.counts)
	f.config.Store(nil)
	if c != (Config{}) {
		f.config.Store(&c)
	}
	return nil
}

// Get returns what goes wrong.
func (f *Faults) Get() Config {
	if c := f.config.Load(); c != nil {
		return *c
	}
	return Config{}
}

// Injected says how often each fault, by its key, has happened since New.
func (f *Faults) Injected() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.injected)
}

// ConnectionID is an id that the seed gives to the next connection, and "" without a seed. It is never the same twice.
func (f *Faults) ConnectionID() string {
	c := f.config.Load()
	if c == nil || c.Seed == 0 {
		return ""
	}
	b := binary.BigEndian.AppendUint64(nil, c.Seed)
	b = binary.BigEndian.AppendUint64(b, f.connections.Add(1))
	sum := sha256.Sum256(b)
	return base64.URLEncoding.EncodeToString(sum[:idLength])
}

// Management is gateway.Config.Fault.
func (f *Faults) Management(op, connection string) (fault gateway.Fault) {
	c := f.config.Load()
	if c == nil {
		return fault
	}
	name := op + " " + connection
	switch {
	case f.happens(c, "gone", name, c.Gone):
		fault.Cut = true
	case f.happens(c, "false-gone", name, c.FalseGone):
		fault.Status = 410
	case f.happens(c, "throttled", name, c.Throttled):
		fault.Status = 429
	case f.happens(c, "failed", name, c.Failed):
		fault.Status = 500
	case f.happens(c, "lost", name, c.Lost):
		fault.Status, fault.After = 500, true
	}
	if f.happens(c, "slow", name, c.Slow) {
		fault.Delay = latency(c.Latency)
	}
	return fault
}

// LoseDisconnect is gateway.Config.LoseDisconnect.
func (f *Faults) LoseDisconnect(connection string) bool {
	c := f.config.Load()
	return c != nil && f.happens(c, "lose-disconnect", connection, c.LoseDisconnect)
}

// Kill is lambda.Config.Kill: 0, or with which of its calls an invocation of the function dies.
func (f *Faults) Kill(function string) (call int) {
	c := f.config.Load()
	if c == nil || !f.happens(c, "kill", function, c.Kill) {
		return 0
	}
	u := chance(c.Seed, "kill at", function, f.count("kill at", function))
	return 1 + int(-math.Log1p(-u)*meanCalls)
}

// Duplicate is lambda.Config.Duplicate.
func (f *Faults) Duplicate(function string) bool {
	c := f.config.Load()
	return c != nil && f.happens(c, "duplicate", function, c.Duplicate)
}

// Before is table.Options.Hook.
func (f *Faults) Before(ctx context.Context, op table.Op) error {
	c := f.config.Load()
	if c == nil || len(op.Keys) == 0 {
		return nil
	}
	name := item(op)
	if f.happens(c, "table-slow", name, c.TableSlow) {
		select {
		case <-time.After(latency(c.TableLatency)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch {
	case f.happens(c, "table-throttled", name, c.TableThrottled):
		return &types.ProvisionedThroughputExceededException{Message: new("throttled, as FAULTS says")}
	case f.happens(c, "table-failed", name, c.TableFailed):
		return &types.InternalServerError{Message: new("failed before it was done, as FAULTS says")}
	}
	batch := op.Name == "BatchGetItem" || op.Name == "BatchWriteItem"
	if batch && f.happens(c, "table-unprocessed", name, c.TableUnprocessed) {
		return f.some(c, name, len(op.Keys))
	}
	return nil
}

// some leaves items of a batch out, one at least.
func (f *Faults) some(c *Config, name string, items int) table.Unprocessed {
	n := f.count("items", name)
	from := int(chance(c.Seed, "items", name, n) * float64(items))
	left := table.Unprocessed{from}
	for i := from + 2; i < items; i += 2 {
		left = append(left, i)
	}
	return left
}

// After is table.Options.After.
func (f *Faults) After(_ context.Context, op table.Op) error {
	c := f.config.Load()
	if c == nil || len(op.Keys) == 0 || !f.happens(c, "table-lost", item(op), c.TableLost) {
		return nil
	}
	return &types.InternalServerError{Message: new("failed after it was done, as FAULTS says")}
}

// item names what an operation is about: of a batch, its first item.
func item(op table.Op) string {
	return op.Name + " " + op.Keys[0].Partition + " " + op.Keys[0].Sort
}

func latency(d time.Duration) time.Duration {
	if d == 0 {
		return DefaultLatency
	}
	return d
}

// happens decides about one occasion.
func (f *Faults) happens(c *Config, fault, name string, share float64) bool {
	if share == 0 || chance(c.Seed, fault, name, f.count(fault, name)) >= share {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injected[fault]++
	return true
}

// count says how often it was called for this before.
func (f *Faults) count(fault, name string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) >= maxSubjects {
		clear(f.counts)
	}
	s := subject{fault, name}
	n := f.counts[s]
	f.counts[s] = n + 1
	return n
}

// chance is a number from 0 to below 1, evenly spread over its arguments.
func chance(seed uint64, fault, name string, n uint64) float64 {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, seed)) // never fails
	_, _ = h.Write([]byte(fault + "\x00" + name + "\x00"))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, n))
	// FNV leaves its high bits nearly alone for what comes last: the finalizer of SplitMix64 spreads all of them.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
