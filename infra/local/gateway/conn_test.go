package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
)

func TestLimits(t *testing.T) {
	t.Run("row 20: frames of 32 KB, messages of 128 KB", func(t *testing.T) {
		for name, tt := range map[string]struct {
			frames []int
			code   int // 0 = the message is routed
		}{
			"one byte less":            {[]int{maxFrame - 1}, 0},
			"a frame of 32 KB":         {[]int{maxFrame}, 0},
			"one byte more":            {[]int{maxFrame + 1}, 1009},
			"64 KB":                    {[]int{64 << 10}, 1009},
			"128 KB in four":           {[]int{maxFrame, maxFrame, maxFrame, maxFrame}, 0},
			"and an empty one":         {[]int{maxFrame, maxFrame, maxFrame, maxFrame, 0}, 0},
			"and one byte":             {[]int{maxFrame, maxFrame, maxFrame, maxFrame, 1}, 1009},
			"a large continuation":     {[]int{1, maxFrame + 1}, 1009},
			"small ones to one above ": {[]int{maxFrame, maxFrame, maxFrame, maxFrame - 1, 2}, 1009},
		} {
			t.Run(name, func(t *testing.T) {
				a := start(t, Config{}, map[string]function{"$default": ok, "$disconnect": ok})
				c := a.dial()
				size := 0
				for i, n := range tt.frames {
					op := ws.OpContinuation
					if i == 0 {
						op = ws.OpText
					}
					c.frame(op, i == len(tt.frames)-1, strings.Repeat("x", n))
					size += n
				}
				if tt.code == 0 {
					if e := a.await(KindMessage, 1); e.Bytes != size {
						t.Errorf("a message of %d bytes was routed, want %d", e.Bytes, size)
					}
					return
				}
				if code, _ := c.closed(); code != tt.code {
					t.Errorf("closed with %d, want %d", code, tt.code)
				}
				if e := a.await(KindClose, 1); e.Code != tt.code || e.Cause != CauseInput || e.Err == nil {
					t.Errorf("event %+v", e)
				}
				a.close()
				if n := len(a.called("$default")); n != 0 {
					t.Errorf("%d messages were routed", n)
				}
				if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != tt.code {
					t.Errorf("$disconnect: %+v", ctx)
				}
			})
		}
	})

	t.Run("row 21: binary frames", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"$default": ok, "$disconnect": ok})
		for n, fin := range []bool{true, false} {
			c := a.dial()
			c.frame(ws.OpBinary, fin, "{}")
			if code, _ := c.closed(); code != 1003 {
				t.Errorf("closed with %d, want 1003", code)
			}
			a.await(KindInvoke, n+1)
			if ctx := a.event("$disconnect", n+1).RequestContext; ctx.DisconnectStatusCode != 1003 {
				t.Errorf("$disconnect: %+v", ctx)
			}
		}
		if n := len(a.called("$default")); n != 0 {
			t.Errorf("%d messages were routed", n)
		}
	})
}

func TestProtocolErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		frames []ws.Frame
		code   int
	}{
		"invalid UTF-8":               {[]ws.Frame{ws.NewTextFrame([]byte("\xff"))}, 1007},
		"UTF-8 cut short":             {[]ws.Frame{ws.NewTextFrame([]byte("€")[:2])}, 1007},
		"a reserved opcode":           {[]ws.Frame{ws.NewFrame(0x3, true, nil)}, 1002},
		"a continuation of nothing":   {[]ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, 1002},
		"text in a fragmented one":    {[]ws.Frame{ws.NewFrame(ws.OpText, false, nil), ws.NewTextFrame(nil)}, 1002},
		"a fragmented ping":           {[]ws.Frame{ws.NewFrame(ws.OpPing, false, nil)}, 1002},
		"a ping of 126 bytes":         {[]ws.Frame{ws.NewPingFrame(make([]byte, 126))}, 1002},
		"compressed":                  {[]ws.Frame{{Header: ws.Header{Fin: true, Rsv: 4, OpCode: ws.OpText}}}, 1002},
		"a close frame of one byte":   {[]ws.Frame{ws.NewCloseFrame([]byte{3})}, 1002},
		"a close code of no endpoint": {[]ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1005, ""))}, 1002},
		"a close reason not in UTF-8": {[]ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "\xff"))}, 1002},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, Config{}, map[string]function{"$default": ok})
			c := a.dial()
			for _, f := range tt.frames {
				if err := ws.WriteFrame(c.socket, ws.MaskFrame(f)); err != nil {
					t.Fatal(err)
				}
			}
			code, _ := c.closing()
			if tt.frames[0].Header.OpCode != ws.OpClose {
				c.frame(ws.OpClose, true, "")
			}
			c.gone()
			if code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
			if n := a.count(KindMessage); n != 0 {
				t.Errorf("%d messages were routed", n)
			}
		})
	}
	t.Run("not masked", func(t *testing.T) {
		c := start(t, Config{}, nil).dial()
		if err := ws.WriteFrame(c.socket, ws.NewTextFrame([]byte("hello"))); err != nil {
			t.Fatal(err)
		}
		if code, _ := c.closed(); code != 1002 {
			t.Errorf("closed with %d, want 1002", code)
		}
	})
	t.Run("a length of 64 bits", func(t *testing.T) {
		c := start(t, Config{}, nil).dial()
		if _, err := c.socket.Write([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if code, _ := c.closed(); code != 1002 {
			t.Errorf("closed with %d, want 1002", code)
		}
	})
}

// The timers look at the clock whenever the shorter of them has passed in real time, so a clock that stands still keeps every
// connection open, and they act on its time alone.
func TestTimers(t *testing.T) {
	const idle, life = 20 * time.Millisecond, 70 * time.Millisecond
	timers := Timers{Idle: idle, Life: life}

	t.Run("row 22: idle, which messages either way put off, and control frames do not", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{Timers: timers, Now: clock.Now}, map[string]function{"$default": ok, "$disconnect": ok})
		c := a.dial()
		began := clock.Now()

		clock.advance(idle - time.Millisecond)
		clock.awaitReads(3)
		c.text("a message")
		a.await(KindInvoke, 1)
		clock.advance(idle - time.Millisecond)
		clock.awaitReads(3)
		if status := a.post(c.id, "a post"); status != http.StatusOK || c.message() != "a post" {
			t.Fatalf("post: %d", status)
		}
		clock.advance(idle - time.Millisecond)
		clock.awaitReads(3)
		c.alive() // a ping, and a pong
		c.frame(ws.OpPong, true, "")
		clock.advance(time.Millisecond)

		if code, reason := c.closed(); code != 1001 || reason != "Going away" {
			t.Errorf("closed with %d %q", code, reason)
		}
		e := a.await(KindClose, 1)
		if e.Cause != CauseIdle || e.Time.Sub(began) != 3*idle-2*time.Millisecond {
			t.Errorf("closed after %s because of %s", e.Time.Sub(began), e.Cause)
		}
		a.close()
		if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != 1001 || *ctx.DisconnectReason != "Going away" {
			t.Errorf("$disconnect: %+v", ctx)
		}
	})

	t.Run("row 23: life, which nothing puts off", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{Timers: timers, Now: clock.Now}, map[string]function{"$default": ok, "$disconnect": ok})
		c := a.dial()
		began := clock.Now()
		for i := range int(life / (10 * time.Millisecond)) {
			clock.awaitReads(3)
			c.text("busy")
			a.await(KindInvoke, i+1)
			clock.advance(10 * time.Millisecond)
		}
		if code, reason := c.closed(); code != 1001 || reason != "Going away" {
			t.Errorf("closed with %d %q", code, reason)
		}
		if e := a.await(KindClose, 1); e.Cause != CauseLife || e.Time.Sub(began) != life {
			t.Errorf("closed after %s because of %s", e.Time.Sub(began), e.Cause)
		}
		a.close()
		if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != 1001 || *ctx.DisconnectReason != "Going away" {
			t.Errorf("$disconnect: %+v", ctx)
		}
	})

	t.Run("row 24: pings are answered, never sent and never routed", func(t *testing.T) {
		a := start(t, Config{Timers: Timers{Idle: idle, Life: time.Hour}, Now: newClock().Now}, map[string]function{"$default": ok})
		c := a.dial()
		for _, payload := range []string{"", "x", strings.Repeat("y", 125)} {
			c.frame(ws.OpPing, true, payload)
			if f := c.read(); f.Header.OpCode != ws.OpPong || string(f.Payload) != payload || f.Header.Masked {
				t.Errorf("frame %+v %q, want the pong of %q", f.Header, f.Payload, payload)
			}
		}
		c.frame(ws.OpPong, true, "unsolicited")
		_ = c.socket.SetReadDeadline(time.Now().Add(2 * idle)) // the gateway has looked at its timers meanwhile
		if _, err := c.reader.ReadByte(); !isTimeout(err) {
			t.Errorf("the gateway sent something by itself: %v", err)
		}
		if n := a.count(KindMessage); n != 0 {
			t.Errorf("%d messages were routed", n)
		}
	})
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestClose(t *testing.T) {
	body := func(code ws.StatusCode, reason string) string { return string(ws.NewCloseFrameBody(code, reason)) }
	t.Run("row 25: $disconnect follows the close", func(t *testing.T) {
		for name, tt := range map[string]struct {
			end    func(*client)
			code   int
			reason string
			cause  string
		}{
			"no code":         {func(c *client) { c.frame(ws.OpClose, true, "") }, 1005, "Client-side close frame status not set", CauseClient},
			"1000":            {func(c *client) { c.frame(ws.OpClose, true, body(1000, "")) }, 1000, "", CauseClient},
			"a closed tab":    {func(c *client) { c.frame(ws.OpClose, true, body(1001, "")) }, 1001, "", CauseClient},
			"code and reason": {func(c *client) { c.frame(ws.OpClose, true, body(4001, "bye €")) }, 4001, "bye €", CauseClient},
			"a broken link":   {func(c *client) { _ = c.socket.Close() }, 1006, "", CauseDrop},
			"in a frame": {func(c *client) {
				_, _ = c.socket.Write([]byte{0x81, 0x85})
				_ = c.socket.Close()
			}, 1006, "", CauseDrop},
		} {
			t.Run(name, func(t *testing.T) {
				var a *api
				a = start(t, Config{}, map[string]function{"$connect": ok, "$disconnect": func(context.Context, []byte) (Result, error) {
					id := a.event("$disconnect", 1).RequestContext.ConnectionID
					if status := a.post(id, "too late"); status != http.StatusGone {
						t.Errorf("post during $disconnect: %d", status)
					}
					return Result{FunctionError: "Unhandled"}, nil // ignored
				}})
				c := a.dial()
				tt.end(c)
				if tt.cause == CauseClient {
					if code, reason := c.closing(); tt.code == 1005 && code != 0 || tt.code != 1005 && (code != tt.code || reason != tt.reason) {
						t.Errorf("the close was answered with %d %q", code, reason)
					}
					c.gone()
				}
				if e := a.await(KindClose, 1); e.Code != tt.code || e.Reason != tt.reason || e.Cause != tt.cause || e.ConnectionID != c.id {
					t.Errorf("event %+v", e)
				}
				a.await(KindInvoke, 2) // after $connect
				ctx := a.event("$disconnect", 1).RequestContext
				if ctx.DisconnectStatusCode != tt.code || *ctx.DisconnectReason != tt.reason || ctx.ConnectionID != c.id {
					t.Errorf("$disconnect: %+v", ctx)
				}
				a.close()
				if n := len(a.called("$disconnect")); n != 1 {
					t.Errorf("$disconnect was invoked %d times", n)
				}
			})
		}
	})

	t.Run("row 25: $disconnect can be lost", func(t *testing.T) {
		var lost string
		a := start(t, Config{LoseDisconnect: func(id string) bool { return id == lost }}, map[string]function{"$connect": ok, "$disconnect": ok})
		first, second := a.dial(), a.dial()
		lost = first.id
		for _, c := range []*client{first, second} {
			c.frame(ws.OpClose, true, "")
		}
		a.await(KindClose, 2)
		if e := a.await(KindLostDisconnect, 1); e.ConnectionID != first.id || e.Function != "$disconnect" {
			t.Errorf("event %+v", e)
		}
		a.close()
		if n, ctx := len(a.called("$disconnect")), a.event("$disconnect", 1).RequestContext; n != 1 || ctx.ConnectionID != second.id {
			t.Errorf("$disconnect was invoked %d times, for %s", n, ctx.ConnectionID)
		}
	})

	t.Run("row 26: DELETE", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"$connect": ok, "$disconnect": ok})
		c := a.dial()
		if a.post(c.id, "the last words") != http.StatusOK {
			t.Fatal("post failed")
		}
		response, answer := a.manage(http.MethodDelete, "/local/@connections/"+c.id, nil)
		if response.StatusCode != http.StatusNoContent || answer != "" || response.Header.Get("x-amzn-RequestId") == "" {
			t.Errorf("%s %q %v", response.Status, answer, response.Header)
		}
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			if again, _ := a.manage(method, "/local/@connections/"+c.id, nil); again.StatusCode != http.StatusGone {
				t.Errorf("%s after DELETE: %s", method, again.Status)
			}
		}
		if m := c.message(); m != "the last words" {
			t.Errorf("message %q", m)
		}
		if code, reason := c.closed(); code != 1000 || reason != "Connection Closed Normally" {
			t.Errorf("closed with %d %q", code, reason)
		}
		if e := a.await(KindClose, 1); e.Cause != CauseDelete {
			t.Errorf("event %+v", e)
		}
		a.close()
		if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != 1000 || *ctx.DisconnectReason != "Connection Closed Normally" {
			t.Errorf("$disconnect: %+v", ctx)
		}
	})
}

// A client that never answers a close frame is cut off after Timers.Close, and what it sends meanwhile is not routed.
func TestCloseUnanswered(t *testing.T) {
	a := start(t, Config{Timers: Timers{Close: 100 * time.Millisecond}}, map[string]function{"$default": ok, "$disconnect": ok})
	c := a.dial()
	if response, _ := a.manage(http.MethodDelete, "/local/@connections/"+c.id, nil); response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
	if f := c.read(); f.Header.OpCode != ws.OpClose {
		t.Fatalf("frame %+v", f.Header)
	}
	c.text("after the close")
	if _, err := io.ReadAll(c.reader); isTimeout(err) {
		t.Error("the socket was not closed")
	}
	a.close()
	if n := a.count(KindMessage); n != 0 {
		t.Errorf("%d messages were routed", n)
	}
	if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != 1000 {
		t.Errorf("$disconnect: %+v", ctx)
	}
}

// An independent client: fragments, pings and both closing handshakes as its library sees them.
func TestWithAnotherClient(t *testing.T) {
	a := start(t, Config{}, map[string]function{
		"$connect": returns(`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"json"}}`), "$default": ok, "$disconnect": ok,
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(a.url, "http")+"/local", &websocket.DialOptions{Subprotocols: []string{"json"}})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(maxMessage)
		return c
	}
	c := dial()
	if c.Subprotocol() != "json" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	id := a.await(KindConnect, 1).ConnectionID
	large := strings.Repeat("€", maxMessage/3)
	if status := a.post(id, large); status != http.StatusOK {
		t.Fatalf("post: %d", status)
	}
	if _, message, err := c.Read(ctx); err != nil || string(message) != large {
		t.Fatalf("read %d bytes: %v", len(message), err)
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	a.await(KindMessage, 1)
	ended := c.CloseRead(ctx)
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if response, _ := a.manage(http.MethodDelete, "/local/@connections/"+id, nil); response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
	<-ended.Done()
	a.await(KindClose, 1)

	c = dial()
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Error(err)
	}
	if e := a.await(KindClose, 2); e.Code != 1000 || e.Reason != "done" || e.Cause != CauseClient {
		t.Errorf("event %+v", e)
	}
}
