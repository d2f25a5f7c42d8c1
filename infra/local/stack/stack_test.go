package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	managementtypes "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/coder/websocket"

	"example.org/realtime/infra/local/leaks"
	"example.org/realtime/shared/config"
)

const root = "testdata/root"

func TestMain(m *testing.M) { leaks.Main(m, nil) }

func start(t *testing.T, o Options) *Stack {
	t.Helper()
	if o.Root == "" {
		o.Root = root
	}
	o.Log = slog.New(slog.DiscardHandler)
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, s) })
	return s
}

func closeNow(t *testing.T, s *Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// dial connects a client; the handshake's status is 101 when it is let in.
func dial(t *testing.T, s *Stack, key string) (socket *websocket.Conn, status int) {
	t.Helper()
	socket, response, err := websocket.Dial(t.Context(), s.URL+"?key="+key, nil)
	if response == nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Cleanup(func() { _ = socket.CloseNow() })
	}
	return socket, response.StatusCode
}

// told sends a message and returns the environment of the function that answers.
func told(t *testing.T, socket *websocket.Conn) []string {
	t.Helper()
	if err := socket.Write(t.Context(), websocket.MessageText, []byte(`{"event":"x"}`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, message, err := socket.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var environment []string
	if err := json.Unmarshal(message, &environment); err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	return environment
}

// noted tells whether the function noted an event in the table.
func noted(t *testing.T, s *Stack, kind string) bool {
	t.Helper()
	out, err := s.DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &s.TableName, Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: kind}, "sk": &types.AttributeValueMemberS{Value: "#"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item != nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestStack(t *testing.T) {
	var mu sync.Mutex
	lines := map[string]bool{}
	o := Options{ScheduleEvery: 20 * time.Millisecond, Settings: map[string]string{"PRESENCE_TTL_SECONDS": "5", "Greeting": "servus", "HOME": "/root"}}
	o.Lambda.Output = func(function, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines[function+" "+line] = true
	}
	s := start(t, o)
	if _, status := dial(t, s, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("wrong key: %d", status)
	}
	socket, status := dial(t, s, LocalSecret)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	environment := told(t, socket)
	for _, want := range []string{
		"TABLE_NAME=realtime", "CONNECTIONS_ENDPOINT=" + s.ConnectionsEndpoint, "PUBLISH_FUNCTION=publish",
		"GREETING=servus", "PRESENCE_TTL_SECONDS=5", "AWS_SAM_LOCAL=true", "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL_DYNAMODB=" + s.DynamoDBEndpoint, "AWS_ENDPOINT_URL_LAMBDA=" + s.LambdaEndpoint,
	} {
		if !slices.Contains(environment, want) {
			t.Errorf("the function's environment lacks %s", want)
		}
	}
	for _, entry := range environment {
		if name, _, _ := strings.Cut(entry, "="); name == "HOME" || name == "JWT_SECRET" || name == "AWS_ENDPOINT_URL_SECRETS_MANAGER" {
			t.Errorf("the function's environment has %s", entry)
		}
	}
	for _, kind := range []string{"CONNECT", "MESSAGE"} {
		if !noted(t, s, kind) {
			t.Errorf("%s is not in the table", kind)
		}
	}
	eventually(t, "a scheduled event", func() bool { return noted(t, s, "aws.events") })
	for _, name := range []string{"echo", "local-echo", "EchoFunction"} {
		if _, err := LambdaClient(s.LambdaEndpoint).Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	mu.Lock()
	if !lines["echo noted MESSAGE"] {
		t.Errorf("output %v", slices.Collect(maps.Keys(lines)))
	}
	mu.Unlock()
	ttl, err := s.DynamoDB().DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &s.TableName})
	if err != nil || *ttl.TimeToLiveDescription.AttributeName != "exp" {
		t.Errorf("TTL: %+v, %v", ttl, err)
	}
}

// Another Invoke API and another DynamoDB stand behind the gateway: here those of a second stack.
func TestEndpointsElsewhere(t *testing.T) {
	behind := start(t, Options{})
	s := start(t, Options{LambdaEndpoint: behind.LambdaEndpoint, DynamoDBEndpoint: behind.DynamoDBEndpoint})
	if s.Functions != nil || s.Table != nil {
		t.Error("functions or table of its own")
	}
	if _, status := dial(t, s, LocalSecret); status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	if !noted(t, s, "CONNECT") || behind.Gateway.Open() != 0 {
		t.Error("the connection is not that of the stack in front")
	}
}

// An account may have 500 new connections a second. Nobody has to be let in to count.
func TestNewConnectionsQuota(t *testing.T) {
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(refuse.Close)
	now := time.Now()
	o := Options{LambdaEndpoint: refuse.URL}
	o.Gateway.Now = func() time.Time { return now }
	s := start(t, o)
	statuses := map[int]int{}
	for range 501 {
		_, status := dial(t, s, LocalSecret)
		statuses[status]++
	}
	if want := (map[int]int{http.StatusInternalServerError: 500, http.StatusTooManyRequests: 1}); !maps.Equal(statuses, want) {
		t.Errorf("handshakes at once: %v, want %v", statuses, want)
	}
}

// As in AWS, whoever posts to a client has to sign for the region. With which key is not looked at.
func TestPostsAreSigned(t *testing.T) {
	s := start(t, Options{})
	const nobody = "L0SM9cOFvHcCIhw="
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.ConnectionsEndpoint+"/@connections/"+nobody, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || string(body) != `{"message":"Missing Authentication Token"}` {
		t.Errorf("not signed: %d %s", resp.StatusCode, body)
	}
	client := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: &s.ConnectionsEndpoint, Region: region, Credentials: localCredentials{}, Retryer: aws.NopRetryer{},
	})
	id := nobody
	_, err = client.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("hello")})
	var gone *managementtypes.GoneException
	if !errors.As(err, &gone) {
		t.Errorf("signed: %v, want that the connection is gone", err)
	}
}

// A key that the settings name takes the place of the local secret.
func TestOwnKey(t *testing.T) {
	s := start(t, Options{Settings: map[string]string{"JWT_SECRET": "0123456789abcdef0123456789abcdef"}})
	if _, status := dial(t, s, LocalSecret); status != http.StatusUnauthorized {
		t.Errorf("the local secret: %d", status)
	}
	if _, status := dial(t, s, "0123456789abcdef0123456789abcdef"); status != http.StatusSwitchingProtocols {
		t.Errorf("the setting's secret: %d", status)
	}
}

// The functions take the local secret on this machine and refuse it when they are deployed.
func TestLocalSecretIsNotForDeployments(t *testing.T) {
	for deployed, environment := range map[bool]map[string]string{
		false: {"AWS_SAM_LOCAL": "true", "LAMBDA_TASK_ROOT": "/var/task"},
		true:  {"LAMBDA_TASK_ROOT": "/var/task"},
	} {
		environment["JWT_SECRET"] = LocalSecret
		_, err := config.Load("authorizer", func(name string) string { return environment[name] })
		if refused := err != nil; refused != deployed {
			t.Errorf("deployed %v: %v", deployed, err)
		}
	}
}

func TestCloseFreesThePorts(t *testing.T) {
	s, err := Start(t.Context(), Options{Root: root, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, s)
	for _, url := range []string{s.URL, s.LambdaEndpoint, s.DynamoDBEndpoint} {
		address := strings.Split(url, "/")[2]
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_ = l.Close()
	}
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test's
	port := taken.Addr().(*net.TCPAddr).Port
	const nobody = "http://127.0.0.1:1" // a port that was free a moment ago may be another test's by now
	tests := []struct {
		name string
		o    Options
		path string // of PATH; "" keeps it
		want string
	}{
		{"WebSocket port taken", Options{WSPort: port}, "", fmt.Sprintf("WS_PORT: port %d is taken: stop what listens there, or choose others, as in WS_PORT=%d make run", port, (port+1000)%65536)},
		{"all ports taken", Options{WSPort: port, LambdaPort: port, DynamoDBPort: port}, "", fmt.Sprintf("WS_PORT: port %[1]d is taken; LAMBDA_PORT: port %[1]d is taken; DYNAMODB_PORT: port %[1]d is taken: stop what listens there, or choose others, as in WS_PORT=%[2]d LAMBDA_PORT=%[2]d DYNAMODB_PORT=%[2]d make run", port, (port+1000)%65536)},
		{"nobody's address", Options{Host: "192.0.2.1"}, "", `BIND: "192.0.2.1" is no address of this machine: give one, as in 0.0.0.0, or leave it out`},
		{"no address", Options{Host: "no such host.invalid"}, "", `BIND: "no such host.invalid" is no address`},
		{"Invoke API's port taken", Options{LambdaPort: port}, "", fmt.Sprintf("LAMBDA_PORT: port %d is taken", port)},
		{"table's port taken", Options{DynamoDBPort: port}, "", fmt.Sprintf("DYNAMODB_PORT: port %d is taken", port)},
		{"DynamoDB Local's port taken", Options{DynamoDBPort: port, DynamoDBLocal: true}, "", fmt.Sprintf("DYNAMODB_PORT: port %d is taken", port)},
		{"no Maven", Options{DynamoDBLocal: true, Root: with(t, "", "", "")}, "/nowhere", "mvn is not in PATH: install Maven"},
		{"no DynamoDB", Options{DynamoDBEndpoint: nobody}, "", "DYNAMODB_ENDPOINT: nothing answers at " + nobody + ": start it, or leave it out for the embedded table"},
		{"no URL", Options{DynamoDBEndpoint: "8000"}, "", `DYNAMODB_ENDPOINT: "8000" is no URL`},
		{"no Invoke API", Options{LambdaEndpoint: nobody}, "", "LAMBDA_ENDPOINT: nothing answers at " + nobody + ": start it, or leave it out to run the functions here"},
		{"no Go", Options{}, "/nowhere", "go is not in PATH: install Go"},
		{"no template", Options{Root: t.TempDir()}, "", "template.yaml: no such file"},
		{"broken template", Options{Root: with(t, "template.yaml", "!Ref Greeting", "!Ref Nobody")}, "", "EchoFunction.Properties.Environment.Variables.GREETING: Ref Nobody: "},
		{"no API", Options{Root: with(t, "template.yaml", "AWS::ApiGatewayV2::Api", "Custom::Api")}, "", "template.yaml: has no AWS::ApiGatewayV2::Api"},
		{"no table", Options{Root: with(t, "template.yaml", "AWS::DynamoDB::Table", "Custom::Table")}, "", "template.yaml: has 0 tables"},
		{"wrong parameter", Options{Root: with(t, "template.yaml", "Default: hello", "Default: hello, AllowedValues: [hello]"), Settings: map[string]string{"Greeting": "x"}}, "", `Parameters.Greeting: "x" is none of hello`},
		{"settings that functions refuse", Options{Settings: map[string]string{"Greeting": "x", "TABLE_NAME": "t"}, Check: func(function string, environment map[string]string) error {
			return fmt.Errorf("TABLE_NAME: %q\nGREETING of %s: %q", environment["TABLE_NAME"], function, environment["GREETING"])
		}}, "", `GREETING of authorizer: ""; GREETING of echo: "x"; TABLE_NAME: ""; TABLE_NAME: "t"`},
		{"no folder", Options{Root: with(t, "template.yaml", "EchoFunction", "OtherFunction")}, "", "template.yaml: OtherFunction is in "},
		{"does not compile", Options{Root: with(t, "functions/echo/main.go", "func main() {", "func main() { undefined()")}, "", "undefined: undefined"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.path != "" {
				t.Setenv("PATH", tt.path)
			}
			if tt.o.Root == "" {
				tt.o.Root = root
			}
			tt.o.Log = slog.New(slog.DiscardHandler)
			s, err := Start(t.Context(), tt.o)
			if err == nil {
				closeNow(t, s)
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error\n got %v\nwant %s", err, tt.want)
			}
			if tt.name != "does not compile" && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// with copies the test's repository, below this package for its module, with one text replaced in one file.
func with(t *testing.T, file, old, replacement string) string {
	t.Helper()
	copied, err := os.MkdirTemp("testdata", "copy") //nolint:usetesting // it has to be inside the module
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(copied) })
	if err := os.CopyFS(copied, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if file == "" {
		return copied
	}
	path := filepath.Join(copied, file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(source), old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// Whoever waits for another's build can be interrupted, and has its turn when that one has ended.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := lock(interrupted, path); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	next := make(chan error, 1)
	go func() {
		unlock, err := lock(t.Context(), path)
		if err == nil {
			unlock()
		}
		next <- err
	}()
	unlock()
	if err := <-next; err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	var told []string
	s := &Stack{options: Options{Progress: func(line string) { told = append(told, line) }}}
	s.progress("nothing much")()
	if len(told) != 0 {
		t.Errorf("told %q", told)
	}
}

// What is beside the stage is served with what is below it, and everything else is the gateway's.
func TestBeside(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	s := &Stack{options: Options{Beside: map[string]http.Handler{"/page": page}}}
	h := s.beside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	for path, want := range map[string]int{
		"/page": http.StatusTeapot, "/page/": http.StatusTeapot, "/page/a/b": http.StatusTeapot,
		"/pages": http.StatusForbidden, "/local": http.StatusForbidden, "/": http.StatusForbidden, "//page": http.StatusForbidden,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// A page of another site that is open in a browser on this machine can have no function invoked, no item written and nothing posted.
func TestPagesOfOtherSites(t *testing.T) {
	s := start(t, Options{})
	for _, url := range []string{
		s.LambdaEndpoint + "/2015-03-31/functions/echo/invocations", s.DynamoDBEndpoint, s.ConnectionsEndpoint + "/@connections/L0SM9cOFvHcCIhw=",
	} {
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://example.com"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "cross-origin") {
				t.Errorf("%s, %s: %d %s", url, header, resp.StatusCode, body)
			}
		}
	}
}
