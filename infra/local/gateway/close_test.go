package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gobwas/ws"
)

// record serves one request without a socket.
func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestGatewayClose(t *testing.T) {
	release := make(chan struct{})
	a := start(t, Config{}, map[string]function{
		"$connect": ok, "$disconnect": ok,
		"$default": func(context.Context, []byte) (Result, error) {
			<-release
			return Result{}, nil
		},
	})
	first, second := a.dial(), a.dial()
	first.text("in flight")
	a.await(KindMessage, 1)
	done := make(chan error, 1)
	go func() { done <- a.Close(t.Context()) }()
	for _, c := range []*client{first, second} {
		if code, reason := c.closed(); code != 1001 || reason != "Going away" {
			t.Errorf("closed with %d %q", code, reason)
		}
	}
	if e := a.await(KindClose, 2); e.Cause != CauseShutdown {
		t.Errorf("event %+v", e)
	}
	if _, response := a.handshake("/local", nil); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("handshake: %s", response.Status)
	}
	if status := a.post(first.id, ""); status != http.StatusGone {
		t.Errorf("post: %d", status)
	}
	select {
	case err := <-done:
		t.Errorf("Close returned %v while a function was running", err)
	default:
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(a.called("$disconnect")); n != 2 || a.Open() != 0 {
		t.Errorf("$disconnect was invoked %d times, %d connections are open", n, a.Open())
	}
	if err := a.Close(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestGatewayCloseGivesUp(t *testing.T) {
	a := start(t, Config{Timers: Timers{Close: time.Hour}}, map[string]function{"$default": func(ctx context.Context, _ []byte) (Result, error) {
		<-ctx.Done()
		return Result{}, ctx.Err()
	}})
	c := a.dial()
	c.text("never ends, and the client never closes")
	a.await(KindMessage, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	if e := a.await(KindInvoke, 1); !errors.Is(e.Err, context.Canceled) {
		t.Errorf("the function ended with %v", e.Err)
	}
	if _, err := io.ReadAll(c.reader); isTimeout(err) {
		t.Error("the socket was not cut")
	}
}

// A handshake that is pending when Close begins is closed as soon as it is open.
func TestGatewayCloseDuringAHandshake(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	a := start(t, Config{}, map[string]function{"$disconnect": ok, "$connect": func(context.Context, []byte) (Result, error) {
		close(entered)
		<-release
		return Result{Payload: []byte(`{"statusCode":200}`)}, nil
	}})
	done := make(chan error, 1)
	go func() {
		<-entered
		go func() {
			done <- a.Close(t.Context())
		}()
		<-a.closing
		close(release)
	}()
	c, response := a.handshake("/local", nil)
	if c == nil {
		t.Fatal(response.Status)
	}
	if code, _ := c.closed(); code != 1001 {
		t.Errorf("closed with %d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(a.called("$disconnect")); n != 1 {
		t.Errorf("$disconnect was invoked %d times", n)
	}
}

// The client's close frame may come in pieces. A socket closed with a part of it unread resets the connection, which can cost the
// client the gateway's close frame.
func TestRefusedConnectionIsReadToItsEnd(t *testing.T) {
	var sent bytes.Buffer
	for _, f := range []ws.Frame{ws.NewTextFrame([]byte("late")), ws.NewCloseFrame(ws.NewCloseFrameBody(1009, "too large"))} {
		if err := ws.WriteFrame(&sent, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	c := &conn{state: stateClosing}
	if err := c.refuse(iotest.OneByteReader(&sent), 0, ws.StatusMessageTooBig, errors.New("too large")); err != nil {
		t.Error(err)
	}
	if sent.Len() > 0 {
		t.Errorf("%d bytes of what the client sent were not read", sent.Len())
	}
}

func TestInspection(t *testing.T) {
	clock := newClock()
	a := start(t, Config{Now: clock.Now}, map[string]function{"$default": ok})
	if a.Open() != 0 || len(a.Connections()) != 0 {
		t.Errorf("%d connections", a.Open())
	}
	first := a.dial()
	clock.advance(time.Second)
	second := a.dial()
	clock.advance(time.Second)
	first.text("hello")
	a.await(KindInvoke, 1)
	infos := a.Connections()
	if a.Open() != 2 || len(infos) != 2 || infos[0].ID != first.id || infos[1].ID != second.id {
		t.Fatalf("connections %+v", infos)
	}
	if active := infos[0].LastActiveAt.Sub(infos[0].ConnectedAt); active != 2*time.Second {
		t.Errorf("the first was active %s after it connected", active)
	}
	if got, ok := a.Connection(second.id); !ok || got != infos[1] || got.SourceIP != "127.0.0.1" {
		t.Errorf("connection %+v", got)
	}
	_ = first.socket.Close()
	a.await(KindClose, 1)
	if _, ok := a.Connection(first.id); ok || a.Open() != 1 || a.Peak() != 2 {
		t.Error("a closed connection is still there")
	}
}

func TestNewConnectionID(t *testing.T) {
	ids := []string{"AAAAAAAAAAAAAAA=", ""}
	a := start(t, Config{NewConnectionID: func() string {
		id := ids[0]
		ids = ids[1:]
		return id
	}}, nil)
	first, second := a.dial(), a.dial()
	if first.id != "AAAAAAAAAAAAAAA=" || !validID(first.id) || !validID(second.id) {
		t.Errorf("ids %q and %q", first.id, second.id)
	}
	if got := a.post(first.id, "hello"); got != http.StatusOK {
		t.Errorf("post: %d", got)
	}
}
