// Package console is a page that shows the local stack alive, and acts on it: connections, rooms, presence, what each event caused and
// would cost on AWS, clients, publishes, control operations, faults. It is served beside the stage, at /console on the gateway's port, to
// this machine alone.
//
// The gateway, the Invoke API and the table tell it what happens (Wire); it keeps a bounded part of that, and what the table has, in
// memory. Counts are exact at any load; of traces it keeps a sample, and says so.
package console

import (
	"context"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
	"example.org/realtime/infra/local/trace"
)

// Path is where the page is. No stage can have that name: the gateway's is stack.Stage.
const Path = "/console"

// Config of a Console.
type Config struct {
	Root string // the repository, whose events/ has the samples; "" is "."

	// Token makes a token for a user. The error says what is wrong with the user's id, or why no token can be made here.
	Token func(user string, life time.Duration) (string, error)

	Now func() time.Time // nil is time.Now
}

// Console is an http.Handler for Path and what is below it. It shows nothing until Attach.
type Console struct {
	Config
	rows    *rows
	traces  *traces
	meter   *meter
	handler http.Handler
	boot    string // of this run: a page that finds another knows that the stack was started again
	stack   atomic.Pointer[stack.Stack]
}

// New makes a Console. The stack that it is for starts with the options that Wire has changed.
func New(c Config) *Console {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Root == "" {
		c.Root = "."
	}
	x := &Console{Config: c, rows: newRows(c.Now), meter: newMeter(c.Now), boot: trace.NewSegment()}
	x.traces = newTraces(c.Now, x.rows.user)
	x.handler = x.routes()
	return x
}

// Wire has the stack tell the console what happens, besides whom it tells already, and serve it.
func (c *Console) Wire(o *stack.Options) {
	o.Gateway.Observe = both(o.Gateway.Observe, c.gateway)
	o.Lambda.Asked = both(o.Lambda.Asked, c.asked)
	o.Lambda.Observe = both(o.Lambda.Observe, c.invocation)
	o.Table.Observe = both(o.Table.Observe, c.operation)
	o.Table.Changed = c.rows.changed
	output := o.Lambda.Output
	o.Lambda.Output = func(function, line string) {
		if output != nil {
			output(function, line)
		}
		c.meter.output(line)
		c.traces.output(function, line)
	}
	o.Beside = map[string]http.Handler{Path: c}
}

// both calls first, unless it is nil, and then second.
func both[T any](first, second func(T)) func(T) {
	if first == nil {
		return second
	}
	return func(v T) {
		first(v)
		second(v)
	}
}

// Attach shows a stack that has started.
func (c *Console) Attach(s *stack.Stack) { c.stack.Store(s) }

// Run takes a sample of the figures each second until ctx is done.
func (c *Console) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s := c.stack.Load(); s != nil {
				c.meter.sample(s.Gateway.Open(), s.Gateway.Peak())
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *Console) gateway(e gateway.Event) {
	c.meter.gateway(e)
	c.traces.gateway(e)
}

func (c *Console) asked(i lambda.Invocation) { c.traces.asked(i) }

func (c *Console) invocation(i lambda.Invocation) {
	c.meter.invocation(i)
	c.traces.invocation(i)
}

func (c *Console) operation(op table.Op) {
	c.meter.operation(op)
	c.traces.operation(op)
}

// file is a path in the repository.
func (c *Console) file(path string) string { return filepath.Join(c.Root, filepath.FromSlash(path)) }
