// Package table is the part of the DynamoDB API that this project uses, embedded and in memory. A Table is an http.Handler that speaks DynamoDB's
// JSON 1.0 protocol, signed or unsigned, so that any SDK works against it; Client is the Go SDK's client of it, without a network.
//
// It is as strict as AWS, so that what works here is not refused there, and it is held to DynamoDB Local by random operations that run on both
// (differential_test.go). What it leaves out (transactions, indexes, streams, PartiQL, the parameters from before expressions, backups) it refuses
// with an error that names DynamoDB Local as the way out.
package table

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Options of a Table. The zero value is a table without a hook whose items never expire.
type Options struct {
	// Now is the clock, time.Now when nil. It dates tables and, with ExpireEvery, expires items; nothing else depends on time.
	Now func() time.Time

	// ExpireEvery turns the time to live on: an operation that comes so long after the last look first removes what has expired, as Expire does.
	// Zero leaves expired items until somebody calls Expire, so that a reader that does not filter them shows.
	ExpireEvery time.Duration

	// Hook is called before every valid operation, with the caller's context and without a lock: it may wait. An error keeps the operation from
	// happening and is the caller's answer: the SDK's own error types travel as they are (for example
	// &types.ProvisionedThroughputExceededException{}), Unprocessed leaves items of a batch undone, and any other error becomes an
	// InternalServerError.
	Hook func(ctx context.Context, op Op) error

	// After is called when an operation has happened, with Units and Err of the Op set. An error takes the place of the answer, as when an
	// answer is lost: what was written stays.
	After func(ctx context.Context, op Op) error

	// Observe is told of every valid operation when its answer is known, what Hook and After made of it included.
	Observe func(Op)

	// Changed is told of every item that a table has from now on, nil when it has none of that key any more, in the order of the changes
	// of each item. It is called with the table's lock held, so it must return soon and must not call the table.
	Changed func(key Key, item map[string]types.AttributeValue)
}

// Table is an embedded DynamoDB with any number of tables. All its methods may be called concurrently.
type Table struct {
	options  Options
	requests atomic.Int64

	mu       sync.RWMutex
	stores   map[string]*store
	consumed map[string]Units
	expired  time.Time // when items were last looked at
}

// Units are capacity units: what AWS bills as request units.
type Units struct {
	Read, Write float64
}

// New makes an empty Table; tables in it are made through the API.
func New(options Options) *Table {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Table{options: options, stores: map[string]*store{}, consumed: map[string]Units{}, expired: options.Now()}
}

// Consumed is what was consumed since New or ResetConsumed, by the name of the operation ("PutItem"). A failed condition counts, as AWS bills it.
func (t *Table) Consumed() map[string]Units {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.consumed)
}

// ResetConsumed sets every count of Consumed to zero.
func (t *Table) ResetConsumed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.consumed)
}

func (t *Table) count(operation string, u Units) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.consumed[operation] = t.consumed[operation].plus(u)
}

// store is the table of that name.
func (t *Table) store(name string) (*store, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := t.stores[name]; s != nil {
		return s, nil
	}
	return nil, notFound("Requested resource not found: Table: " + name + " not found")
}
