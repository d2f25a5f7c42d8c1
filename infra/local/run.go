package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	page := console.New(console.Config{Token: c.sign, Now: c.now})
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
%s%s
Ctrl-C ends everything.

`, took.Seconds(), s.URL, s.ConnectionsEndpoint+"/@connections/{id}", s.LambdaEndpoint, s.TableName, s.DynamoDBEndpoint, where, page, wrong, next(s, o)) // nobody to tell
}

// next is what to type in another terminal, which has to be told what is not as usual here.
func next(s *stack.Stack, o stack.Options) string {
	client, backend := moved("WS_PORT", s.URL, stack.WSPort), moved("LAMBDA_PORT", s.LambdaEndpoint, stack.LambdaPort)
	if o.LambdaEndpoint != "" {
		backend = " LAMBDA_ENDPOINT=" + o.LambdaEndpoint
	}
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(o.Settings)), func(name string) bool {
		return o.Settings[name] == "" || !strings.HasPrefix(strings.ToUpper(name), "JWT")
	})
	same := ""
	if len(keys) > 0 {
		same = "\nThe token and the client want the same " + strings.Join(keys, ", ") + " in the environment.\n"
	}
	return fmt.Sprintf(`
Next, in another terminal:

  make client USER=alice%s
  make participants CONVERSATION=c1 USERS=alice,bob%s
  make publish FILE=events/publish/messages-new.json%s
  make token USER=alice
%s`, client, backend, backend, same)
}

// moved is the setting of a port for the end of a command; "" where the port is the usual one.
func moved(setting, endpoint string, usual int) string {
	port := endpoint[strings.LastIndex(endpoint, ":")+1:]
	port, _, _ = strings.Cut(port, "/")
	if port == strconv.Itoa(usual) {
		return ""
	}
	return " " + setting + "=" + port
}

// oneLine makes several errors one.
func oneLine(err error) error { return errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")) }
