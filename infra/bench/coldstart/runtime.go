package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long a start may take before it counts as failed.
const patience = 20 * time.Second

// process is the Lambda Runtime API of one process, which gets one event.
type process struct {
	event  []byte
	ready  chan time.Time // it asked for its first event
	answer chan time.Time // it has answered that
	failed chan string    // it said that it cannot start, or that the event failed
	asked  atomic.Int64
}

func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocation/next"):
		if p.asked.Add(1) > 1 {
			<-r.Context().Done() // it has had its event, and is ended
			return
		}
		p.ready <- now
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(now.Add(patience).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:measured")
		_, _ = w.Write(p.event) // a process that does not take it is seen to end
	case strings.HasSuffix(r.URL.Path, "/response"):
		p.answer <- now
		w.WriteHeader(http.StatusAccepted)
	default:
		body, _ := io.ReadAll(r.Body) // what there is of it
		p.failed <- string(body)
		w.WriteHeader(http.StatusAccepted)
	}
}

// start runs a program until it has answered its event, and tells how long that took: from before the process is made to its first
// request for an event, and from there to its answer.
func start(ctx context.Context, binary string, environment []string, event []byte) (ready, answer time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := &process{event: event, ready: make(chan time.Time, 1), answer: make(chan time.Time, 1), failed: make(chan string, 1)}
	api := httptest.NewServer(p)
	defer api.Close()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = append(slices.Clip(environment), "AWS_LAMBDA_RUNTIME_API="+api.Listener.Addr().String())
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", binary, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed below, or has ended by itself: what it said tells why
	}()
	defer func() {
		_ = cmd.Process.Signal(os.Kill)
		<-ended
	}()
	await := func(times <-chan time.Time) (at time.Time, problem string) {
		select {
		case at = <-times:
		case problem = <-p.failed:
		case <-ended:
			problem = said.String()
		case <-ctx.Done():
			problem = "no answer within " + patience.String()
		}
		return at, problem
	}
	readyAt, problem := await(p.ready)
	if problem != "" {
		return 0, 0, fmt.Errorf("%s does not start: %s", binary, problem)
	}
	answeredAt, problem := await(p.answer)
	if problem != "" {
		return 0, 0, fmt.Errorf("%s does not answer: %s", binary, problem)
	}
	return readyAt.Sub(begun), answeredAt.Sub(readyAt), nil
}
