package lambda

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

func TestInvoke(t *testing.T) {
	s := start(t, Config{}, func(f *Function) { f.Environment = map[string]string{"TABLE_NAME": "t"} })
	t.Setenv("NOT_INHERITED", "x")
	clientContext := base64.StdEncoding.EncodeToString([]byte(`{"custom":{"k":"v"}}`))
	out := s.callInput(t, order{}, &lambda.InvokeInput{ClientContext: &clientContext})
	if out.StatusCode != 200 || *out.ExecutedVersion != "$LATEST" || out.LogResult != nil {
		t.Errorf("status %d, version %s, log %v", out.StatusCode, *out.ExecutedVersion, out.LogResult)
	}
	r := reported(t, out)
	if r.ARN != "arn:aws:lambda:us-east-1:000000000000:function:echo" || r.Client["k"] != "v" || r.Left <= 0 || r.Left > 20*time.Second {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{
		"TABLE_NAME=t", "AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_NAME=echo", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "LAMBDA_TASK_ROOT=" + filepath.Dir(os.Args[0]), "AWS_ACCESS_KEY_ID=local",
	} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("environment lacks %s", want)
		}
	}
	if slices.Contains(r.Env, "NOT_INHERITED=x") {
		t.Error("environment inherited")
	}
	i := s.observed(t, 1)[0]
	if i.Function != "echo" || i.RequestID != r.RequestID || i.Type != "RequestResponse" || i.Attempt != 1 || i.Error != "" ||
		i.Init <= 0 || i.Duration <= 0 || i.Queued < i.Init {
		t.Errorf("%+v", i)
	}
	if again := reported(t, s.call(t, order{})); again.PID != r.PID {
		// The process may not have asked for its next event yet; then there are two, and never more.
		if third := reported(t, s.call(t, order{})); third.PID != r.PID && third.PID != again.PID {
			t.Error("no process reused")
		}
	}
}

func TestInvokeByName(t *testing.T) {
	s := start(t, Config{Region: "eu-west-1", Account: "123456789012"})
	const arn = "arn:aws:lambda:eu-west-1:123456789012:function:echo"
	for _, name := range []string{"echo", "EchoFunction", "echo:$LATEST", "function:echo", "123456789012:function:echo", arn, arn + ":$LATEST"} {
		s.callInput(t, order{}, &lambda.InvokeInput{FunctionName: &name})
	}
	s.callInput(t, order{}, &lambda.InvokeInput{Qualifier: aws.String("$LATEST")})

	unknown := []struct{ name, qualifier, message string }{
		{"other", "", "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:other"},
		{"echo", "live", "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:echo:live"},
		{"echo:live", "", "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:echo:live"},
		{
			"arn:aws:lambda:eu-west-2:123456789012:function:echo", "",
			"Function not found: arn:aws:lambda:eu-west-2:123456789012:function:echo",
		},
	}
	for _, tt := range unknown {
		in := &lambda.InvokeInput{FunctionName: &tt.name}
		if tt.qualifier != "" {
			in.Qualifier = &tt.qualifier
		}
		_, err := s.Invoke(t.Context(), in)
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || missing.ErrorMessage() != tt.message {
			t.Errorf("%s %s: %v", tt.name, tt.qualifier, err)
		}
	}
}

func TestInvokeRefusals(t *testing.T) {
	s := start(t, Config{})
	quoted := func(size int) []byte { return []byte(`"` + strings.Repeat("x", size-2) + `"`) }
	looped := chain{root: "r", lineage: []round{{hashARN(s.arn("echo")), maxRounds}}}.header()
	tests := []struct {
		name   string
		in     lambda.InvokeInput
		trace  string
		status int
		code   string // "" is accepted
	}{
		{name: "bad type", in: lambda.InvokeInput{InvocationType: "Now"}, status: 400, code: "InvalidParameterValueException"},
		{name: "not JSON", in: lambda.InvokeInput{Payload: []byte("{")}, status: 400, code: "InvalidRequestContentException"},
		{name: "two values", in: lambda.InvokeInput{Payload: []byte("{}{}")}, status: 400, code: "InvalidRequestContentException"},
		{name: "client context", in: lambda.InvokeInput{ClientContext: aws.String("e30=="), Payload: []byte("{}")}, status: 400, code: "InvalidRequestContentException"},
		{name: "6 MB", in: lambda.InvokeInput{InvocationType: "DryRun", Payload: quoted(MaxSyncPayload)}},
		{name: "above 6 MB", in: lambda.InvokeInput{Payload: quoted(MaxSyncPayload + 1)}, status: 413, code: "RequestTooLargeException"},
		{name: "above 1 MB async", in: lambda.InvokeInput{InvocationType: "Event", Payload: quoted(MaxAsyncPayload + 1)}, status: 413, code: "RequestTooLargeException"},
		{name: "seventeenth round", in: lambda.InvokeInput{}, trace: looped, status: 400, code: "RecursiveInvocationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.FunctionName = aws.String("echo")
			out, err := s.Invoke(t.Context(), &tt.in, func(o *lambda.Options) {
				o.HTTPClient = header{"X-Amzn-Trace-Id", tt.trace}
			})
			if tt.code == "" {
				if err != nil {
					t.Errorf("%v %v", out, err)
				}
				return
			}
			var api smithy.APIError
			var response interface{ HTTPStatusCode() int }
			if !errors.As(err, &api) || api.ErrorCode() != tt.code || !errors.As(err, &response) || response.HTTPStatusCode() != tt.status {
				t.Errorf("got %v, want %d %s", err, tt.status, tt.code)
			}
		})
	}
	if got := len(s.observed(t, 0)); got != 0 {
		t.Errorf("%d invocations ran", got)
	}
}

// header is an HTTP client that sets one header.
type header struct{ name, value string }

func (h header) Do(r *http.Request) (*http.Response, error) {
	if h.value != "" {
		r.Header.Set(h.name, h.value)
	}
	return http.DefaultClient.Do(r)
}

func TestInvokeTypedErrors(t *testing.T) {
	s := start(t, Config{})
	_, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: []byte("{")})
	var content *types.InvalidRequestContentException
	if !errors.As(err, &content) || !strings.Contains(content.ErrorMessage(), "Could not parse request body into json") {
		t.Errorf("%v", err)
	}
	_, err = s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: bytes.Repeat([]byte(" "), MaxSyncPayload+1)})
	var large *types.RequestTooLargeException
	if !errors.As(err, &large) {
		t.Errorf("%v", err)
	}
}

func TestOtherOperations(t *testing.T) {
	s := start(t, Config{})
	_, err := s.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "UnknownOperationException" || !strings.Contains(api.ErrorMessage(), "serves Invoke only") {
		t.Errorf("%v", err)
	}
}

func TestDryRun(t *testing.T) {
	s := start(t, Config{})
	out := s.callInput(t, order{Do: "exit"}, &lambda.InvokeInput{InvocationType: types.InvocationTypeDryRun})
	if out.StatusCode != 204 {
		t.Errorf("status %d", out.StatusCode)
	}
	if got := s.observed(t, 0); len(got) != 0 {
		t.Errorf("ran: %+v", got)
	}
}

func TestWithoutPayload(t *testing.T) {
	s := start(t, Config{})
	out, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo")})
	if err != nil {
		t.Fatal(err)
	}
	reported(t, out)
}

func TestThrottled(t *testing.T) {
	s := start(t, Config{Processes: 1, Queue: 1})
	g := newGate(t)
	running := make(chan *lambda.InvokeOutput, 1)
	go func() { running <- s.call(t, order{Do: "get", URL: g.url}) }()
	receive(t, g.arrived, "the first event")
	s.callInput(t, order{}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent}) // fills the queue

	_, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo")})
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) {
		t.Errorf("%v", err)
	}
	// An asynchronous event is queued all the same.
	s.callInput(t, order{}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent})
	close(g.open)
	reported(t, receive(t, running, "the first answer"))
	s.observed(t, 3)
}

func TestReservedConcurrencyZero(t *testing.T) {
	s := start(t, Config{}, func(f *Function) { f.ReservedConcurrency = new(0) })
	_, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo")})
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) {
		t.Errorf("%v", err)
	}
}

func TestLogTail(t *testing.T) {
	s := start(t, Config{})
	out := s.callInput(t, order{Do: "print"}, &lambda.InvokeInput{LogType: types.LogTypeTail})
	r := reported(t, out)
	log, err := base64.StdEncoding.DecodeString(*out.LogResult)
	want := "START RequestId: " + r.RequestID + " Version: $LATEST\nto stdout\nto stderr\nEND RequestId: " + r.RequestID + "\n"
	if err != nil || string(log) != want {
		t.Errorf("%v\n got %q\nwant %q", err, log, want)
	}
	// What a function writes is told before the end of its event.
	if !s.hasLine("echo: to stdout") || !s.hasLine("echo: to stderr") {
		t.Errorf("output %q", s.lines)
	}
}

func TestTraceOfAChain(t *testing.T) {
	s := start(t, Config{})
	first := parseChain(reported(t, s.call(t, order{})).Trace)
	if !strings.HasPrefix(first.root, "1-") || len(first.segment) != 16 {
		t.Errorf("%+v", first)
	}
	arn := s.arn("echo")
	second := first.into(arn)
	if second.root != first.root || second.segment == first.segment || second.rounds(arn) != 2 || second.rounds(s.arn("other")) != 0 {
		t.Errorf("%+v after %+v", second, first)
	}
	third := second.into(s.arn("other"))
	for _, header := range []string{third.header(), strings.ReplaceAll(third.header(), "|", "%7C")} { // as it is, and as the SDK sends it
		if got := parseChain(header); got.rounds(arn) != 2 || got.rounds(s.arn("other")) != 1 {
			t.Errorf("%+v from %s", got, header)
		}
	}
	if got := parseChain(second.header()); got.root != second.root || got.rounds(arn) != 2 {
		t.Errorf("%+v from %s", got, second.header())
	}
}

func TestNewErrors(t *testing.T) {
	directory := t.TempDir()
	plain := filepath.Join(directory, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]Function{
		"a function has no Name":                 {{Binary: os.Args[0]}},
		"no such file or directory":              {{Name: "a", Binary: filepath.Join(directory, "none")}},
		"is not executable":                      {{Name: "a", Binary: plain}},
		"a: Binary: " + directory:                {{Name: "a", Binary: directory}},
		"b: another function answers to a":       {{Name: "a", Binary: os.Args[0]}, {Name: "b", Aliases: []string{"a"}, Binary: os.Args[0]}},
		"c: another function answers to a":       {{Name: "a", Binary: os.Args[0]}, {Name: "c", Aliases: []string{"a"}, Binary: os.Args[0]}},
		"EchoFunction: another function answers": {echo(), {Name: "EchoFunction", Binary: os.Args[0]}},
	}
	for want, functions := range tests {
		if _, err := New(Config{Functions: functions}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Asked tells of an event before it runs and Observe of each attempt after it, with what they have in common.
func TestInvocationsAreTold(t *testing.T) {
	asked := make(chan Invocation, 2)
	s := start(t, Config{Asked: func(i Invocation) { asked <- i }}, func(f *Function) { f.MemoryMB = 512 })
	s.call(t, order{})
	_, err := s.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: []byte(`{}`)}, func(o *lambda.Options) {
		o.HTTPClient = header{"X-Amzn-Trace-Id", "Root=1-6566f1d0-0123456789abcdef01234567;Parent=00f067aa0ba902b7"}
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := s.observed(t, 2)
	for i, begins := range []bool{true, false} {
		first, last := <-asked, ended[i]
		if first.Begins != begins || first.Function != "echo" || first.MemoryMB != 512 || first.Attempt != 1 || first.Duration != 0 || first.Start.IsZero() {
			t.Errorf("asked: %+v", first)
		}
		last.Start, last.Queued, last.Init, last.Duration = first.Start, 0, 0, 0
		if diff := cmp.Diff(first, last); diff != "" {
			t.Errorf("-asked +ended:\n%s", diff)
		}
		if len(first.Segment) != 16 || first.Parent != map[bool]string{true: "", false: "00f067aa0ba902b7"}[begins] {
			t.Errorf("segment %q, parent %q", first.Segment, first.Parent)
		}
	}
}
