package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/backend"
)

// The functions that a backend invokes, by logical id: the local stack and SAM CLI both know them by it.
const (
	publishFunction = "PublishFunction"
	controlFunction = "ControlFunction"
)

// publish sends an event as a backend does.
func (c *command) publish(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	file := flags.String("file", "", "the request, such as events/publish/messages-new.json")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	request, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("FILE: %w: samples are in events/publish", err)
	}
	if err := json.Unmarshal(request, new(json.RawMessage)); err != nil {
		return fmt.Errorf("FILE: %s is not JSON%s: %w: samples are in events/publish", *file, line(request, err), err)
	}
	return c.invoke(func(api backend.API) (any, error) { return backend.Invoke(ctx, api, publishFunction, request) })
}

// line says in which line of text an error is.
func line(text []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return ""
	}
	return fmt.Sprintf(", line %d", 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")))
}

// participants says who takes part in a conversation: exactly these users.
func (c *command) participants(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("participants", flag.ContinueOnError)
	conversation := flags.String("conversation", "", "the conversation's id")
	users := flags.String("users", "", "ids with commas between them; a comma alone: nobody takes part")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	list := []string{}
	for user := range strings.SplitSeq(*users, ",") {
		if user = strings.TrimSpace(user); user != "" {
			list = append(list, user)
		}
	}
	return c.invoke(func(api backend.API) (any, error) {
		return backend.New(api, backend.Functions{Control: controlFunction}).SetParticipants(ctx, *conversation, list...)
	})
}

// invoke has a function invoked, and prints its answer.
func (c *command) invoke(call func(backend.API) (any, error)) error {
	endpoint, err := c.lambdaEndpoint()
	if err != nil {
		return err
	}
	answer, err := call(stack.LambdaClient(endpoint))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at %s: start the stack with make run", endpoint)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(c.stdout).Encode(answer)
}

// lambdaEndpoint is where functions are invoked: the running stack's Invoke API, or the one that stands behind its gateway.
func (c *command) lambdaEndpoint() (string, error) {
	if endpoint := c.getenv("LAMBDA_ENDPOINT"); endpoint != "" {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
			return "", fmt.Errorf("LAMBDA_ENDPOINT: %q is no URL: give one as http://127.0.0.1:3003", endpoint)
		}
		return endpoint, nil
	}
	port, err := c.port("LAMBDA_PORT", stack.LambdaPort)
	return fmt.Sprintf("http://127.0.0.1:%d", port), err
}
