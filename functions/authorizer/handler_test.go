package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/realtime"
)

type verify func(token string) (realtime.Identity, error)

func (f verify) Verify(_ context.Context, token string) (realtime.Identity, error) { return f(token) }

func sample(t *testing.T, name string) gateway.AuthorizerEvent {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "events", name))
	if err != nil {
		t.Fatal(err)
	}
	var e gateway.AuthorizerEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestHandle(t *testing.T) {
	expired := &contract.Error{Code: contract.TokenExpired, Message: "the token expired"}
	down := errors.New("verify token: JWT_JWKS_URL: timeout")
	tests := []struct {
		name    string
		id      realtime.Identity
		verdict error
		reject  bool
		context map[string]any
		err     string
		outcome string
	}{
		{
			"a user",
			realtime.Identity{UserID: "alice", ExpiresAt: time.Unix(4102444800, 0)},
			nil, false,
			map[string]any{"userId": "alice", "expiresAt": "4102444800", "protocol": "json"},
			"", "ok",
		},
		{"a user, reject", realtime.Identity{UserID: "alice"}, nil, true, map[string]any{"userId": "alice", "protocol": "json"}, "", "ok"},
		{"refused", realtime.Identity{}, expired, false, map[string]any{"code": "socket_error:token_expired", "protocol": "json"}, "", "refused"},
		{"refused, reject", realtime.Identity{}, expired, true, nil, "Unauthorized", "refused"},
		{"keys out of reach", realtime.Identity{}, down, false, nil, down.Error(), "failed"},
		{"keys out of reach, reject", realtime.Identity{}, down, true, nil, down.Error(), "failed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := sample(t, "authorizer.json")
			a := &authorizer{reject: test.reject, tokens: verify(func(token string) (realtime.Identity, error) {
				if token != e.QueryStringParameters["token"] {
					t.Errorf("verified %q", token)
				}
				return test.id, test.verdict
			})}
			got, err := a.handle(t.Context(), e)
			if (err != nil || test.err != "") && (err == nil || err.Error() != test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.context, got.Context); diff != "" {
				t.Errorf("context: -want +got:\n%s", diff)
			}
			outcome, attrs := describe(e, got, err)
			if outcome != test.outcome {
				t.Errorf("outcome %s, want %s", outcome, test.outcome)
			}
			for _, attr := range attrs {
				if strings.Contains(attr.Value.String(), e.QueryStringParameters["token"]) {
					t.Errorf("%s has the token", attr.Key)
				}
			}
		})
	}
}

// A Socket.IO client is let in with a token, without one and with a refused one, AUTH_FAILURE=reject or not: it is told when
// it sends its CONNECT.
func TestSocketIOClientsAreLetIn(t *testing.T) {
	expired := &contract.Error{Code: contract.TokenExpired, Message: "the token expired"}
	for _, test := range []struct {
		name    string
		token   string
		verdict error
		context map[string]any
	}{
		{"no token", "", nil, map[string]any{"protocol": "socketio"}},
		{"a token", "t", nil, map[string]any{"protocol": "socketio", "userId": "alice"}},
		{"an expired token", "t", expired, map[string]any{"protocol": "socketio", "code": "socket_error:token_expired"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := sample(t, "authorizer.json")
			e.QueryStringParameters = map[string]string{"transport": "websocket", "EIO": "4", "token": test.token}
			e.MultiValueQueryStringParameters = nil
			a := &authorizer{reject: true, tokens: verify(func(string) (realtime.Identity, error) {
				return realtime.Identity{UserID: "alice"}, test.verdict
			})}
			got, err := a.handle(t.Context(), e)
			if diff := cmp.Diff(test.context, got.Context); diff != "" || err != nil {
				t.Errorf("%v, context: -want +got:\n%s", err, diff)
			}
		})
	}
}

// An answer is a policy to API Gateway and nothing more.
func TestAnswer(t *testing.T) {
	a := &authorizer{tokens: verify(func(string) (realtime.Identity, error) {
		return realtime.Identity{}, &contract.Error{Code: contract.Unauthorized, Message: "no token"}
	})}
	answer, err := a.handle(t.Context(), sample(t, "authorizer-no-token.json"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"principalId":"refused","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":["execute-api:Invoke"],"Effect":"Allow","Resource":["arn:aws:execute-api:us-east-1:123456789012:abcdef1234/live/$connect"]}]},"context":{"code":"socket_error:unauthorized","protocol":"json"}}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The whole function, on every sample.
func TestSamples(t *testing.T) {
	env := map[string]string{"JWT_SECRET": "local-secret-do-not-deploy-0123456789", "LOG_LEVEL": "error"}
	handle, err := build(t.Context(), func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join("..", "..", "events", "authorizer*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	codes := map[string]string{
		"no-token": "socket_error:unauthorized", "garbage": "socket_error:unauthorized", "alg-none": "socket_error:unauthorized",
		"wrong-key": "socket_error:unauthorized", "no-user": "socket_error:unauthorized", "bad-user": "socket_error:unauthorized",
		"expired": "socket_error:token_expired",
	}
	for _, path := range paths {
		name := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(path), ".json"), "authorizer")
		want := map[string]any{"userId": "alice", "expiresAt": "4102444800", "protocol": "json"}
		if code := codes[strings.TrimPrefix(name, "-")]; code != "" {
			want = map[string]any{"code": code, "protocol": "json"}
		}
		got, err := handle(t.Context(), sample(t, filepath.Base(path)))
		if diff := cmp.Diff(want, got.Context); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", name, err, diff)
		}
	}
}

func TestBuildReportsEverything(t *testing.T) {
	env := map[string]string{"AUTH_FAILURE": "no", "LOG_LEVEL": "loud"}
	_, err := build(t.Context(), func(name string) string { return env[name] })
	for _, setting := range []string{"JWT_SECRET", "AUTH_FAILURE", "LOG_LEVEL"} {
		if err == nil || !strings.Contains(err.Error(), setting+": ") {
			t.Errorf("%s is not in %v", setting, err)
		}
	}
	// A key that is PEM but of no use is found before the first event, too.
	env = map[string]string{"JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n-----END PUBLIC KEY-----"}
	if _, err := build(t.Context(), func(name string) string { return env[name] }); err == nil || !strings.HasPrefix(err.Error(), "JWT_PUBLIC_KEY: ") {
		t.Errorf("X25519 key: %v", err)
	}
}
