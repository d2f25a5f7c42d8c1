package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
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
		return fmt.Errorf("file: %w", err)
	}
	return c.invoke(ctx, publishFunction, request)
}

// participants says who takes part in a conversation: exactly these users.
func (c *command) participants(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("participants", flag.ContinueOnError)
	conversation := flags.String("conversation", "", "the conversation's id")
	users := flags.String("users", "", "ids with commas between them; none: nobody takes part")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	list := []string{}
	for user := range strings.SplitSeq(*users, ",") {
		if user = strings.TrimSpace(user); user != "" {
			list = append(list, user)
		}
	}
	request, err := json.Marshal(map[string]any{"op": contract.ParticipantsSet, "conversationId": *conversation, "users": list})
	if err != nil {
		return err
	}
	return c.invoke(ctx, controlFunction, request)
}

// invoke prints a function's answer. The error of a function is an error, on one line.
func (c *command) invoke(ctx context.Context, function string, request []byte) error {
	endpoint, err := c.lambdaEndpoint()
	if err != nil {
		return err
	}
	out, err := stack.LambdaClient(endpoint).Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: request})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing answers at %s: start the stack with make run", endpoint)
	case err != nil:
		return err
	case out.FunctionError != nil:
		var e struct{ ErrorType, ErrorMessage string }
		if err := json.Unmarshal(out.Payload, &e); err != nil {
			return fmt.Errorf("%s failed: %s", function, out.Payload)
		}
		return fmt.Errorf("%s: %s", e.ErrorType, e.ErrorMessage)
	}
	_, err = fmt.Fprintln(c.stdout, strings.TrimSuffix(string(out.Payload), "\n"))
	return err
}

// lambdaEndpoint is where functions are invoked: the running stack's Invoke API, or the one that stands behind its gateway.
func (c *command) lambdaEndpoint() (string, error) {
	if endpoint := c.getenv("LAMBDA_ENDPOINT"); endpoint != "" {
		return endpoint, nil
	}
	port, err := c.port("LAMBDA_PORT", stack.LambdaPort)
	return fmt.Sprintf("http://127.0.0.1:%d", port), err
}
