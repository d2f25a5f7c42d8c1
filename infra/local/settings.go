package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/config"
)

// The stack's own settings, in the environment. Every parameter of template.yaml and every variable of its functions can be given there
// as well, by its own name: RouteKeys=default, PRESENCE_TTL_SECONDS=5.
//
//	WS_PORT, LAMBDA_PORT, DYNAMODB_PORT   where it listens; 0 takes a free port
//	BIND                                  the address to listen at, 127.0.0.1; 0.0.0.0 lets containers in
//	DYNAMODB                              embedded (in memory), or local: DynamoDB Local
//	DYNAMODB_ENDPOINT                     a DynamoDB that runs already
//	LAMBDA_ENDPOINT                       an Invoke API that runs already, such as sam local start-lambda
//	SCHEDULE                              a duration in the place of the schedule's rate
//	IDLE_TIMEOUT, CONNECTION_LIFE         durations in the place of API Gateway's 10 minutes and 2 hours
//	RETRY_DELAY                           a duration in the place of the minute before an asynchronous event is tried again
//	CONNECT_RPS                           new connections a second in the place of the 500 that an account may have
//	SHUFFLE                               a duration: the messages of a connection run in any order, each held back up to so long
//	FAULTS                                what goes wrong, as in throttled=0.1,kill=0.05,seed=7; the seed is SHUFFLE's too

// options reads all settings and reports everything that is wrong with them.
func (c *command) options() (stack.Options, error) {
	r := reader{command: c}
	o := stack.Options{
		Host:             c.getenv("BIND"),
		WSPort:           r.port("WS_PORT", stack.WSPort),
		LambdaPort:       r.port("LAMBDA_PORT", stack.LambdaPort),
		DynamoDBPort:     r.port("DYNAMODB_PORT", stack.DynamoDBPort),
		DynamoDBEndpoint: c.getenv("DYNAMODB_ENDPOINT"),
		LambdaEndpoint:   c.getenv("LAMBDA_ENDPOINT"),
		ScheduleEvery:    r.duration("SCHEDULE"),
		Settings:         map[string]string{},
	}
	for _, entry := range c.environ {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			o.Settings[name] = value
		}
	}
	switch d := c.getenv("DYNAMODB"); d {
	case "", "embedded":
		o.Table.ExpireEvery = time.Minute
	case "local":
		o.DynamoDBLocal = true
	default:
		r.wrong("DYNAMODB: %q is not a choice: give embedded or local", d)
	}
	o.Check = c.check
	o.Faults = r.faults("FAULTS")
	o.Lambda.Scale = r.duration("RETRY_DELAY").Minutes()
	o.Gateway.Timers = gateway.Timers{Idle: r.duration("IDLE_TIMEOUT"), Life: r.duration("CONNECTION_LIFE")}
	rps := r.count("CONNECT_RPS")
	o.Gateway.NewConnections = gateway.Throttle{Rate: float64(rps), Burst: rps}
	o.Gateway.Shuffle = gateway.Shuffle{Seed: o.Faults.Seed, Jitter: r.duration("SHUFFLE")}
	return o, errors.Join(r.problems...)
}

// loads tells whether a function would start with its environment: the error is what it would say itself.
func loads(function string, environment map[string]string) error {
	_, err := config.Load(function, func(name string) string { return environment[name] })
	return err
}

// reader reads settings and collects what is wrong with them.
type reader struct {
	*command
	problems []error
}

func (r *reader) wrong(format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(format, args...))
}

func (r *reader) port(name string, fallback int) int {
	port, err := r.command.port(name, fallback)
	if err != nil {
		r.problems = append(r.problems, err)
	}
	return port
}

// duration is zero when it is not set.
func (r *reader) duration(name string) time.Duration {
	s := r.getenv(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		r.wrong("%s: %q is no duration above zero: give one as 500ms, 10s or 2m", name, s)
		return 0
	}
	return d
}

// count is zero when it is not set.
func (r *reader) count(name string) int {
	s := r.getenv(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		r.wrong("%s: %q is no whole number above zero: give one such as 1000", name, s)
		return 0
	}
	return int(n)
}

func (r *reader) faults(name string) faults.Config {
	c, err := faults.Parse(r.getenv(name))
	if err != nil {
		r.wrong("%s: %v", name, err)
	}
	return c
}
