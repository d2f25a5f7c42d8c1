package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"example.org/realtime/infra/local/leaks"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

func TestMain(m *testing.M) { leaks.Main(m, nil) }

// function is a Lambda function of a test: it gets an event and returns a payload.
type function func(ctx context.Context, event []byte) (Result, error)

func returns(payload string) function {
	return func(context.Context, []byte) (Result, error) { return Result{Payload: []byte(payload)}, nil }
}

var ok = returns(`{"statusCode":200}`)

func fails(kind, message string) function {
	return func(context.Context, []byte) (Result, error) {
		return Result{FunctionError: "Unhandled", Payload: fmt.Appendf(nil, `{"errorMessage":%q,"errorType":%q}`, message, kind)}, nil
	}
}

// api is a gateway on a port of its own.
type api struct {
	*Gateway
	t   *testing.T
	url string

	mu      sync.Mutex
	changed sync.Cond
	seen    []Event
	calls   map[string][][]byte // payloads by function
	clients []*client
}

// start serves cfg with the functions; a route is added for each function that has none, under the function's name.
func start(t *testing.T, cfg Config, functions map[string]function) *api {
	t.Helper()
	a := &api{t: t, calls: map[string][][]byte{}}
	a.changed.L = &a.mu
	if cfg.Stage == "" {
		cfg.Stage = "local"
	}
	if cfg.RouteSelectionExpression == "" {
		cfg.RouteSelectionExpression = "$request.body.event"
	}
	routes := map[string]Route{}
	for name := range functions {
		if cfg.Authorizer == nil || name != cfg.Authorizer.Function {
			routes[name] = Route{Function: name}
		}
	}
	for key, route := range cfg.Routes {
		delete(routes, route.Function)
		routes[key] = route
	}
	cfg.Routes = routes
	observe := cfg.Observe
	cfg.Observe = func(e Event) {
		if observe != nil {
			observe(e)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen = append(a.seen, e)
		a.changed.Broadcast()
	}
	cfg.Invoke = func(ctx context.Context, name string, payload []byte) (Result, error) {
		a.mu.Lock()
		a.calls[name] = append(a.calls[name], payload)
		a.mu.Unlock()
		return functions[name](ctx, payload)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Gateway = g
	server := httptest.NewServer(g)
	a.url = server.URL
	t.Cleanup(func() {
		a.close()
		server.Close()
	})
	return a
}

// close ends the clients and the gateway: afterwards everything that was going to happen has happened.
func (a *api) close() {
	a.t.Helper()
	a.mu.Lock()
	for _, c := range a.clients {
		_ = c.socket.Close()
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		a.t.Error(err)
	}
}

// await waits for the n-th event of a kind and returns it.
func (a *api) await(kind string, n int) Event {
	a.t.Helper()
	late := time.AfterFunc(patience, a.changed.Broadcast)
	defer late.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for deadline := time.Now().Add(patience); ; a.changed.Wait() {
		if events := only(a.seen, kind); len(events) >= n {
			return events[n-1]
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("no %d. event %q among %+v", n, kind, a.seen)
		}
	}
}

// count returns how many events of a kind have happened.
func (a *api) count(kind string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(only(a.seen, kind))
}

func only(events []Event, kind string) []Event {
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.Kind != kind })
}

// called returns the payloads that a function got so far.
func (a *api) called(name string) [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls[name])
}

// event decodes the n-th payload of a function.
func (a *api) event(name string, n int) proxyEvent {
	a.t.Helper()
	calls := a.called(name)
	if len(calls) < n {
		a.t.Fatalf("%s was invoked %d times, want %d", name, len(calls), n)
	}
	var e proxyEvent
	if err := json.Unmarshal(calls[n-1], &e); err != nil {
		a.t.Fatal(err)
	}
	return e
}

// manage sends one management request and returns the response with its body read.
func (a *api) manage(method, path string, body []byte) (*http.Response, string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response, string(answer)
}

// post sends a message to a connection and returns the status.
func (a *api) post(id, body string) int {
	a.t.Helper()
	response, _ := a.manage(http.MethodPost, "/local/@connections/"+id, []byte(body))
	return response.StatusCode
}

// client is a WebSocket client that sees every frame.
type client struct {
	t      *testing.T
	socket net.Conn
	reader *bufio.Reader
	id     string
}

// handshake sends an upgrade request for a path; without a 101 the client is nil.
func (a *api) handshake(path string, header http.Header) (*client, *http.Response) {
	a.t.Helper()
	socket, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = socket.Close() })
	_ = socket.SetDeadline(time.Now().Add(patience))
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.url+path, http.NoBody)
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		"User-Agent": nil,
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if err := request.Write(socket); err != nil {
		a.t.Fatal(err)
	}
	reader := bufio.NewReader(socket)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		a.t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, response
	}
	c := &client{t: a.t, socket: socket, reader: reader}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clients = append(a.clients, c)
	return c, response
}

// dial connects one more client, whose id it takes from the observed events: it is not for concurrent use.
func (a *api) dial() *client {
	a.t.Helper()
	before := a.count(KindConnect)
	c, response := a.handshake("/local", nil)
	if c == nil {
		a.t.Fatalf("handshake: %s", response.Status)
	}
	c.id = a.await(KindConnect, before+1).ConnectionID
	return c
}

// frame sends one frame, masked.
func (c *client) frame(op ws.OpCode, fin bool, payload string) {
	c.t.Helper()
	if err := ws.WriteFrame(c.socket, ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) text(message string) { c.frame(ws.OpText, true, message) }

// read returns the next frame.
func (c *client) read() ws.Frame {
	c.t.Helper()
	f, err := ws.ReadFrame(c.reader) //nolint:staticcheck // SA1019: the other side is the gateway
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// message returns the next text message, whatever its frames.
func (c *client) message() string {
	c.t.Helper()
	var message []byte
	for {
		f := c.read()
		want := ws.OpText
		if message != nil {
			want = ws.OpContinuation
		}
		if f.Header.OpCode != want || f.Header.Length > maxFrame {
			c.t.Fatalf("frame %+v, want opcode %d", f.Header, want)
		}
		message = append(message, f.Payload...)
		if f.Header.Fin {
			return string(message)
		}
	}
}

// closed reads the close frame, answers it and sees the server close TCP.
func (c *client) closed() (code int, reason string) {
	c.t.Helper()
	code, reason = c.closing()
	c.frame(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
	c.gone()
	return code, reason
}

// closing reads the close frame; a code of 0 is none.
func (c *client) closing() (code int, reason string) {
	c.t.Helper()
	f := c.read()
	if f.Header.OpCode != ws.OpClose {
		c.t.Fatalf("frame %+v %q, want a close frame", f.Header, f.Payload)
	}
	status, reason := ws.ParseCloseFrameData(f.Payload)
	return int(status), reason
}

// gone sees the server close TCP.
func (c *client) gone() {
	c.t.Helper()
	if _, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("after the close: %v, want EOF", err)
	}
}

// alive proves that the connection is open and that nothing but a pong is waiting to be read.
func (c *client) alive() {
	c.t.Helper()
	c.frame(ws.OpPing, true, "still there?")
	if f := c.read(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "still there?" {
		c.t.Fatalf("frame %+v %q, want the pong", f.Header, f.Payload)
	}
}

// clock is a time that moves when a test says so.
type clock struct {
	mu      sync.Mutex
	changed sync.Cond
	now     time.Time
	reads   int
}

func newClock() *clock {
	c := &clock{now: time.Date(2023, 11, 29, 8, 4, 1, 796_000_000, time.UTC)}
	c.changed.L = &c.mu
	return c
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	c.changed.Broadcast()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// awaitReads waits until the clock has been read n more times: an idle connection reads it when its deadline passes.
func (c *clock) awaitReads(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for end := c.reads + n; c.reads < end; {
		c.changed.Wait()
	}
}
