package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
)

const greeting = "connected as alice; " + clientHelp + "\n"

// server is a WebSocket server at /local that lets alice in and then does serve.
func server(t *testing.T, serve func(context.Context, *websocket.Conn)) (environ []string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims := jwt.MapClaims{}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(stack.LocalSecret), nil }, jwt.WithoutClaimsValidation())
		if err != nil || claims["sub"] != "alice" || r.URL.Path != "/local" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer socket.CloseNow() //nolint:errcheck // a test's
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		serve(ctx, socket)
	}))
	t.Cleanup(s.Close)
	return []string{"WS_PORT=" + portOf(s.URL)}
}

func TestClientSendsWhatIsTyped(t *testing.T) {
	var got []string
	environ := server(t, func(ctx context.Context, socket *websocket.Conn) {
		for {
			_, message, err := socket.Read(ctx)
			if err != nil {
				return
			}
			got = append(got, string(message))
			if i := len(got); i <= 3 {
				_ = socket.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"event":"ack","id":"%d","data":{"success":true}}`, i))
			}
		}
	})
	typed := " join c1 \nleave c1\n\nheartbeat\nwhat\n{\"event\":\"x\"}\n"
	o := execute(t, environ, strings.NewReader(typed), "client", "-user", "alice")
	acks := `{"event":"ack","id":"1","data":{"success":true}}` + "\n" + `{"event":"ack","id":"2","data":{"success":true}}` + "\n" +
		`{"event":"ack","id":"3","data":{"success":true}}` + "\n"
	o.expect(t, 0, acks, greeting+clientHelp+"\n")
	want := []string{
		`{"event":"conversations:join","data":{"conversationId":"c1"},"id":"1"}`,
		`{"event":"conversations:leave","data":{"conversationId":"c1"},"id":"2"}`,
		`{"event":"presence:heartbeat","id":"3"}`,
		`{"event":"x"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent %q", got)
	}
}

func TestClientEnds(t *testing.T) {
	tests := []struct {
		status websocket.StatusCode
		reason string
		code   int
		stderr string
	}{
		{websocket.StatusNormalClosure, "Connection Closed Normally", 0, "closed with 1000 Connection Closed Normally\n"},
		{websocket.StatusGoingAway, "Going away", 1, "closed with 1001 Going away\nthe server closed the connection\n"},
	}
	for _, tt := range tests {
		environ := server(t, func(_ context.Context, socket *websocket.Conn) { _ = socket.Close(tt.status, tt.reason) })
		silent, typing := io.Pipe()
		execute(t, environ, silent, "client", "-user", "alice").expect(t, tt.code, "", greeting+tt.stderr)
		_ = typing.Close()
	}
}

func TestClientIsInterrupted(t *testing.T) {
	environ := server(t, func(ctx context.Context, socket *websocket.Conn) { _, _, _ = socket.Read(ctx) })
	silent, typing := io.Pipe()
	defer typing.Close() //nolint:errcheck // a test's
	out := &buffer{}
	c := &command{stdin: silent, stdout: io.Discard, stderr: out, environ: environ, now: func() time.Time { return at }}
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, []string{"client", "-user", "alice"}) }()
	for out.String() != greeting && len(ended) == 0 {
		time.Sleep(time.Millisecond)
	}
	interrupt()
	if code := <-ended; code != 0 || out.String() != greeting {
		t.Errorf("exit code %d, %s", code, out)
	}
}

func TestClientIsInterruptedBeforeItIsLetIn(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-ended
	}))
	defer s.Close()
	defer close(ended)
	out := &buffer{}
	c := &command{stdin: strings.NewReader(""), stdout: out, stderr: out, environ: []string{"WS_PORT=" + portOf(s.URL)}, now: func() time.Time { return at }}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-asked
		interrupt()
	}()
	if code := c.run(ctx, []string{"client", "-user", "alice"}); code != 0 || out.String() != "" {
		t.Errorf("exit code %d, %s", code, out)
	}
}

func TestClientElsewhere(t *testing.T) {
	environ := server(t, func(_ context.Context, socket *websocket.Conn) {
		_ = socket.Close(websocket.StatusNormalClosure, "here")
	})
	port, _ := strings.CutPrefix(environ[0], "WS_PORT=")
	silent, typing := io.Pipe()
	defer typing.Close() //nolint:errcheck // a test's
	execute(t, []string{"WS_PORT=" + nobody}, silent, "client", "-user", "alice", "-url", "ws://127.0.0.1:"+port+"/local").
		expect(t, 0, "", greeting+"closed with 1000 here\n")
	for _, url := range []string{"http://127.0.0.1:" + port, "127.0.0.1:" + port, "ws://", "wss:/live", "ws://[::1/local", "a b"} {
		execute(t, nil, nil, "client", "-user", "alice", "-url", url).
			expect(t, 1, "", fmt.Sprintf("URL: %q is no WebSocket URL: give one as ws://127.0.0.1:3001/local, or a stage's WebSocketUrl\n", url))
	}
}

func TestClientIsNotLetIn(t *testing.T) {
	environ := server(t, nil)
	o := execute(t, environ, nil, "client", "-user", "bob")
	if o.code != 1 || !strings.HasSuffix(o.stderr.String(), "/local refused the handshake with status 401\n") {
		t.Errorf("code %d, %s", o.code, o.stderr)
	}
	execute(t, []string{"WS_PORT=" + nobody}, nil, "client", "-user", "alice").
		expect(t, 1, "", "nothing answers at ws://127.0.0.1:"+nobody+"/local: start the stack with make run\n")
}
