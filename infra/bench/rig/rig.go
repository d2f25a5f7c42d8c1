// Package rig is the whole system under measurement: the local stack with the real functions, a meter on it, and as many sockets as are
// wanted, most of which are rows in the table whose posts somebody else takes.
package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
)

// patience is how long something may take before it counts as stuck.
const patience = 2 * time.Minute

// Options of a Rig.
type Options struct {
	Settings map[string]string // of the functions
	// Everybody has all posts answered as if every connection were there, after Latency. False: posts go to the stack's gateway.
	Everybody bool
	Latency   time.Duration
	Processes int // of each function; 0 is the stack's own number
}

// Rig is a running system.
type Rig struct {
	Stack *stack.Stack

	meter       *meter
	connections *connections
	functions   *sdk.Client
	http        *http.Client // with as many connections as there are invocations at once
}

// Start brings a system up in the root of the repository. Its schedule does nothing by itself.
func Start(ctx context.Context, o Options) (*Rig, error) {
	r := &Rig{meter: newMeter(), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	const most = "1000000000" // requests a second: more than there ever are
	unlimited := gateway.Throttle{Rate: 1e9, Burst: 1e9}
	so := stack.Options{
		Settings:      map[string]string{"ThrottleRate": most, "ThrottleBurst": most},
		ScheduleEvery: 24 * time.Hour,
		Log:           slog.New(slog.DiscardHandler),
		Lambda:        lambda.Config{Processes: o.Processes, Asked: r.meter.ask, Observe: r.meter.invocation, Output: r.meter.output, Queue: 100_000},
		Gateway:       gateway.Config{Observe: r.meter.gateway, Throttle: unlimited, NewConnections: unlimited},
		Progress:      func(s string) { fmt.Fprintln(os.Stderr, s) },
	}
	maps.Copy(so.Settings, o.Settings)
	so.Table.After = r.meter.table
	if o.Everybody {
		r.connections = newConnections(r.meter, o.Latency)
		so.ConnectionsEndpoint = r.connections.endpoint()
	}
	var err error
	if r.Stack, err = stack.Start(ctx, so); err != nil {
		return nil, err
	}
	r.functions = stack.LambdaClient(r.Stack.LambdaEndpoint)
	return r, nil
}

// Close ends the system. What thousands of connections that end at once still ask for is not waited for.
func (r *Rig) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	r.http.CloseIdleConnections()
	err := r.Stack.Close(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if r.connections != nil {
		r.connections.server.Close()
	}
	return err
}

// Read is the sum since the start.
func (r *Rig) Read() Reading { return r.meter.read() }

// LastPost is when the last message was posted to a client.
func (r *Rig) LastPost() (at time.Time) {
	r.meter.locked(func() { at = r.meter.posted })
	return at
}

// Memory is that of each function that has run, in MB.
func (r *Rig) Memory() (memory map[string]int) {
	r.meter.locked(func() { memory = maps.Clone(r.meter.memory) })
	return memory
}

// Metrics are the names of the custom metrics that were put, by function.
func (r *Rig) Metrics() map[string][]string {
	names := map[string][]string{}
	r.meter.locked(func() {
		for function, set := range r.meter.metrics {
			names[function] = slices.Sorted(maps.Keys(set))
		}
	})
	return names
}

// Costs is what do and everything that follows from it takes. An invocation that fails is an error.
func (r *Rig) Costs(ctx context.Context, do func() error) (Reading, error) {
	if err := r.Settle(ctx); err != nil {
		return Reading{}, err
	}
	before := r.Read()
	if err := do(); err != nil {
		return Reading{}, err
	}
	if err := r.Settle(ctx); err != nil {
		return Reading{}, err
	}
	return r.Read().Minus(before), nil
}

// Settle waits until nothing is under way any more.
func (r *Rig) Settle(ctx context.Context) error {
	if err := r.until(ctx, "everything ends", r.meter.idle); err != nil {
		return err
	}
	var err error
	r.meter.locked(func() {
		if len(r.meter.failed) > 0 {
			err = fmt.Errorf("invocations failed: %s", strings.Join(r.meter.failed, "; "))
		}
	})
	return err
}

func (r *Rig) until(ctx context.Context, what string, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s in vain: %s", patience, what)
		}
	}
	return nil
}

// Invoke invokes a function with a request and decodes its answer, unless answer is nil.
func (r *Rig) Invoke(ctx context.Context, function string, request, answer any) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	out, err := r.functions.Invoke(ctx, &sdk.InvokeInput{FunctionName: &function, Payload: payload}, func(o *sdk.Options) { o.HTTPClient = r.http })
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", function, err)
	case out.FunctionError != nil:
		return errors.New(function + ": " + string(out.Payload))
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(out.Payload, answer); err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	return nil
}

// TableBytes is the size of all that is stored.
func (r *Rig) TableBytes(ctx context.Context) (int64, error) {
	out, err := r.Stack.DynamoDB().DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &r.Stack.TableName})
	if err != nil {
		return 0, fmt.Errorf("size of the table: %w", err)
	}
	return aws.ToInt64(out.Table.TableSizeBytes), nil
}
