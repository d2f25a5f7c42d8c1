package push

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"example.org/realtime/shared/realtime"
)

// listener answers every connection with serve, and closes it then.
func listener(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// read waits for a request to come.
func read(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }

// ErrNotSent is for posts that nobody can have read, and only for those.
func TestNotSent(t *testing.T) {
	const refused = "http://127.0.0.1:1" // a port that was free a moment ago may be another test's by now
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	noCredentials := config(refused)
	noCredentials.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") })
	tests := []struct {
		name     string
		cfg      aws.Config
		endpoint string
		ctx      context.Context
		notSent  bool
	}{
		{"refused", config(refused), refused, t.Context(), true},
		{"unknown host", config(""), "http://nowhere.invalid", t.Context(), true},
		{"no TLS there", config(""), "https" + listener(t, read)[len("http"):], t.Context(), true},
		{"ended before", config(refused), refused, cancelled, true},
		{"no credentials", noCredentials, refused, t.Context(), true},
		{"closed without an answer", config(""), listener(t, read), t.Context(), false},
		{"closed at once", config(""), listener(t, func(net.Conn) {}), t.Context(), false},
		{"closed within the answer", config(""), listener(t, func(c net.Conn) { read(c); fmt.Fprint(c, "HTTP/1.1 200") }), t.Context(), false},
		{"no HTTP", config(""), listener(t, func(c net.Conn) { read(c); fmt.Fprint(c, "hello\r\n\r\n") }), t.Context(), false},
		{"500", config(""), listener(t, func(c net.Conn) { read(c); fmt.Fprint(c, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") }), t.Context(), false},
		{"429", config(""), listener(t, func(c net.Conn) {
			read(c)
			fmt.Fprint(c, "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")
		}), t.Context(), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := New(test.cfg, test.endpoint+"/live", time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer c.transport.CloseIdleConnections()
			if err := c.Post(test.ctx, connection, []byte("payload")); err == nil || errors.Is(err, realtime.ErrNotSent) != test.notSent {
				t.Errorf("post: %v", err)
			}
			if err := c.Close(test.ctx, connection); err == nil || errors.Is(err, realtime.ErrNotSent) != test.notSent {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// With an answer of 2xx it is posted, although the rest of the answer never comes.
func TestPostedWhateverComesAfter(t *testing.T) {
	c, err := New(config(""), listener(t, func(conn net.Conn) {
		read(conn)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
	})+"/live", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Post(t.Context(), connection, []byte("payload")); err != nil {
		t.Error(err)
	}
}

// Trying again is for the rules: no answer makes the client do it.
func TestOneCallIsOneRequest(t *testing.T) {
	for _, status := range []int{200, 400, 403, 410, 429, 500, 502, 503, 504} {
		var requests atomic.Int32
		c, _ := client(t, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.WriteHeader(status)
		})
		_ = c.Post(t.Context(), connection, []byte("payload"))
		_ = c.Close(t.Context(), connection)
		_, _ = c.LastActive(t.Context(), connection)
		if n := requests.Load(); n != 3 {
			t.Errorf("%d: %d requests for 3 calls", status, n)
		}
	}
}

// Ids that are no part of a path are not posted to: the request would be one for something else.
func TestIdsThatAreNone(t *testing.T) {
	c, _ := client(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.RequestURI) })
	for _, id := range []string{"", ".", ".."} {
		_, err := c.LastActive(t.Context(), id)
		for _, err := range []error{c.Post(t.Context(), id, nil), c.Close(t.Context(), id), err} {
			if !errors.Is(err, realtime.ErrGone) {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
}

// Calls carry the trace id that the SDK's client would send, anew for each event.
func TestTraceID(t *testing.T) {
	var got []string
	c, server := client(t, func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, fmt.Sprintf("%q", r.Header.Values("X-Amzn-Trace-Id")))
	})
	sdk := apigatewaymanagementapi.NewFromConfig(config(server.URL + "/live"))
	post := func() {
		t.Helper()
		got = nil
		_, err := sdk.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: aws.String(connection), Data: []byte("m")})
		if err := errors.Join(err, c.Post(t.Context(), connection, []byte("m")), c.Close(t.Context(), connection)); err != nil {
			t.Fatal(err)
		}
		if got[0] != got[1] || got[0] != got[2] {
			t.Errorf("the SDK's client, post, close: %q", got)
		}
	}
	t.Setenv("_X_AMZN_TRACE_ID", "Root=1-a-b")
	post()
	if got[1] != "[]" {
		t.Errorf("outside of Lambda: %q", got[1])
	}
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "publish")
	for _, id := range []string{
		"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:1|68fd508a:5",
		`+&[]{}"',-=;:`, "a b/ä%\n|\x00"[:8],
	} {
		t.Setenv("_X_AMZN_TRACE_ID", id)
		post()
		if got[1] == "[]" {
			t.Errorf("%q: none", id)
		}
	}
}
