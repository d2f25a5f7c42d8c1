package push

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/realtime"
)

var _ realtime.Poster = (*Client)(nil)

const connection = "L0SM9cOFvHcCIhw="

var credentials = aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "session"}

func config(url string) aws.Config {
	return aws.Config{
		Region:       "eu-west-1",
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		BaseEndpoint: aws.String(url),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// client is one for a server that answers with h, at the stage live.
func client(t testing.TB, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := New(config(server.URL), server.URL+"/live", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.transport.CloseIdleConnections)
	return c, server
}

// request is what matters of one on the wire.
type request struct {
	Method, Path, Token, Body string
}

// record checks the signature of a request by signing what came in again.
func record(t *testing.T, r *http.Request) request {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	auth := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(auth, "SignedHeaders=")
	signed, _, _ := strings.Cut(rest, ",")
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.RequestURI, strings.NewReader(string(body)))
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(signed, "content-length") { // not that it has to be: what it says is in the hash of the body
		again.ContentLength = 0
	}
	for name := range strings.SplitSeq(signed, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Error(err)
	}
	if err := v4.NewSigner().SignHTTP(r.Context(), credentials, again, bodyHash(body), "execute-api", "eu-west-1", at); err != nil {
		t.Error(err)
	}
	if got := again.Header.Get("Authorization"); got != auth {
		t.Errorf("%s %s: signed as\n%s\nshould be\n%s", r.Method, r.RequestURI, auth, got)
	}
	return request{Method: r.Method, Path: r.RequestURI, Token: r.Header.Get("X-Amz-Security-Token"), Body: string(body)}
}

// The requests are those of the SDK's client, and signed as its signer signs them.
func TestRequestsAreTheSDKs(t *testing.T) {
	const active = `{"connectedAt":"2026-03-01T12:00:00Z","identity":{"sourceIp":"192.0.2.1","userAgent":"ws"},"lastActiveAt":"2026-03-01T12:00:01.5Z"}`
	for _, id := range []string{connection, "a-b_c=", "with space/%2F+#?", "ünïcode"} {
		t.Run(id, func(t *testing.T) {
			var got []request
			c, server := client(t, func(w http.ResponseWriter, r *http.Request) {
				got = append(got, record(t, r))
				if r.Method == http.MethodGet {
					fmt.Fprint(w, active)
				}
			})
			sdk := apigatewaymanagementapi.NewFromConfig(config(server.URL + "/live"))
			message := `{"event":"ä"}`

			if err := c.Post(t.Context(), id, []byte(message)); err != nil {
				t.Error(err)
			}
			if err := c.Close(t.Context(), id); err != nil {
				t.Error(err)
			}
			at, err := c.LastActive(t.Context(), id)
			if want := time.Date(2026, 3, 1, 12, 0, 1, 500e6, time.UTC); err != nil || !at.Equal(want) {
				t.Errorf("last active %v, %v", at, err)
			}
			ours := got
			got = nil
			_, err1 := sdk.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte(message)})
			_, err2 := sdk.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
			_, err3 := sdk.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
			if err := errors.Join(err1, err2, err3); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, ours); diff != "" {
				t.Errorf("-SDK +ours:\n%s", diff)
			}
		})
	}
}

// calls are those of a Client, by their methods.
var calls = map[string]func(context.Context, *Client) error{
	"POST":   func(ctx context.Context, c *Client) error { return c.Post(ctx, connection, []byte("payload")) },
	"DELETE": func(ctx context.Context, c *Client) error { return c.Close(ctx, connection) },
	"GET":    func(ctx context.Context, c *Client) error { _, err := c.LastActive(ctx, connection); return err },
}

// Every answer means what it means to the SDK's client, and no error has the message.
func TestAnswers(t *testing.T) {
	other := errors.New("any other")
	tests := []struct {
		name           string
		status         int
		errorType      string
		body           string
		want           error // nil, ErrGone, ErrThrottled, ErrRejected or other
		text           string
		sdkDoesNotKnow bool
	}{
		{"delivered", 200, "", "", nil, "", false},
		{"deleted", 204, "", "", nil, "", false},
		{"gone, as API Gateway says it", 410, "GoneException", "", realtime.ErrGone, "gone", false},
		{"gone, namespaced", 410, "GoneException:http://internal.amazon.com/coral/com.amazonaws.x/", "{}", realtime.ErrGone, "gone", false},
		{"gone, in the body", 410, "", `{"__type":"com.amazonaws#GoneException"}`, realtime.ErrGone, "gone", false},
		{"gone, by the status alone", 410, "", "", realtime.ErrGone, "gone", true},
		{"malformed id", 400, "BadRequestException", `{"message":"Invalid connectionId"}`, realtime.ErrGone, "gone", true},
		{"another bad request", 400, "BadRequestException", `{"message":"no"}`, realtime.ErrRejected, "rejected: status 400 BadRequestException no", false},
		{"throttled", 429, "LimitExceededException", `{"message":null}`, realtime.ErrThrottled, "throttled", false},
		{"throttled, by the status alone", 429, "", `{"message":"Too Many Requests"}`, realtime.ErrThrottled, "throttled", true},
		{"forbidden", 403, "ForbiddenException", `{"Message":"User: x is not authorized to perform: execute-api:ManageConnections"}`, realtime.ErrRejected, "rejected: status 403 ForbiddenException User: x is not authorized to perform: execute-api:ManageConnections", false},
		{"unsigned", 403, "", "Missing Authentication Token", realtime.ErrRejected, "rejected: status 403", false},
		{"too large", 413, "PayloadTooLargeException", `{"message":"Message too long"}`, realtime.ErrRejected, "rejected: status 413 PayloadTooLargeException Message too long", false},
		{"their fault", 500, "InternalServerError", "", other, "status 500 InternalServerError", false},
		{"unavailable", 503, "", "<html>", other, "status 503", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, server := client(t, func(w http.ResponseWriter, r *http.Request) {
				if test.errorType != "" {
					w.Header().Set("X-Amzn-ErrorType", test.errorType)
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			for method, call := range calls {
				if method == "GET" && test.want == nil {
					continue
				}
				err := call(t.Context(), c)
				if class(err, other) != test.want { //nolint:errorlint // the very value
					t.Errorf("%s: %v", method, err)
				}
				text := test.text
				if method != "POST" && test.errorType == "ForbiddenException" {
					text = "rejected: status 403 ForbiddenException" // the SDK's client looks for "message" only
				}
				if err != nil && err.Error() != method+" connection "+connection+": "+text {
					t.Errorf("%s: %q", method, err)
				}
			}
			sdk := apigatewaymanagementapi.NewFromConfig(config(server.URL + "/live"))
			_, err := sdk.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: aws.String(connection), Data: []byte("payload")})
			if got := sdkClass(err, other); !test.sdkDoesNotKnow && got != test.want { //nolint:errorlint // the very value
				t.Errorf("the SDK's client says %v", err)
			}
		})
	}
}

func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func class(err, other error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, realtime.ErrGone):
		return realtime.ErrGone
	case errors.Is(err, realtime.ErrThrottled):
		return realtime.ErrThrottled
	case errors.Is(err, realtime.ErrRejected):
		return realtime.ErrRejected
	}
	return other
}

func sdkClass(err, other error) error {
	if _, ok := errors.AsType[*types.GoneException](err); ok {
		return realtime.ErrGone
	}
	if _, ok := errors.AsType[*types.LimitExceededException](err); ok {
		return realtime.ErrThrottled
	}
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok && resp.HTTPStatusCode()/100 == 4 {
		return realtime.ErrRejected
	}
	if err != nil {
		return other
	}
	return nil
}

func TestLastActiveNeedsAnAnswer(t *testing.T) {
	for _, body := range []string{"", "{}", `{"lastActiveAt":"yesterday"}`, "<html>"} {
		c, _ := client(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		if at, err := c.LastActive(t.Context(), connection); err == nil {
			t.Errorf("%q: %v", body, at)
		}
	}
}

func TestPostGoesNowhereElse(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		c, _ := client(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if err := c.Post(t.Context(), connection, []byte("payload")); err == nil {
			t.Errorf("%d is taken for success", status)
		}
		if c.transport.Proxy != nil {
			t.Error("a proxy would be used")
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d posts went elsewhere", n)
	}
}

// A post that may have been delivered is not sent again, on a fresh connection or on one that was kept open.
func TestPostIsSentOnce(t *testing.T) {
	var posts atomic.Int32
	c, _ := client(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if posts.Add(1) != 2 {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
	})
	for i, fails := range []bool{true, false, true} {
		if err := c.Post(t.Context(), connection, []byte("payload")); (err != nil) != fails {
			t.Errorf("post %d: %v", i+1, err)
		}
	}
	if n := posts.Load(); n != 3 {
		t.Errorf("3 posts were sent %d times", n)
	}
}

// A function that was frozen finds its connections dead, and no timer has run meanwhile.
func TestConnectionsFromBeforeAreNotUsed(t *testing.T) {
	var dead sync.Map // remote addresses whose connections have died
	var posts atomic.Int32
	c, _ := client(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, was := dead.LoadOrStore(r.RemoteAddr, true); was {
			panic(http.ErrAbortHandler)
		}
		posts.Add(1)
	})
	now := time.Now()
	c.now = func() time.Time { return now }
	for range 3 {
		if err := c.Post(t.Context(), connection, []byte("payload")); err != nil {
			t.Error(err)
		}
		now = now.Add(maxIdle + time.Millisecond)
	}
	if n := posts.Load(); n != 3 {
		t.Errorf("%d posts", n)
	}
}

// What the other side has closed is not used again, and costs no post.
func TestConnectionsThatWereClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(conn net.Conn) {
			read(conn)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			time.Sleep(time.Second)
			_ = conn.Close()
		})
		for range 3 {
			if err := c.Post(t.Context(), connection, []byte("payload")); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// Over TLS too, it is HTTP/1.1 that is measured and used.
func TestHTTP1(t *testing.T) {
	var protocol string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol = r.Proto }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c, err := New(config(server.URL), server.URL+"/live", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer c.transport.CloseIdleConnections()
	c.transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	c.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	for method, call := range calls {
		_ = call(t.Context(), c)
		if protocol != "HTTP/1.1" {
			t.Errorf("%s: %q", method, protocol)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	const atOnce, rounds = 32, 5
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(conn net.Conn) {
			for request := make([]byte, 4096); ; {
				if _, err := conn.Read(request); err != nil {
					return
				}
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		var opened atomic.Int32
		dial := c.transport.DialContext
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			opened.Add(1)
			return dial(ctx, network, address)
		}
		for range rounds {
			var wg sync.WaitGroup
			for range atOnce {
				wg.Go(func() {
					if err := c.Post(t.Context(), connection, []byte("payload")); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		// net/http gives a connection back a moment after the answer, so that a round may open some more; without reuse, all would.
		if n := opened.Load(); n > 2*atOnce {
			t.Errorf("%d connections for %d rounds of %d posts", n, rounds, atOnce)
		}
	})
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	cfg := config("http://127.0.0.1:1")
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") })
	c, err := New(cfg, "http://127.0.0.1:1/live", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Post(t.Context(), connection, []byte("payload"))
	if err == nil || err.Error() != "POST connection "+connection+": not sent: credentials: no role" {
		t.Errorf("got %v", err)
	}
}

func TestNewNeedsItsSettings(t *testing.T) {
	if _, err := New(config("x"), "live", time.Now); err == nil {
		t.Error("an endpoint that is no URL")
	}
	if _, err := New(aws.Config{Region: "eu-west-1"}, "https://a.example/live", time.Now); err == nil {
		t.Error("no credentials")
	}
}
