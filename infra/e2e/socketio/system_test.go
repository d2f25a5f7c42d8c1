package socketio

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/store"
)

const root = "../../.."

// system is the local stack. Its schedule does nothing by itself, unless a test says so.
type system struct {
	*stack.Stack
	functions *lambda.Client
	clock     clock // API Gateway's, by which connections begin and speak
	meter     meter
	frames    frames

	journalMu sync.Mutex
	journal   []string // what the functions say, for a test that fails
}

// clock is the time, less an age that tests give to what happens next.
type clock struct{ age atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(-time.Duration(c.age.Load())) }

// back sets the clock back; zero sets it right.
func (c *clock) back(age time.Duration) { c.age.Store(int64(age)) }

// launch brings up a system with settings, which are template parameters and variables of the functions, and whatever configure
// changes.
func launch(ctx context.Context, settings map[string]string, configure func(*stack.Options)) (*system, error) {
	s := &system{}
	o := stack.Options{
		Root:          root,
		Settings:      map[string]string{},
		ScheduleEvery: 24 * time.Hour,
		Log:           slog.New(slog.DiscardHandler),
	}
	maps.Copy(o.Settings, settings)
	o.Gateway = gateway.Config{Now: s.clock.now, Observe: func(e gateway.Event) {
		s.meter.gateway(e)
		s.frames.gateway(e)
	}}
	o.Table.After = s.meter.table
	o.Lambda.Observe, o.Lambda.Output = s.meter.invocation, s.output
	if configure != nil {
		configure(&o)
	}
	var err error
	if s.Stack, err = stack.Start(ctx, o); err != nil {
		return nil, err
	}
	s.functions = stack.LambdaClient(s.LambdaEndpoint)
	return s, nil
}

// start is launch for a test that needs a system of its own.
func start(t *testing.T, settings map[string]string, configure func(*stack.Options)) *system {
	t.Helper()
	s, err := launch(t.Context(), settings, configure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Errorf("the system did not end cleanly: %v", err)
		}
	})
	s.explain(t)
	return s
}

var shared struct {
	once sync.Once
	*system
	err error
}

// suite is the system that the other tests share, with the defaults. Its clock is right when a test begins, and no sweep has been.
func suite(t *testing.T) *system {
	t.Helper()
	shared.once.Do(func() { shared.system, shared.err = launch(context.Background(), nil, nil) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	shared.clock.back(0)
	shared.forgetSweeps(t)
	shared.explain(t)
	return shared.system
}

func (s *system) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.Close(ctx)
	for _, wrong := range s.frames.take() { // since the last test
		err = errors.Join(err, fmt.Errorf("not as documented: %s", wrong))
	}
	for _, refused := range s.Refused() {
		err = errors.Join(err, errors.New(refused))
	}
	return err
}

// explain fails the test if a client was sent what is not in the contract, and shows what the functions said last, if it fails.
func (s *system) explain(t *testing.T) {
	t.Cleanup(func() {
		for _, wrong := range s.frames.take() {
			t.Errorf("not as documented: %s", wrong)
		}
		if !t.Failed() {
			return
		}
		s.journalMu.Lock()
		defer s.journalMu.Unlock()
		t.Logf("the functions said:\n%s", strings.Join(s.journal[max(0, len(s.journal)-100):], "\n"))
	})
}

func (s *system) output(function, line string) {
	s.journalMu.Lock()
	defer s.journalMu.Unlock()
	s.journal = append(s.journal, function+": "+line)
}

// invoke runs a function with a request and returns what it answers.
func (s *system) invoke(t *testing.T, function, request string) string {
	t.Helper()
	out, err := s.functions.Invoke(limited(t), &lambda.InvokeInput{FunctionName: &function, Payload: []byte(request)})
	if err != nil {
		t.Fatal(err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s: %s", function, out.Payload)
	}
	return string(out.Payload)
}

func (s *system) sweep(t *testing.T) {
	t.Helper()
	s.invoke(t, "sweep", "{}")
}

// forgetSweeps makes the next sweep the first.
func (s *system) forgetSweeps(t *testing.T) {
	t.Helper()
	item := map[string]types.AttributeValue{
		store.PartitionKey: &types.AttributeValueMemberS{Value: "sweep#/ws/app"}, store.SortKey: &types.AttributeValueMemberS{Value: "#"},
	}
	if _, err := s.DynamoDB().DeleteItem(limited(t), &dynamodb.DeleteItemInput{TableName: &s.TableName, Key: item}); err != nil {
		t.Fatal(err)
	}
}

// takePart says who takes part in a conversation.
func (s *system) takePart(t *testing.T, conversation string, users ...string) {
	t.Helper()
	request, err := json.Marshal(map[string]any{"op": "participants.set", "conversationId": conversation, "users": users})
	if err != nil {
		t.Fatal(err)
	}
	s.invoke(t, "control", string(request))
}

// token is one of the user, good for that long.
func token(user string, life time.Duration) string {
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(cmp.Or(life, time.Hour)).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(stack.LocalSecret))
	if err != nil {
		panic(err) // HMAC with a []byte
	}
	return signed
}
