package lambda

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lambdaruntime "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/infra/local/leaks"
)

// TestMain runs the tests or, started by a Service, is the function under test.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("HOLD") != "": // what a function started itself
		get(context.Background(), os.Getenv("HOLD"))
		os.Exit(0)
	case os.Getenv("AWS_LAMBDA_RUNTIME_API") != "":
		bootstrap()
		os.Exit(0)
	}
	leaks.Main(m, nil)
}

// order is what a test tells its function to do.
type order struct {
	Do    string // see bootstrap
	URL   string `json:",omitempty"` // of a gate, or of the Invoke API
	Depth int    `json:",omitempty"`
	Bytes int    `json:",omitempty"`
}

// report is what the function tells about its event.
type report struct {
	PID       int
	RequestID string
	ARN       string
	Trace     string
	Client    map[string]string
	Left      time.Duration // until the deadline
	Env       []string
	Nested    json.RawMessage `json:",omitempty"`
}

// ValidationError is a typed function error; Lambda reports the type's name.
type ValidationError struct{ message string }

func (e ValidationError) Error() string { return e.message }

// bootstrap is the function under test.
func bootstrap() {
	switch os.Getenv("START") {
	case "exit":
		os.Exit(3)
	case "error":
		url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
		r, err := http.Post(url, "application/json", strings.NewReader(`{"errorType":"Config","errorMessage":"TABLE_NAME: is required"}`))
		if err == nil {
			_ = r.Body.Close()
		}
		os.Exit(1)
	}
	lambdaruntime.Start(func(ctx context.Context, o order) (any, error) {
		switch o.Do {
		case "fail":
			return nil, ValidationError{"data.recipients[2]: is not a string"}
		case "panic":
			panic("on purpose")
		case "exit":
			os.Exit(7)
		case "silent exit":
			os.Exit(0)
		case "hang":
			select {}
		case "get": // wait at a gate
			get(ctx, o.URL)
		case "get twice":
			get(ctx, o.URL)
			get(ctx, o.URL)
		case "print":
			fmt.Println("to stdout")
			fmt.Fprintln(os.Stderr, "to stderr")
			fmt.Print("without an end")
		case "start": // a process of its own, which outlives the event
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "HOLD="+o.URL)
			if err := cmd.Start(); err != nil {
				return nil, err
			}
		case "bytes":
			return strings.Repeat("x", o.Bytes), nil
		case "nest":
			return nest(ctx, o)
		}
		return tell(ctx), nil
	})
}

func tell(ctx context.Context) report {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return report{
		PID: os.Getpid(), RequestID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn, Trace: os.Getenv("_X_AMZN_TRACE_ID"),
		Client: lc.ClientContext.Custom, Left: time.Until(deadline), Env: os.Environ(),
	}
}

// nest invokes the function itself, o.Depth deep.
func nest(ctx context.Context, o order) (any, error) {
	r := tell(ctx)
	if o.Depth == 0 {
		return r, nil
	}
	o.Depth--
	payload, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	out, err := client(o.URL).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: payload})
	if err != nil {
		return nil, err
	}
	if out.FunctionError != nil {
		return nil, errors.New(string(out.Payload))
	}
	r.Nested = out.Payload
	return r, nil
}

func get(ctx context.Context, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	request.Header.Set("X-Amz-Security-Token", os.Getenv("AWS_SESSION_TOKEN"))
	r, err := http.DefaultClient.Do(request)
	if err == nil {
		_, _ = io.Copy(io.Discard, bufio.NewReader(r.Body))
		_ = r.Body.Close()
	}
}

// service is a Service behind a server, with what it observed.
type service struct {
	*Service
	url string
	*lambda.Client

	mu          sync.Mutex
	invocations []Invocation
	lines       []string
}

// echo is the function under test, as a Service knows it.
func echo() Function {
	return Function{Name: "echo", Aliases: []string{"EchoFunction"}, Binary: os.Args[0], Timeout: 20 * time.Second, RetryAttempts: 2}
}

// start starts a Service with one function, after change.
func start(t *testing.T, c Config, change ...func(*Function)) *service {
	t.Helper()
	f := echo()
	for _, do := range change {
		do(&f)
	}
	s := &service{}
	c.Functions, c.Log = []Function{f}, slog.New(slog.DiscardHandler)
	c.Observe = func(i Invocation) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.invocations = append(s.invocations, i)
	}
	c.Output = func(function, line string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, function+": "+line)
	}
	var err error
	if s.Service, err = New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	s.url, s.Client = server.URL, client(server.URL)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // kills what runs
		_ = s.Close(ctx)
		server.Close()
	})
	return s
}

func client(url string) *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: &url, Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	})
}

// call invokes the function and waits for its answer.
func (s *service) call(t *testing.T, o order) *lambda.InvokeOutput {
	t.Helper()
	return s.callInput(t, o, &lambda.InvokeInput{})
}

func (s *service) callInput(t *testing.T, o order, in *lambda.InvokeInput) *lambda.InvokeOutput {
	t.Helper()
	payload, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if in.FunctionName == nil {
		in.FunctionName = aws.String("echo")
	}
	in.Payload = payload
	out, err := s.Invoke(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// reported reads a function's answer.
func reported(t *testing.T, out *lambda.InvokeOutput) report {
	t.Helper()
	if out.FunctionError != nil {
		t.Fatalf("function error %s: %s", *out.FunctionError, out.Payload)
	}
	var r report
	if err := json.Unmarshal(out.Payload, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// observed waits until the service has observed n attempts.
func (s *service) observed(t *testing.T, n int) []Invocation {
	t.Helper()
	var got []Invocation
	eventually(t, fmt.Sprintf("%d attempts", n), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		got = slices.Clone(s.invocations)
		return len(got) >= n
	})
	return got
}

func (s *service) hasLine(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.lines, line)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// gate is a server where functions wait until the test opens it.
type gate struct {
	url     string
	arrived chan string // the query of each request
	left    chan string // the query of each caller that went away
	open    chan struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{arrived: make(chan string, 100), left: make(chan string, 100), open: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.arrived <- r.URL.RawQuery
		select {
		case <-g.open:
		case <-r.Context().Done():
			g.left <- r.URL.RawQuery
		}
	}))
	g.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return g
}

// receive waits for a value.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}
