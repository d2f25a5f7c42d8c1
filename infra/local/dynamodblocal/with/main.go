// Command with runs a command with DynamoDB Local beside it: it fetches DynamoDB Local if need be, starts it on a free port, sets DYNAMODB_ENDPOINT,
// and stops it when the command ends. From the repository's root:
//
//	go run ./infra/local/dynamodblocal/with go test ./infra/local/table
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"example.org/realtime/infra/local/dynamodblocal"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// startTimeout is generous: a start takes 2 s on an idle machine, and 30 s on one that has twenty times as much to do as it can.
const startTimeout = 5 * time.Minute

func run(ctx context.Context, command []string) (code int, err error) {
	if len(command) == 0 {
		return 2, errors.New("usage: with command [argument ...]")
	}
	if err := dynamodblocal.Fetch(ctx, dynamodblocal.Dir, os.Stderr); err != nil {
		return 1, err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	endpoint, stop, err := dynamodblocal.Start(starting, dynamodblocal.Dir, 0)
	if err != nil {
		return 1, err
	}
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: the caller's command is the point
	cmd.Env = append(os.Environ(), dynamodblocal.EndpointVariable+"="+endpoint)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case err != nil:
		return 1, err
	}
	return 0, nil
}
