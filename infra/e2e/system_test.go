package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
)

const root = "../.."

// system is where clients connect and backends invoke.
type system struct {
	url              string
	functions        functions
	publisher        string // the publish function
	controller       string // the control function
	secret           string
	issuer, audience string // of tokens; "" leaves them out
	local            *local // nil when it is deployed
}

// local is a system on this machine, with what can be done to it.
type local struct {
	*stack.Stack
	orders
	journal
	meter meter

	stop func(context.Context) error // ends what was started for the stack; nil for nothing
}

// tablePrefix begins the names of tables that the tests make and delete.
const tablePrefix = "e2e-"

// start finds or starts the system that the environment says.
func start(ctx context.Context) (*system, error) {
	if url := os.Getenv("E2E_URL"); url != "" {
		return deployed(ctx, url)
	}
	switch python, endpoint := os.Getenv("SAM_CLI_PYTHON"), os.Getenv("LAMBDA_ENDPOINT"); {
	case python != "":
		return startBehindSAM(ctx, python)
	case endpoint != "":
		port, err := strconv.Atoi(cmp.Or(os.Getenv("WS_PORT"), strconv.Itoa(stack.WSPort)))
		if err != nil {
			return nil, fmt.Errorf("WS_PORT: %w", err)
		}
		return startLocal(ctx, func(o *stack.Options) {
			o.LambdaEndpoint, o.WSPort = endpoint, port
			o.Settings["TABLE_NAME"] = os.Getenv("TABLE_NAME")
		})
	}
	return startLocal(ctx, nil)
}

func deployed(ctx context.Context, url string) (*system, error) {
	s := &system{
		url: url, publisher: os.Getenv("E2E_PUBLISH_FUNCTION"), controller: os.Getenv("E2E_CONTROL_FUNCTION"),
		secret: os.Getenv("JWT_SECRET"), issuer: os.Getenv("JWT_ISSUER"), audience: os.Getenv("JWT_AUDIENCE"),
	}
	if s.publisher == "" || s.controller == "" || s.secret == "" {
		return nil, errors.New("E2E_URL: E2E_PUBLISH_FUNCTION, E2E_CONTROL_FUNCTION and JWT_SECRET are wanted with it")
	}
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	s.functions = functions{sdk.NewFromConfig(aws), s.publisher, s.controller}
	return s, nil
}

// startLocal starts a system on this machine. Its schedule does nothing by itself: tests sweep when they want to.
func startLocal(ctx context.Context, configure func(*stack.Options)) (*system, error) {
	l := &local{}
	o := stack.Options{
		Root:             root,
		DynamoDBEndpoint: os.Getenv("DYNAMODB_ENDPOINT"),
		Settings:         map[string]string{"TABLE_NAME": unique(tablePrefix), "PRESENCE_TTL_SECONDS": "1"},
		ScheduleEvery:    24 * time.Hour,
		Log:              slog.New(slog.NewTextHandler(&l.journal, nil)),
	}
	o.Table.Hook, o.Table.After = l.onTable, l.meter.table
	// A retry comes after 600 ms. A publish waits for sockets that have just left, which need not hold up another test's.
	o.Lambda = lambda.Config{Processes: 16, Scale: 0.01, Observe: l.meter.invocation, Output: l.output}
	o.Gateway = gateway.Config{Fault: l.onManagement, LoseDisconnect: l.onDisconnect, Observe: l.meter.gateway}
	if configure != nil {
		configure(&o)
	}
	var err error
	if l.Stack, err = stack.Start(ctx, o); err != nil {
		return nil, err
	}
	const publisher, controller = "PublishFunction", "ControlFunction"
	return &system{
		url: l.URL, functions: functions{stack.LambdaClient(l.LambdaEndpoint), publisher, controller}, publisher: publisher, controller: controller,
		secret: cmp.Or(o.Settings["JWT_SECRET"], stack.LocalSecret), issuer: o.Settings["JWT_ISSUER"], audience: o.Settings["JWT_AUDIENCE"],
		local: l,
	}, nil
}

// own is a system with settings of the test's own, which ends with it.
func own(t *testing.T, configure func(*stack.Options)) *system {
	t.Helper()
	if name := theirs(); name != "" {
		t.Skip("needs functions with settings of its own, and those of " + name + " have theirs")
	}
	s, err := startLocal(t.Context(), configure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("the system did not end cleanly: %v", err)
		}
	})
	s.explain(t)
	return s
}

// apart is a system that other tests do not have to share with this one, where there can be one.
func apart(t *testing.T) *system {
	t.Helper()
	if theirs() != "" {
		return suite(t)
	}
	return own(t, nil)
}

// theirs is the variable of the environment that says where functions run, with settings that are not ours; "" when it is here.
func theirs() string {
	for _, name := range []string{"E2E_URL", "LAMBDA_ENDPOINT", "SAM_CLI_PYTHON"} {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// settings are template parameters and variables of the functions, for own.
func settings(values map[string]string) func(*stack.Options) {
	return func(o *stack.Options) { maps.Copy(o.Settings, values) }
}

func (s *system) close() error {
	if s.local == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, ours := s.local.DynamoDB(), strings.HasPrefix(s.local.TableName, tablePrefix) && s.local.Table == nil
	err := s.local.Close(ctx)
	for _, refused := range s.local.Refused() {
		err = errors.Join(err, errors.New(refused))
	}
	if s.local.stop != nil {
		err = errors.Join(err, s.local.stop(ctx))
	}
	if ours {
		_, deleted := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &s.local.TableName})
		err = errors.Join(err, deleted)
	}
	return err
}

// onThisMachine leaves a test out that a deployed stage cannot do.
func (s *system) onThisMachine(t *testing.T) *local {
	t.Helper()
	if s.local == nil {
		t.Skip("needs the local stack, and E2E_URL names a deployed one")
	}
	return s.local
}

// embedded leaves a test out that needs the embedded table.
func (s *system) embedded(t *testing.T) *local {
	t.Helper()
	l := s.onThisMachine(t)
	if l.Table == nil {
		t.Skip("needs the embedded table, and DYNAMODB_ENDPOINT names another: only the embedded one has a meter and fails on order")
	}
	return l
}

// token is one of the user, good for an hour.
func (s *system) token(user string) string {
	return s.sign(jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()})
}

// sign completes the claims with issuer and audience.
func (s *system) sign(claims jwt.MapClaims) string {
	all := jwt.MapClaims{}
	if s.issuer != "" {
		all["iss"] = s.issuer
	}
	if s.audience != "" {
		all["aud"] = s.audience
	}
	maps.Copy(all, claims)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(s.secret))
	if err != nil {
		panic(err) // HMAC with a []byte
	}
	return token
}

// journal is what the functions and the stack say, for a test that fails.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

func (j *journal) output(function, line string) { _, _ = j.Write([]byte(function + ": " + line)) }

func (j *journal) length() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.lines)
}

// said tells whether a line has this in it.
func (j *journal) said(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.lines, func(line string) bool { return strings.Contains(line, text) })
}

// since returns what was said from line n on, at most the last 200 lines.
func (j *journal) since(n int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines[max(n, len(j.lines)-200):], "\n")
}

// explain shows what the functions said during a test that fails.
func (s *system) explain(t *testing.T) {
	if s.local == nil {
		return
	}
	begun := s.local.length()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the functions said:\n%s", s.local.since(begun))
		}
	})
}

// freePort is one that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // it only had to be free
	return l.Addr().(*net.TCPAddr).Port, nil
}
