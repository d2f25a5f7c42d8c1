package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

// faults are what tests order to go wrong on this machine.
type faults struct {
	mu         sync.RWMutex
	management map[string]func(op string) gateway.Fault                // by connection
	partitions map[string]func(ctx context.Context, op table.Op) error // by partition key
	silent     map[string]bool                                         // connections whose end nobody is told of
}

// loseDisconnect has a connection end without $disconnect.
func (f *faults) loseDisconnect(connection string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent == nil {
		f.silent = map[string]bool{}
	}
	f.silent[connection] = true
}

func (f *faults) onDisconnect(connection string) (lost bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.silent[connection]
}

// failManagement has fault decide, until the test ends, about every operation of @connections on one connection.
func (f *faults) failManagement(t *testing.T, connection string, fault func(op string) gateway.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.management == nil {
		f.management = map[string]func(string) gateway.Fault{}
	}
	f.management[connection] = fault
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.management, connection)
	})
}

// failPosts is failManagement for posts.
func (f *faults) failPosts(t *testing.T, connection string, fault gateway.Fault) {
	f.failManagement(t, connection, func(op string) gateway.Fault {
		if op != gateway.PostToConnection {
			return gateway.Fault{}
		}
		return fault
	})
}

// failTable has fault decide about every operation on an item of the partition, until the test ends or mended is called.
func (f *faults) failTable(t *testing.T, partition string, fault func(ctx context.Context, op table.Op) error) (mended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.partitions == nil {
		f.partitions = map[string]func(context.Context, table.Op) error{}
	}
	f.partitions[partition] = fault
	mended = func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.partitions, partition)
	}
	t.Cleanup(mended)
	return mended
}

func (f *faults) onManagement(op, connection string) gateway.Fault {
	f.mu.RLock()
	fault := f.management[connection]
	f.mu.RUnlock()
	if fault == nil {
		return gateway.Fault{}
	}
	return fault(op)
}

func (f *faults) onTable(ctx context.Context, op table.Op) error {
	for _, key := range op.Keys {
		f.mu.RLock()
		fault := f.partitions[key.Partition]
		f.mu.RUnlock()
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
func (f *faults) hang(t *testing.T, partition, operation string) (reached <-chan struct{}, mended func()) {
	begun := make(chan struct{})
	begins := sync.OnceFunc(func() { close(begun) })
	return begun, f.failTable(t, partition, func(ctx context.Context, op table.Op) error {
		if op.Name != operation {
			return nil
		}
		begins()
		return silence(ctx, op)
	})
}
