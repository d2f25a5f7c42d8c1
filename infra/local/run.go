package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.org/realtime/infra/local/console"
	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/stack"
)

// closeTime is how long an orderly end may take: clients are sent away, and what runs may finish.
const closeTime = 10 * time.Second

// stack runs the system until ctx is done.
func (c *command) stack(ctx context.Context, _ []string) error {
	options, err := c.options()
	if err != nil {
		return oneLine(err)
	}
	l := newLog(c.stdout, c.now, options.LambdaEndpoint != "")
	options.Gateway.Observe, options.Lambda.Observe, options.Lambda.Output = l.gateway, l.invocation, l.output
	options.Log = l.logger()
	options.Progress = func(line string) { c.say("%s", strings.TrimSpace(line)) }

	page := c.console(&options)
	begun := c.now()
	s, err := stack.Start(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while it started
		}
		return err
	}
	var watching sync.WaitGroup
	if page != nil {
		page.Attach(s)
		watching.Go(func() { page.Run(ctx) })
	}
	c.welcome(s, options, c.now().Sub(begun))
	<-ctx.Done()
	watching.Wait()

	c.say("ending; Ctrl-C again to force it")
	orderly, cancel := context.WithTimeout(c.force, closeTime)
	defer cancel()
	//nolint:contextcheck // ctx is done: that is why the end has come
	if err := s.Close(orderly); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// console is the page of the stack that starts with the options. There is none, nil, where others than this machine could reach it.
func (c *command) console(o *stack.Options) *console.Console {
	if !console.Loopback(o.Host) {
		return nil
	}
	page := console.New(console.Config{Token: c.mint, Now: c.now})
	page.Wire(o)
	return page
}

// welcome says where everything is and what to type next.
func (c *command) welcome(s *stack.Stack, o stack.Options, took time.Duration) {
	where := "in memory, gone when this ends"
	switch {
	case o.DynamoDBEndpoint != "":
		where = "as DYNAMODB_ENDPOINT says"
	case o.DynamoDBLocal:
		where = "DynamoDB Local, in memory"
	}
	page := strings.TrimSuffix(s.ConnectionsEndpoint, "/"+stack.Stage) + console.Path
	if o.Beside == nil {
		page = "off, because BIND lets others in"
	}
	wrong := ""
	if f := s.Faults.Get(); f != (faults.Config{}) {
		wrong = "  faults          " + f.String() + "\n"
	}
	_, _ = fmt.Fprintf(c.stdout, `
The system is up, after %.1f s:

  WebSocket API   %s
  @connections    %s
  Invoke API      %s
  table %-9s %s (%s)
  console         %s
%s
Next, in another terminal:

  make client USER=alice
  make participants CONVERSATION=c1 USERS=alice,bob
  make publish FILE=events/publish/messages-new.json
  make token USER=alice

Ctrl-C ends everything.

`, took.Seconds(), s.URL, s.ConnectionsEndpoint+"/@connections/{id}", s.LambdaEndpoint, s.TableName, s.DynamoDBEndpoint, where, page, wrong) // nobody to tell
}

// oneLine makes several errors one.
func oneLine(err error) error { return errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")) }
