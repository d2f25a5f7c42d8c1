package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

// orders are what tests want to go wrong on this machine, and when.
type orders struct {
	mu         sync.RWMutex
	management map[string]func(op string) gateway.Fault                // by connection
	partitions map[string]func(ctx context.Context, op table.Op) error // by partition key
	silent     map[string]bool                                         // connections whose end nobody is told of
}

// loseDisconnect has a connection end without $disconnect.
func (o *orders) loseDisconnect(connection string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent == nil {
		o.silent = map[string]bool{}
	}
	o.silent[connection] = true
}

func (o *orders) onDisconnect(connection string) (lost bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.silent[connection]
}

// failManagement has fault decide, until the test ends, about every operation of @connections on one connection.
func (o *orders) failManagement(t *testing.T, connection string, fault func(op string) gateway.Fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.management == nil {
		o.management = map[string]func(string) gateway.Fault{}
	}
	o.management[connection] = fault
	t.Cleanup(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.management, connection)
	})
}

// failPosts is failManagement for posts.
func (o *orders) failPosts(t *testing.T, connection string, fault gateway.Fault) {
	o.failManagement(t, connection, func(op string) gateway.Fault {
		if op != gateway.PostToConnection {
			return gateway.Fault{}
		}
		return fault
	})
}

// failTable has fault decide about every operation on an item of the partition, until the test ends or mended is called.
func (o *orders) failTable(t *testing.T, partition string, fault func(ctx context.Context, op table.Op) error) (mended func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.partitions == nil {
		o.partitions = map[string]func(context.Context, table.Op) error{}
	}
	o.partitions[partition] = fault
	mended = func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.partitions, partition)
	}
	t.Cleanup(mended)
	return mended
}

func (o *orders) onManagement(op, connection string) gateway.Fault {
	o.mu.RLock()
	fault := o.management[connection]
	o.mu.RUnlock()
	if fault == nil {
		return gateway.Fault{}
	}
	return fault(op)
}

func (o *orders) onTable(ctx context.Context, op table.Op) error {
	for _, key := range op.Keys {
		o.mu.RLock()
		fault := o.partitions[key.Partition]
		o.mu.RUnlock()
		if fault == nil {
			continue
		}
		if err := fault(ctx, op); err != nil {
			return err
		}
	}
	return nil
}

// throttled is a table that has enough to do.
func throttled(context.Context, table.Op) error {
	return &types.ProvisionedThroughputExceededException{Message: new("the secret of the table")}
}

// silence is a table that does not answer: the caller gives up.
func silence(ctx context.Context, _ table.Op) error {
	<-ctx.Done()
	return ctx.Err()
}

// hang has the table not answer an operation on an item of the partition. reached is closed by the first one.
func (o *orders) hang(t *testing.T, partition, operation string) (reached <-chan struct{}, mended func()) {
	begun := make(chan struct{})
	begins := sync.OnceFunc(func() { close(begun) })
	return begun, o.failTable(t, partition, func(ctx context.Context, op table.Op) error {
		if op.Name != operation {
			return nil
		}
		begins()
		return silence(ctx, op)
	})
}
