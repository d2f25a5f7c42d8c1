package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

// world is what the function finds around it: a table in which alice is connected and takes part in c1, the Invoke API, and
// the connection management API, which records the posts.
type world struct {
	env   map[string]string
	posts []string // what a client gets, or DELETE
	jobs  []string // what publish is asked
}

const (
	connection = "L0SM9cOFvHcCIhw="
	secret     = "0123456789abcdef0123456789abcdef"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	tables := table.New(table.Options{})
	client := tables.Client()
	if _, err := client.CreateTable(t.Context(), store.Schema("realtime")); err != nil {
		t.Fatal(err)
	}
	rows := store.New(client, "realtime", time.Now)
	socket := realtime.Socket{ID: connection, UserID: "alice", Protocol: wire.JSON, ConnectedAt: time.Now()}
	if err := rows.Connections.Put(t.Context(), realtime.Connection{ID: socket.ID, UserID: "alice", Protocol: wire.JSON, ConnectedAt: socket.ConnectedAt}); err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Presences.Add(t.Context(), "alice", realtime.PresenceSocket{Socket: socket, LastSeen: socket.ConnectedAt}, 32); err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Participants.Add(t.Context(), "c1", "alice"); err != nil {
		t.Fatal(err)
	}
	serve := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	body := func(r *http.Request) string {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	w.env = map[string]string{
		"TABLE_NAME": "realtime", "PUBLISH_FUNCTION": "rt-publish", "LOG_LEVEL": "error",
		"JWT_SECRET": secret,
		"CONNECTIONS_ENDPOINT": serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if id, err := url.PathUnescape(path.Base(r.URL.EscapedPath())); err != nil || id != connection {
				t.Errorf("post to %q, %v", id, err)
			}
			if r.Method == http.MethodPost {
				w.posts = append(w.posts, body(r))
			} else {
				w.posts = append(w.posts, r.Method)
			}
		})) + "/local",
	}
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL_DYNAMODB": serve(tables),
		"AWS_ENDPOINT_URL_LAMBDA": serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.jobs = append(w.jobs, body(r))
			rw.WriteHeader(http.StatusAccepted)
		})),
	} {
		t.Setenv(name, value)
	}
	return w
}

func message(t *testing.T, body string) gateway.Event {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "events", "default.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e gateway.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	e.RequestContext.RequestTimeEpoch = time.Now().UnixMilli()
	e.Body = body
	return e
}

// The whole function: every event that clients send, with the ports that its rule needs.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	handle, err := build(t.Context(), func(name string) string { return w.env[name] })
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, body string
		posts      []string
		jobs       int
	}{
		{"heartbeat", `{"event":"presence:heartbeat"}`, nil, 1},
		{"heartbeat, too soon", `{"event":"presence:heartbeat","id":1}`, []string{`{"event":"ack","id":1,"data":{"success":true}}`}, 0},
		{"join", `{"event":"conversations:join","data":{"conversationId":"c1"},"id":"2"}`, []string{`{"event":"ack","id":"2","data":{"success":true}}`}, 0},
		{"leave", `{"event":"conversations:leave","data":{"conversationId":"c1"},"id":"3"}`, []string{`{"event":"ack","id":"3","data":{"success":true}}`}, 0},
		{
			"join of a stranger", `{"event":"conversations:join","data":{"conversationId":"c2"}}`,
			[]string{`{"event":"error","data":{"code":"socket_error:forbidden","message":"you do not take part in this conversation"}}`},
			0,
		},
		{
			"unknown", `{"event":"$connect"}`,
			[]string{`{"event":"error","data":{"code":"socket_error:unknown_event","message":"not an event that clients send here"}}`},
			0,
		},
		{
			"too large", strings.Repeat("x", 5121),
			[]string{`{"event":"error","data":{"code":"socket_error:payload_too_large","message":"the message has 5121 bytes, 5120 at most"}}`, "DELETE"},
			0,
		},
	}
	for _, test := range tests {
		w.posts, w.jobs = nil, nil
		got, err := handle(t.Context(), message(t, test.body))
		if err != nil || got.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
		if diff := cmp.Diff(test.posts, w.posts); diff != "" || len(w.jobs) != test.jobs {
			t.Errorf("%s: jobs %v, posts: -want +got:\n%s", test.name, w.jobs, diff)
		}
	}
}

// A team's own function takes the place of the table when it is set.
func TestMembershipFunction(t *testing.T) {
	w := newWorld(t)
	w.env["MEMBERSHIP"] = "arn:aws:lambda:us-east-1:123456789012:function:members"
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", func() string {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(rw, `{"allowed":false,"message":"archived"}`)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}())
	handle, err := build(t.Context(), func(name string) string { return w.env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle(t.Context(), message(t, `{"event":"conversations:join","data":{"conversationId":"c1"}}`)); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"event":"error","data":{"code":"socket_error:forbidden","message":"archived"}}`}
	if diff := cmp.Diff(want, w.posts); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBuildReportsEverything(t *testing.T) {
	_, err := build(t.Context(), func(string) string { return "" })
	for _, setting := range []string{"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "JWT_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), setting+": missing") {
			t.Errorf("%s is not in %v", setting, err)
		}
	}
}
