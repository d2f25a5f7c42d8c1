// Package lambda is AWS Lambda on one machine, as far as the project uses it: the Invoke API in front, and behind it the real
// function binaries as child processes that speak the Lambda Runtime API. Each process has one event at a time; a function has a
// bounded number of processes and a queue, so a burst costs time and not memory.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of the Invoke API (Lambda quotas), in bytes.
const (
	MaxSyncPayload  = 6 << 20
	MaxAsyncPayload = 1 << 20
	// maxResponse is what a function may answer: a little above MaxSyncPayload, as Lambda has it.
	maxResponse = MaxSyncPayload + 100
)

// defaultQueue is Config.Queue when it is zero.
const defaultQueue = 1000

// Config of a Service. Only Functions must be given.
type Config struct {
	Functions []Function
	Region    string // of the functions' ARNs; "" is us-east-1
	Account   string // of the functions' ARNs, 12 digits; "" is 000000000000
	// Processes is the most that one function has at a time; zero is two per core. A process that waits for the answer of another
	// function it invoked does not count, or functions that invoke themselves would wait for one another.
	Processes int
	// Queue is the number of events waiting for a function from which RequestResponse invocations are refused with 429; zero is 1000.
	Queue int
	// Scale multiplies the waiting times of asynchronous events (retries, age): 0.01 makes a minute 600 ms. Zero is 1.
	Scale float64
	// Duplicate decides about an asynchronous event of a function whether it runs twice, as Lambda's at-least-once delivery may; nil: none
	// does.
	Duplicate func(function string) bool
	// Kill decides, as an invocation begins, with which of the calls that Watch sees its process is killed: 1 is the first, and an
	// invocation that makes fewer dies with its answer. 0 spares it; nil spares all.
	Kill func(function string) int

	Asked   func(Invocation)            // called with each event that the Invoke API was asked to run, before it runs; nil for none
	Observe func(Invocation)            // called once per attempt that ended; nil for none
	Output  func(function, line string) // a line a function wrote to stdout or stderr; nil drops them
	Log     *slog.Logger                // nil is slog.Default
}

// Function is one Lambda function.
type Function struct {
	Name    string   // what its ARN ends in
	Aliases []string // other names it answers to, such as the template's logical id
	Binary  string   // the bootstrap executable
	Args    []string // of the executable; Lambda gives none
	// Environment is the function's own. Lambda's variables come on top; nothing is inherited from this process.
	Environment map[string]string
	Timeout     time.Duration // zero is Lambda's 3 s
	MemoryMB    int           // told to the function, not enforced; zero is Lambda's 128
	// ReservedConcurrency lowers Config.Processes for this function; nil does not. At zero it never runs.
	ReservedConcurrency *int
	// RetryAttempts is how often an asynchronous event that failed runs again, EventAge how old it may get, unscaled (zero is
	// Lambda's 6 h), and OnFailure the ARN of what takes it then ("" drops it).
	RetryAttempts int
	EventAge      time.Duration
	OnFailure     string
}

// Invocation is one attempt at an event. Asked is told of it before it has Queued, Init, Duration and Error, at Start.
type Invocation struct {
	Function  string
	RequestID string
	Type      string // RequestResponse or Event
	Attempt   int    // from 1
	Start     time.Time
	Queued    time.Duration // from acceptance to Start
	Init      time.Duration // of the process, when this was its first event; else zero
	Duration  time.Duration
	Payload   []byte // the event
	MemoryMB  int
	TraceID   string // Root of the trace that it is part of
	Segment   string // what its own calls name as their Parent
	Parent    string // the Segment of the invocation that asked for it; "" when none did
	Begins    bool   // the trace began with it: the caller sent none
	Error     string // "" or the function error, "Type: message"
}

// Service holds the functions and their processes.
type Service struct {
	config    Config
	functions map[string]*function // by name and alias
	log       *slog.Logger
	processes sync.WaitGroup
	tokens    sync.Map // *process by the session token of its credentials

	mu       sync.Mutex
	closed   bool
	active   map[string]caller // running events, by the segment of their trace header
	retries  map[*event]*time.Timer
	failures []Failure
}

// New checks the configuration; processes start with the first event.
func New(c Config) (*Service, error) {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Processes == 0 {
		c.Processes = 2 * runtime.NumCPU()
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &Service{
		config: c, log: c.Log, functions: map[string]*function{},
		active: map[string]caller{}, retries: map[*event]*time.Timer{},
	}
	for _, f := range c.Functions {
		if err := s.add(f); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Service) add(f Function) error {
	if f.Name == "" {
		return errors.New("lambda: a function has no Name")
	}
	if info, err := os.Stat(f.Binary); err != nil {
		return fmt.Errorf("lambda: %s: Binary: %w", f.Name, err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("lambda: %s: Binary: %s is not executable", f.Name, f.Binary)
	}
	binary, err := filepath.Abs(f.Binary)
	if err != nil {
		return fmt.Errorf("lambda: %s: Binary: %w", f.Name, err)
	}
	f.Binary = binary
	if f.Timeout == 0 {
		f.Timeout = 3 * time.Second
	}
	if f.MemoryMB == 0 {
		f.MemoryMB = 128
	}
	if f.EventAge == 0 {
		f.EventAge = 6 * time.Hour
	}
	fn := &function{Function: f, service: s, arn: s.arn(f.Name), limit: s.config.Processes, processes: map[*process]bool{}}
	if r := f.ReservedConcurrency; r != nil {
		fn.limit = min(fn.limit, *r)
	}
	for _, name := range append([]string{f.Name}, f.Aliases...) {
		if other, taken := s.functions[name]; taken && other != fn {
			return fmt.Errorf("lambda: %s: another function answers to %s", f.Name, name)
		}
		s.functions[name] = fn
	}
	return nil
}

func (s *Service) arn(name string) string {
	return "arn:aws:lambda:" + s.config.Region + ":" + s.config.Account + ":function:" + name
}

// find reads what Invoke accepts as a function: name, account:function:name, function:name or ARN, each with or without a
// qualifier. The second result is the ARN that was meant, for the error.
func (s *Service) find(name, qualifier string) (*function, string) {
	full := name
	if rest, ok := strings.CutPrefix(name, s.arn("")); ok {
		name = rest
	} else if rest, ok := strings.CutPrefix(name, s.config.Account+":function:"); ok {
		name = rest
	} else {
		name = strings.TrimPrefix(name, "function:")
	}
	if strings.HasPrefix(name, "arn:") { // of another account or region
		return nil, full
	}
	name, own, _ := strings.Cut(name, ":")
	if qualifier == "" {
		qualifier = own
	}
	if qualifier != "" && qualifier != latest {
		return nil, s.arn(name) + ":" + qualifier
	}
	return s.functions[name], s.arn(name)
}

// all returns each function once.
func (s *Service) all() []*function {
	seen := map[*function]bool{}
	for _, f := range s.functions {
		seen[f] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// Failures returns the asynchronous events given up, the newest last (of the last 100).
func (s *Service) Failures() []Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failures)
}

// Close refuses new events, drops those that wait, lets running ones end until ctx is done, and kills what is left. When it
// returns, every process and goroutine of the service has ended. The error is ctx's, when something had to be killed.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	dropped := len(s.retries)
	for _, timer := range s.retries {
		timer.Stop()
	}
	clear(s.retries)
	s.mu.Unlock()
	for _, f := range s.all() {
		waiting := f.close()
		dropped += len(waiting)
		for _, inv := range waiting {
			inv.done(result{refused: true})
		}
	}
	if dropped > 0 {
		s.log.Warn("events dropped on closing", "events", dropped)
	}
	ended := make(chan struct{})
	go func() {
		s.processes.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, f := range s.all() {
		f.killAll()
	}
	<-ended
	return ctx.Err()
}

// Handler serves the Invoke API.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", s.invoke)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "UnknownOperationException",
			"the local stack serves Invoke only, POST /2015-03-31/functions/{name}/invocations, not "+r.Method+" "+r.URL.Path)
	})
	return mux
}
