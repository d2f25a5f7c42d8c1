// Package stack is the whole system on one machine: template.yaml is read, the function binaries are built and run behind the
// Invoke API, the table is created, and the gateway in front is opened last, so whoever can connect can do everything.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/schedule"
	"example.org/realtime/infra/local/table"
	"example.org/realtime/infra/local/template"
)

// Where the stack is, unless it is told otherwise.
const (
	Stage        = "local"
	WSPort       = 3001
	LambdaPort   = 3002
	DynamoDBPort = 8000

	region  = "us-east-1"
	account = "000000000000"
)

// The quotas of an account and region (API Gateway quotas), beside the stage's own limits. For new connections AWS documents no burst: here
// those of a second may come at once.
var (
	accountThrottle       = gateway.Throttle{Rate: 10_000, Burst: 5_000} // of messages and posts together
	accountNewConnections = gateway.Throttle{Rate: 500, Burst: 500}
)

// concurrency is how many events the gateway has in functions at the same time: the quota of an account (Lambda quotas). Events above it wait,
// so that thousands of connections that end at once do not take every file descriptor.
const concurrency = 1000

// Options of a stack. The zero value is one in the current directory, on free ports, with the embedded table.
type Options struct {
	Root string // the repository, with template.yaml and functions/; "" is "."
	Host string // to listen at; "" is 127.0.0.1

	// Ports; zero takes any that is free.
	WSPort, LambdaPort, DynamoDBPort int

	DynamoDBLocal    bool   // DynamoDB Local instead of the embedded table
	DynamoDBEndpoint string // a DynamoDB that runs already; "" starts one
	LambdaEndpoint   string // an Invoke API that runs already, such as SAM CLI's; "" builds and runs the functions here
	// ConnectionsEndpoint is an @connections API that functions post to instead of the gateway's, stage included; "" is the gateway's.
	ConnectionsEndpoint string

	// Settings are the template's parameters and the functions' environment variables, each by its own name. What the template
	// does not know is ignored, so this may be a whole environment.
	Settings map[string]string

	// Check says what is wrong with the environment of a function, by its folder, before it is built; an error may have several lines.
	// nil: nobody is asked, and a function that cannot start says so when it is first invoked.
	Check func(function string, environment map[string]string) error

	// ScheduleEvery takes the place of the rate of every schedule; zero keeps the template's.
	ScheduleEvery time.Duration

	// Faults is what goes wrong at first; Stack.Faults changes it. What happens in a table or functions that run elsewhere it does not reach.
	Faults faults.Config

	// Table, Lambda and Gateway are passed on. What the stack knows from the template (functions, routes, stage) it fills in. Their own
	// hooks come before Faults.
	Table   table.Options
	Lambda  lambda.Config
	Gateway gateway.Config

	// Beside serves paths, and what is below each, on the WebSocket API's port beside the stage.
	Beside map[string]http.Handler

	Progress func(string) // told what takes more than two seconds; nil for nobody
	Log      *slog.Logger // nil is slog.Default
}

// Stack is a running system.
type Stack struct {
	Gateway   *gateway.Gateway
	Functions *lambda.Service // nil with Options.LambdaEndpoint
	Table     *table.Table    // nil unless it is embedded
	Faults    *faults.Faults

	TableName           string
	URL                 string // where clients connect: ws://127.0.0.1:3001/local
	ConnectionsEndpoint string // of the @connections API, stage included
	LambdaEndpoint      string // of the Invoke API
	DynamoDBEndpoint    string

	template *template.Stack
	options  Options
	log      *slog.Logger

	refusedMu sync.Mutex
	refused   []string // see Refused

	listeners []net.Listener
	servers   []*http.Server
	serving   sync.WaitGroup
	tick      context.CancelFunc
	ticking   sync.WaitGroup
	closers   []func(context.Context) error // of what was started, in that order
}

// Start brings a system up. ctx is for starting only; Close ends the system. The error is one line that says what is wrong and what
// to do.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{options: o, log: o.Log, tick: func() {}}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := s.start(ctx); err != nil {
		expired, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancel()
		_ = s.Close(expired) // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	if err := s.prepareFaults(); err != nil {
		return err
	}
	ws, invoke, dynamo, err := s.listen(ctx)
	if err != nil {
		return err
	}
	address := ws.Addr().String()
	s.URL = "ws://" + address + "/" + Stage
	if s.ConnectionsEndpoint = s.options.ConnectionsEndpoint; s.ConnectionsEndpoint == "" {
		s.ConnectionsEndpoint = "http://" + address + "/" + Stage
	}
	if s.LambdaEndpoint = s.options.LambdaEndpoint; invoke != nil {
		s.LambdaEndpoint = "http://" + invoke.Addr().String()
	}
	if s.DynamoDBEndpoint = s.options.DynamoDBEndpoint; dynamo != nil {
		s.DynamoDBEndpoint = "http://" + dynamo.Addr().String()
	}
	if err := s.load(); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.startTable(ctx, dynamo); err != nil {
		return err
	}
	if err := s.startFunctions(ctx, invoke); err != nil {
		return err
	}
	if s.Table != nil {
		s.serve(dynamo, s.watched(s.Table))
	}
	if err := s.startGateway(ws); err != nil {
		return err
	}
	s.startSchedule() //nolint:contextcheck // it outlives ctx: Close ends it
	return nil
}

// listen takes the ports before anything else happens, and tells at once of all that are taken. Nobody is answered on them yet. What
// runs elsewhere has none: nil.
func (s *Stack) listen(ctx context.Context) (ws, invoke, dynamo net.Listener, err error) {
	var taken, instead []string
	for _, p := range []struct {
		setting  string
		port     int
		here     bool
		listener *net.Listener
	}{
		{"WS_PORT", s.options.WSPort, true, &ws},
		{"LAMBDA_PORT", s.options.LambdaPort, s.options.LambdaEndpoint == "", &invoke},
		{"DYNAMODB_PORT", s.options.DynamoDBPort, s.options.DynamoDBEndpoint == "", &dynamo},
	} {
		if !p.here {
			continue
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(cmp.Or(s.options.Host, "127.0.0.1"), strconv.Itoa(p.port)))
		var unknown *net.DNSError
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			taken = append(taken, fmt.Sprintf("%s: port %d is taken", p.setting, p.port))
			instead = append(instead, fmt.Sprintf("%s=%d", p.setting, (p.port+1000)%(1<<16)))
		case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
			return nil, nil, nil, fmt.Errorf("BIND: %q is no address of this machine: give one, as in 0.0.0.0, or leave it out", s.options.Host)
		case err != nil:
			return nil, nil, nil, fmt.Errorf("%s: %w", p.setting, err)
		default:
			*p.listener = l
			s.listeners = append(s.listeners, l)
		}
	}
	if len(taken) > 0 {
		return nil, nil, nil, fmt.Errorf("%s: stop what listens there, or choose others, as in %s make run", strings.Join(taken, "; "), strings.Join(instead, " "))
	}
	return ws, invoke, dynamo, nil
}

// serve answers on a listener until Close. Nothing here asks who calls, so that what another site's page has a browser post is refused.
func (s *Stack) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: http.NewCrossOriginProtection().Handler(h), ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { _ = server.Serve(l) }) // ends with Close
}

func (s *Stack) load() error {
	path := filepath.Join(s.options.Root, "template.yaml")
	var err error
	s.template, err = template.Load(path, s.overrides())
	switch {
	case err != nil:
		return err
	case s.template.API == nil:
		return fmt.Errorf("%s: has no AWS::ApiGatewayV2::Api", path)
	case len(s.template.Tables) != 1:
		return fmt.Errorf("%s: has %d tables: the local stack creates one", path, len(s.template.Tables))
	}
	return nil
}

// check asks Options.Check about the functions that are to run here, and tells at once of all that is wrong.
func (s *Stack) check() error {
	if s.options.Check == nil || s.options.LambdaEndpoint != "" {
		return nil
	}
	var problems []string
	for _, f := range s.template.Functions {
		if err := s.options.Check(f.Folder, s.environment(f)); err != nil {
			problems = append(problems, strings.Split(err.Error(), "\n")...)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems) // functions share settings
	return errors.New(strings.Join(slices.Compact(problems), "; "))
}

func (s *Stack) startFunctions(ctx context.Context, l net.Listener) error {
	if l == nil {
		return reachable(ctx, "LAMBDA_ENDPOINT", s.LambdaEndpoint, "leave it out to run the functions here")
	}
	binaries, err := s.build(ctx)
	if err != nil {
		return err
	}
	c := s.options.Lambda
	c.Region, c.Account = region, account
	if c.Log == nil {
		c.Log = s.log
	}
	c.Functions = nil
	for _, f := range s.template.Functions {
		c.Functions = append(c.Functions, lambda.Function{
			Name: f.Folder, Aliases: []string{f.Name, f.LogicalID}, Binary: filepath.Join(binaries, f.Folder),
			Environment: s.environment(f), Timeout: f.Timeout, MemoryMB: f.MemoryMB, ReservedConcurrency: f.ReservedConcurrency,
			RetryAttempts: f.Async.MaximumRetryAttempts, EventAge: f.Async.MaximumEventAge, OnFailure: f.Async.OnFailure,
		})
	}
	if s.Functions, err = lambda.New(c); err != nil {
		return err
	}
	s.closers = append(s.closers, s.Functions.Close)
	s.serve(l, s.watched(s.Functions.Handler()))
	return nil
}

func (s *Stack) startGateway(l net.Listener) error {
	api := s.template.API
	c := s.options.Gateway
	c.Stage, c.Region, c.Account, c.APIID = Stage, region, account, api.ID
	c.RouteSelectionExpression = api.RouteSelectionExpression
	c.Routes = map[string]gateway.Route{}
	for key, r := range api.Routes {
		c.Routes[key] = gateway.Route{Function: r.Function, TwoWay: r.TwoWay, Timeout: r.Timeout, Throttle: gateway.Throttle{Rate: r.Throttling.RateLimit, Burst: r.Throttling.BurstLimit}}
	}
	if a := api.Authorizer; a != nil {
		c.Authorizer = &gateway.Authorizer{Function: a.Function, IdentitySources: a.IdentitySources}
	}
	c.Throttle, c.NewConnections = cmp.Or(c.Throttle, accountThrottle), cmp.Or(c.NewConnections, accountNewConnections)
	c.RequireSignature = true
	if c.Log == nil {
		c.Log = s.log
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.MaxIdleConns, transport.MaxIdleConnsPerHost = nil, 0, 256
	transport.MaxConnsPerHost = concurrency
	invoke := gateway.LambdaInvoke(s.LambdaEndpoint, &http.Client{Transport: transport})
	c.Invoke = func(ctx context.Context, function string, payload []byte) (gateway.Result, error) {
		return invoke(ctx, s.logicalID(function), payload)
	}
	s.closers = append(s.closers, func(context.Context) error {
		transport.CloseIdleConnections()
		return nil
	})
	var err error
	if s.Gateway, err = gateway.New(c); err != nil {
		return err
	}
	s.closers = append(s.closers, s.Gateway.Close)
	s.serve(l, s.beside(s.watched(s.Gateway)))
	return nil
}

// beside is h, with what Options.Beside has.
func (s *Stack) beside(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for path, other := range s.options.Beside {
			if r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/") {
				other.ServeHTTP(w, r)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// logicalID of a function is the name that this stack's Invoke API and SAM CLI's both know it by.
func (s *Stack) logicalID(folder string) string {
	for _, f := range s.template.Functions {
		if f.Folder == folder {
			return f.LogicalID
		}
	}
	return folder
}

func (s *Stack) startSchedule() {
	var rules []schedule.Rule
	for _, r := range s.template.Schedules {
		rule := schedule.Rule{ARN: r.ARN, Function: s.logicalID(r.Function), Every: r.Rate, Input: r.Input, Source: r.Source}
		if s.options.ScheduleEvery > 0 {
			rule.Every = s.options.ScheduleEvery
		}
		rules = append(rules, rule)
	}
	client := LambdaClient(s.LambdaEndpoint)
	ctx, cancel := context.WithCancel(context.Background())
	s.tick = cancel
	s.ticking.Go(func() {
		schedule.Run(ctx, rules, account, region, func(ctx context.Context, function string, event []byte) error {
			_, err := client.Invoke(ctx, &sdk.InvokeInput{FunctionName: &function, InvocationType: "Event", Payload: event})
			return err
		}, s.log)
	})
}

// LambdaClient is a client of an Invoke API on this machine. It does not retry.
func LambdaClient(endpoint string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &endpoint, Region: region, Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
	})
}

// DynamoDB is a client of the stack's table. It does not retry.
func (s *Stack) DynamoDB() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: &s.DynamoDBEndpoint, Region: region, Credentials: localCredentials{}, Retryer: aws.NopRetryer{},
	})
}

// Close ends the system from the front to the back: clients are sent away, what runs may end until ctx is done, and the rest is
// killed. When it returns, no process and no goroutine is left.
func (s *Stack) Close(ctx context.Context) error {
	s.tick()
	s.ticking.Wait()
	var all []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		all = append(all, s.closers[i](ctx))
	}
	for _, server := range s.servers {
		_ = server.Close() // its connections have been served
	}
	for _, l := range s.listeners {
		_ = l.Close() // those that nobody served yet
	}
	s.serving.Wait()
	return errors.Join(all...)
}
