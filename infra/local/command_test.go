package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
)

var at = time.Date(2023, 11, 29, 8, 4, 0, 0, time.UTC)

// buffer is a bytes.Buffer that may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// outcome is what a command left.
type outcome struct {
	code           int
	stdout, stderr *buffer
}

// execute runs a command line to its end.
func execute(t *testing.T, environ []string, stdin io.Reader, args ...string) outcome {
	t.Helper()
	o := outcome{stdout: &buffer{}, stderr: &buffer{}}
	c := &command{stdin: stdin, stdout: o.stdout, stderr: o.stderr, environ: environ, now: func() time.Time { return at }, force: context.Background(), check: loads}
	o.code = c.run(t.Context(), args)
	return o
}

func (o outcome) expect(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if o.code != code || o.stdout.String() != stdout || o.stderr.String() != stderr {
		t.Errorf("exit code %d, stdout %q, stderr %q\n     want %d, %q, %q", o.code, o.stdout, o.stderr, code, stdout, stderr)
	}
}

// nobody is a port where nothing listens. One that was free a moment ago may be another test's by now.
const nobody = "1"

func portOf(url string) string { return url[strings.LastIndex(url, ":")+1:] }

func TestUsage(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"nope"}, "nope: unknown command: use token, client, publish or participants, or none to run the system"},
		{[]string{"token"}, "token: -user is required"},
		{[]string{"token", "-user", "a", "b"}, `token: unexpected "b"`},
		{[]string{"client"}, "client: -user is required"},
		{[]string{"publish"}, "publish: -file is required"},
		{[]string{"participants"}, "participants: -conversation and -users is required"},
	}
	for _, tt := range tests {
		o := execute(t, nil, nil, tt.args...)
		if o.code != 2 || o.stdout.String() != "" || !strings.Contains(o.stderr.String(), tt.want) {
			t.Errorf("%q: code %d, stdout %q, stderr %q", tt.args, o.code, o.stdout, o.stderr)
		}
	}
}

func TestToken(t *testing.T) {
	const own = "0123456789abcdef0123456789abcdef"
	tests := []struct {
		environ []string
		args    []string
		secret  string
		expires time.Time
	}{
		{nil, []string{"-user", "alice"}, stack.LocalSecret, at.Add(time.Hour)},
		{nil, []string{"-user", "alice", "-ttl", "-1m"}, stack.LocalSecret, at.Add(-time.Minute)},
		{[]string{"JWT_SECRET=" + own}, []string{"-user", "alice", "-ttl", "24h"}, own, at.Add(24 * time.Hour)},
	}
	for _, tt := range tests {
		o := execute(t, tt.environ, nil, append([]string{"token"}, tt.args...)...)
		line, rest, _ := strings.Cut(o.stdout.String(), "\n")
		if o.code != 0 || rest != "" || o.stderr.String() != "" {
			t.Errorf("%q: code %d, stdout %q, stderr %q", tt.args, o.code, o.stdout, o.stderr)
		}
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(line, claims, func(*jwt.Token) (any, error) { return []byte(tt.secret), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())
		if err != nil || claims["sub"] != "alice" || claims["iat"] != float64(at.Unix()) || claims["exp"] != float64(tt.expires.Unix()) {
			t.Errorf("%q: %v, %v", tt.args, claims, err)
		}
	}
	o := execute(t, nil, nil, "token", "-user", "a#b")
	o.expect(t, 1, "", "user: \"a#b\" cannot be a user id: use 1 to 128 characters of A-Z a-z 0-9 _ . : | @ + = ~ -\n")
	for _, ttl := range []string{"bad", "1", "1x"} {
		execute(t, nil, nil, "token", "-user", "alice", "-ttl", ttl).
			expect(t, 1, "", "TTL: \""+ttl+"\" is no duration: give one as 30m or 24h, or a negative one, as -1m, for an expired token\n")
	}
}

// invokeAPI is an Invoke API that answers every function with one answer, and says what came.
func invokeAPI(t *testing.T, functionError, answer string) (environ []string, came *string) {
	t.Helper()
	came = new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*came = r.URL.Path + " " + string(body)
		if functionError != "" {
			w.Header().Set("X-Amz-Function-Error", functionError)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return []string{"LAMBDA_PORT=" + portOf(server.URL)}, came
}

func TestPublish(t *testing.T) {
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(`{"event":"messages:new"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	environ, came := invokeAPI(t, "", `{"delivered":2}`)
	execute(t, environ, nil, "publish", "-file", file).expect(t, 0, `{"delivered":2}`+"\n", "")
	if want := `/2015-03-31/functions/PublishFunction/invocations {"event":"messages:new"}`; *came != want {
		t.Errorf("invoked with %s", *came)
	}
	port, _ := strings.CutPrefix(environ[0], "LAMBDA_PORT=")
	execute(t, []string{"LAMBDA_ENDPOINT=http://127.0.0.1:" + port}, nil, "publish", "-file", file).expect(t, 0, `{"delivered":2}`+"\n", "")

	environ, _ = invokeAPI(t, "Unhandled", `{"errorMessage":"data: required","errorType":"ValidationError"}`)
	execute(t, environ, nil, "publish", "-file", file).expect(t, 1, "", "PublishFunction: data: required\n")
	environ, _ = invokeAPI(t, "Unhandled", `Task timed out`)
	execute(t, environ, nil, "publish", "-file", file).expect(t, 1, "", "PublishFunction: Task timed out\n")

	execute(t, []string{"LAMBDA_PORT=" + nobody}, nil, "publish", "-file", file).
		expect(t, 1, "", "nothing answers at http://127.0.0.1:"+nobody+": start the stack with make run\n")
	execute(t, []string{"LAMBDA_PORT=x"}, nil, "publish", "-file", file).
		expect(t, 1, "", "LAMBDA_PORT: \"x\" is no port: give a number up to 65535\n")
	missing := filepath.Join(t.TempDir(), "none.json")
	execute(t, environ, nil, "publish", "-file", missing).
		expect(t, 1, "", "FILE: open "+missing+": no such file or directory: samples are in events/publish\n")
	for text, want := range map[string]string{
		"": ", line 1: unexpected end of JSON input", "{\n\"event\": \"e\",\n}": ", line 3: invalid character '}' looking for beginning of object key string",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		execute(t, environ, nil, "publish", "-file", file).expect(t, 1, "", "FILE: "+file+" is not JSON"+want+": samples are in events/publish\n")
	}
	execute(t, []string{"LAMBDA_ENDPOINT=127.0.0.1:3003"}, nil, "participants", "-conversation", "c1", "-users", "a").
		expect(t, 1, "", "LAMBDA_ENDPOINT: \"127.0.0.1:3003\" is no URL: give one as http://127.0.0.1:3003\n")
}

func TestParticipants(t *testing.T) {
	environ, came := invokeAPI(t, "", `{"added":2,"removed":0}`)
	execute(t, environ, nil, "participants", "-conversation", "c1", "-users", "alice, bob,").expect(t, 0, `{"added":2,"removed":0}`+"\n", "")
	want := `/2015-03-31/functions/ControlFunction/invocations {"op":"participants.set","conversationId":"c1","users":["alice","bob"]}`
	if *came != want {
		t.Errorf("invoked with %s", *came)
	}
}
