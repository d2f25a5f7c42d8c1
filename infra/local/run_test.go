package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/auth"
)

func TestOptions(t *testing.T) {
	environ := []string{
		"WS_PORT=1", "LAMBDA_PORT=2", "DYNAMODB_PORT=0", "BIND=0.0.0.0", "DYNAMODB=local", "SCHEDULE=5s", "IDLE_TIMEOUT=30s",
		"CONNECTION_LIFE=1m", "RETRY_DELAY=600ms", "CONNECT_RPS=1000", "SHUFFLE=50ms", "FAULTS=duplicate=0.5,lose-disconnect=1,seed=7", "RouteKeys=default", "=C:=x",
	}
	settings := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); name != "" {
			settings[name] = value
		}
	}
	tests := map[string]struct {
		environ []string
		want    stack.Options
	}{
		"none": {nil, stack.Options{
			WSPort: 3001, LambdaPort: 3002, DynamoDBPort: 8000, Settings: map[string]string{}, Table: table.Options{ExpireEvery: time.Minute},
		}},
		"all": {environ, stack.Options{
			Host: "0.0.0.0", WSPort: 1, LambdaPort: 2, DynamoDBLocal: true, ScheduleEvery: 5 * time.Second, Settings: settings,
			Lambda: lambda.Config{Scale: 0.01}, Faults: faults.Config{Duplicate: 0.5, LoseDisconnect: 1, Seed: 7},
			Gateway: gateway.Config{
				NewConnections: gateway.Throttle{Rate: 1000, Burst: 1000},
				Timers:         gateway.Timers{Idle: 30 * time.Second, Life: time.Minute}, Shuffle: gateway.Shuffle{Seed: 7, Jitter: 50 * time.Millisecond},
			},
		}},
		"elsewhere": {[]string{"DYNAMODB_ENDPOINT=http://d", "LAMBDA_ENDPOINT=http://l"}, stack.Options{
			WSPort: 3001, LambdaPort: 3002, DynamoDBPort: 8000, DynamoDBEndpoint: "http://d", LambdaEndpoint: "http://l",
			Settings: map[string]string{"DYNAMODB_ENDPOINT": "http://d", "LAMBDA_ENDPOINT": "http://l"}, Table: table.Options{ExpireEvery: time.Minute},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := (&command{environ: tt.environ}).options()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOptionsReportEverythingWrong(t *testing.T) {
	environ := []string{
		"WS_PORT=65536", "LAMBDA_PORT=-1", "DYNAMODB_PORT=x", "DYNAMODB=aws", "SCHEDULE=5", "IDLE_TIMEOUT=0s", "CONNECTION_LIFE=-1s",
		"RETRY_DELAY=x", "CONNECT_RPS=0", "SHUFFLE=yes", "FAULTS=kill=1.1",
	}
	o := execute(t, environ, nil)
	problems := strings.Split(strings.TrimSpace(o.stderr.String()), "; ")
	if o.code != 1 || len(problems) != len(environ) {
		t.Errorf("exit code %d, %d problems: %s", o.code, len(problems), o.stderr)
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.Contains(o.stderr.String(), name+": ") {
			t.Errorf("nothing about %s", name)
		}
	}
}

func TestRun(t *testing.T) {
	t.Chdir("stack/testdata/root")
	environ := []string{"WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0", "JWT_SECRET=key", "FAULTS=seed=7,duplicate=0.5"}
	for name, forced := range map[string]bool{"orderly": false, "forced": true} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr := &buffer{}, &buffer{}
			ctx, interrupt := context.WithCancel(t.Context())
			force, kill := context.WithCancel(t.Context())
			c := &command{stdout: stdout, stderr: stderr, environ: environ, now: time.Now, force: force}
			ended := make(chan int, 1)
			go func() { ended <- c.run(ctx, nil) }()
			url := ""
			for deadline := time.Now().Add(time.Minute); url == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if _, after, ok := strings.Cut(stdout.String(), "WebSocket API   "); ok && strings.Contains(after, "Ctrl-C ends everything.") {
					url, _, _ = strings.Cut(after, "\n")
				}
			}
			socket, _, err := websocket.Dial(t.Context(), url+"?key=key", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := socket.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := socket.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			interrupt()
			if forced {
				kill()
			}
			_, _, err = socket.Read(t.Context())
			if closed := websocket.CloseStatus(err); !forced && closed != websocket.StatusGoingAway {
				t.Errorf("closed with %d", closed)
			}
			_ = socket.CloseNow()
			select {
			case code := <-ended:
				if code != 0 {
					t.Errorf("exit code %d", code)
				}
			case <-time.After(time.Minute):
				t.Fatal("does not end")
			}
			kill()
			if got := stderr.String(); !strings.HasSuffix(got, "ending; Ctrl-C again to force it\n") {
				t.Errorf("stderr %q", got)
			}
			for _, want := range []string{
				"  faults          seed=7,duplicate=0.5\n", "  authorizer   ", "  echo         | noted CONNECT", "  open\n", "message of 5 bytes for $default", "bytes sent\n", "by shutdown\n",
				"  make client USER=alice WS_PORT=" + portOf(strings.TrimSuffix(url, "/local")) + "\n", "  make publish FILE=events/publish/messages-new.json LAMBDA_PORT=",
				"\nThe token and the client want the same JWT_SECRET in the environment.\n",
			} {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q in\n%s", want, stdout)
				}
			}
		})
	}
}

// A setting that a function would not start with is told at once, once for all functions that use it.
func TestRunWithWrongSettings(t *testing.T) {
	t.Chdir("../..")
	environ := []string{"WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0", "FANOUT_RPS=x", "PRESENCE_TTL_SECONDS=0", "JWT_SECRET=short"}
	execute(t, environ, nil).expect(t, 1, "", `FANOUT_RPS: "x" is not a whole number: set one from 1 to 10000; JWT_SECRET: has 5 bytes: set at least 32 (RFC 7518, section 3.2); `+
		"PRESENCE_TTL_SECONDS: 0 is out of range: set a number from 1 to 7200\n")
}

func TestRunFails(t *testing.T) {
	t.Chdir(t.TempDir())
	execute(t, []string{"WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0"}, nil).
		expect(t, 1, "", "template: open template.yaml: no such file or directory\n")
}

func TestLog(t *testing.T) {
	out := &buffer{}
	l := newLog(out, func() time.Time { return at }, false)
	const id = "L0SM9cOFvHcCIhw="
	event := func(payload string) lambda.Invocation {
		return lambda.Invocation{Function: "publish", RequestID: "r", Attempt: 1, Duration: 12 * time.Millisecond, Payload: []byte(payload)}
	}
	tests := []struct {
		do   func()
		want string // after the time; "" is no line
	}{
		{func() { l.gateway(gateway.Event{Kind: gateway.KindConnect, ConnectionID: id}) }, id + "  open"},
		{func() {
			l.gateway(gateway.Event{Kind: gateway.KindReject, ConnectionID: id, Status: 401, Err: errors.New("a\nb")})
		}, id + "  gateway      handshake refused with 401 (a b)"},
		{func() {
			l.gateway(gateway.Event{Kind: gateway.KindMessage, ConnectionID: id, Bytes: 9, RouteKey: "conversations:join"})
		}, id + "  gateway      message of 9 bytes for conversations:join"},
		{func() { l.gateway(gateway.Event{Kind: gateway.KindMessage, ConnectionID: id, Bytes: 9}) }, id + "  gateway      message of 9 bytes for no route"},
		{func() { l.gateway(gateway.Event{Kind: gateway.KindReply, ConnectionID: id, Bytes: 80}) }, id + "  gateway      the gateway's own answer, 80 bytes"},
		{func() {
			l.gateway(gateway.Event{Kind: gateway.KindClose, ConnectionID: id, Code: 1001, Reason: "Going away", Cause: gateway.CauseIdle})
		}, id + "  closed       1001 Going away, by idle"},
		{func() { l.gateway(gateway.Event{Kind: gateway.KindLostDisconnect, ConnectionID: id}) }, id + "  gateway      $disconnect lost, as FAULTS says"},
		{func() {
			l.gateway(gateway.Event{Kind: gateway.PostToConnection, ConnectionID: id, Bytes: 129, Status: 200})
		}, id + "  gateway      129 bytes sent"},
		{func() { l.gateway(gateway.Event{Kind: gateway.PostToConnection, Bytes: 129, Status: 400}) }, "----------------  gateway      post of 129 bytes: 400"},
		{func() { l.gateway(gateway.Event{Kind: gateway.GetConnection, ConnectionID: id, Status: 410}) }, id + "  gateway      looked up: 410"},
		{func() { l.gateway(gateway.Event{Kind: gateway.DeleteConnection, ConnectionID: id, Status: 204}) }, id + "  gateway      told to close: 204"},
		{func() { l.gateway(gateway.Event{Kind: gateway.KindInvoke, ConnectionID: id, Function: "join"}) }, ""},
		{func() {
			l.invocation(event(`{"requestContext":{"connectionId":"` + id + `","routeKey":"$connect"}}`))
		}, id + "  publish      12 ms"},
		{func() { l.invocation(event(`{"event":"messages:new","data":{"event":"secret"}}`)) }, "----------------  publish      messages:new, 12 ms"},
		{func() { l.invocation(event(`{"op":"participants.set"}`)) }, "----------------  publish      participants.set, 12 ms"},
		{func() { l.invocation(event(`{"job":{"welcome":{"connection":"` + id + `"}}}`)) }, id + "  publish      welcome, 12 ms"},
		{func() { l.invocation(event(`{"job":{"presence":{"user":"alice"}}}`)) }, "----------------  publish      presence of alice, 12 ms"},
		{func() { l.invocation(event(`7`)) }, "----------------  publish      12 ms"},
		{func() {
			i := event(`{}`)
			i.Init, i.Queued, i.Attempt, i.Error = 30*time.Millisecond, 230*time.Millisecond, 2, "ValidationError: a\nb"
			l.invocation(i)
		}, "----------------  publish      12 ms, cold start 30 ms, waited 200 ms, attempt 2, failed: ValidationError: a b"},
		{func() { l.output("publish", "panic: x") }, "----------------  publish      | panic: x"},
		{func() { l.output("publish", `{"_aws":{},"Posts":1}`) }, ""},
		{func() {
			l.output("publish", `2023/11/29 08:04:00 {"errorMessage":"data: required","errorType":"ValidationError"}`)
		}, ""},
		{func() {
			l.output("sweep", `{"timestamp":"x","level":"WARN","message":"slow","function":"sweep","request_id":"q","connection_id":"`+id+`","b":1,"a":"x y"}`)
		}, id + "  sweep        | warn: slow a=x y b=1"},
		{func() {
			l.output("publish", `{"timestamp":"x","level":"INFO","message":"invocation","request_id":"r","event":"messages:new","matched":1,"outcome":"ok","duration_ms":4}`)
		}, ""},
		{func() { l.invocation(event(`{"event":"messages:new"}`)) }, "----------------  publish      messages:new, 12 ms, matched=1"},
		{func() { l.invocation(event(`{"event":"messages:new"}`)) }, "----------------  publish      messages:new, 12 ms"},
		{func() { l.logger().With("function", "publish").Warn("event dropped", "connection", id, "attempts", 3) }, id + "  warn         event dropped function=publish attempts=3"},
		{func() { l.logger().Log(t.Context(), slog.LevelDebug, "quiet") }, ""},
	}
	elsewhere := newLog(out, func() time.Time { return at }, true)
	tests = append(tests, struct {
		do   func()
		want string
	}{func() {
		elsewhere.gateway(gateway.Event{Kind: gateway.KindInvoke, ConnectionID: id, Function: "join", Duration: 12 * time.Millisecond, Err: errors.New("x")})
	}, id + "  join         12 ms (x)"})
	for _, tt := range tests {
		before := out.String()
		tt.do()
		want := ""
		if tt.want != "" {
			want = "08:04:00.000  " + tt.want + "\n"
		}
		if got := strings.TrimPrefix(out.String(), before); got != want {
			t.Errorf(" got %q\nwant %q", got, want)
		}
	}
}

// Invocations whose end is never told, because they were killed, do not pile up.
func TestLogForgets(t *testing.T) {
	l := newLog(io.Discard, func() time.Time { return at }, false)
	for n := range maxSummaries + 1 {
		l.output("publish", fmt.Sprintf(`{"message":"invocation","request_id":"r%d"}`, n))
	}
	if n := len(l.summaries); n > maxSummaries {
		t.Errorf("%d summaries are kept", n)
	}
}

// The console is there for this machine alone.
func TestConsoleIsOffWhereOthersReachIt(t *testing.T) {
	for host, want := range map[string]bool{"": true, "127.0.0.1": true, "0.0.0.0": false, "192.168.7.1": false} {
		o := stack.Options{Host: host}
		page := (&command{now: time.Now}).console(&o)
		if got := page != nil && o.Beside != nil; got != want || !want && o.Gateway.Observe != nil {
			t.Errorf("BIND=%s: console %v", host, got)
		}
	}
}

// What a stack with these settings makes, it takes.
func TestSign(t *testing.T) {
	const own = "0123456789abcdef0123456789abcdef"
	tests := []struct {
		environ []string
		takes   auth.Options
	}{
		{nil, auth.Options{Secret: stack.LocalSecret, UserIDClaims: []string{"sub", "id"}}},
		{[]string{"JWT_SECRET=" + own}, auth.Options{Secret: own, UserIDClaims: []string{"sub", "id"}}},
		{[]string{"JwtSecret=" + own}, auth.Options{Secret: own, UserIDClaims: []string{"sub", "id"}}},
		{[]string{"JwtSecret=other", "JWT_SECRET=" + own}, auth.Options{Secret: own, UserIDClaims: []string{"sub", "id"}}},
		{
			[]string{"JWT_ISSUER=us", "JwtAudience=them", "JWT_USER_ID_CLAIM=uid , sub"},
			auth.Options{Secret: stack.LocalSecret, Issuer: "us", Audience: "them", UserIDClaims: []string{"uid"}},
		},
	}
	for _, tt := range tests {
		tt.takes.RequireExp = true
		verifier, err := auth.New(t.Context(), tt.takes, nil, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		token, err := (&command{now: time.Now, environ: tt.environ}).sign("alice", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := verifier.Verify(t.Context(), token); err != nil || got.UserID != "alice" {
			t.Errorf("%q: %+v, %v", tt.environ, got, err)
		}
	}
	for environ, want := range map[string]string{
		"": `user: "a/b" cannot be a user id: use `, "JWT_JWKS_URL=https://issuer.example/keys": "JWT_JWKS_URL says whose tokens are taken: use one of that issuer",
	} {
		if token, err := (&command{now: time.Now, environ: []string{environ}}).sign("a/b", time.Minute); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %q, %v", environ, token, err)
		}
	}
}
