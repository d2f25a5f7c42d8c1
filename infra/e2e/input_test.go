package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// What a client may send by mistake, and what it is told. %s is the id, where there can be one.
func badInput(conversation string) []struct{ name, message, code string } {
	deep := strings.Repeat("[", 2000) + strings.Repeat("]", 2000)
	return []struct{ name, message, code string }{
		{"cut off", `{"event":"conversations:join"`, "bad_request"},
		{"two values", `{"event":"presence:heartbeat"} {}`, "bad_request"},
		{"unquoted", `{event:"presence:heartbeat"}`, "bad_request"},
		{"nothing but a space", ` `, "bad_request"},
		{"number", `7`, "bad_request"},
		{"string", `"presence:heartbeat"`, "bad_request"},
		{"null", `null`, "bad_request"},
		{"true", `true`, "bad_request"},
		{"array", `["presence:heartbeat"]`, "bad_request"},
		{"array of arrays", `[[]]`, "bad_request"},
		{"deep", deep, "bad_request"},
		{"Engine.IO probe", `2probe`, "bad_request"},
		{"Engine.IO pong", `3`, "bad_request"},
		{"Socket.IO CONNECT", `40/ws/app,{"token":"x"}`, "bad_request"},
		{"Socket.IO event", `42/ws/app,["conversations:join",{"conversationId":"c1"}]`, "bad_request"},
		{"an id that is an object", `{"event":"presence:heartbeat","id":{}}`, "bad_request"},
		{"an id that is true", `{"event":"presence:heartbeat","id":true}`, "bad_request"},

		{"no event", `{%s"data":{}}`, "bad_request"},
		{"event null", `{%s"event":null}`, "bad_request"},
		{"event that is a number", `{%s"event":7}`, "bad_request"},
		{"event that is an object", `{%s"event":{"name":"presence:heartbeat"}}`, "bad_request"},
		{"empty event", `{%s"event":""}`, "unknown_event"},
		{"unknown event", `{%s"event":"conversations:read","data":{}}`, "unknown_event"},
		{"another case", `{%s"event":"Presence:heartbeat"}`, "unknown_event"},
		{"server event", `{%s"event":"messages:new","data":{}}`, "unknown_event"},
		{"server event error", `{%s"event":"error","data":{}}`, "unknown_event"},
		{"ack", `{%s"event":"ack","data":{"success":true}}`, "unknown_event"},
		{"$connect", `{%s"event":"$connect"}`, "unknown_event"},
		{"$disconnect", `{%s"event":"$disconnect"}`, "unknown_event"},
		{"$default", `{%s"event":"$default"}`, "unknown_event"},
		{"lone surrogate as event", `{%s"event":"\ud800"}`, "unknown_event"},

		{"data missing", `{%s"event":"conversations:join"}`, "bad_request"},
		{"data null", `{%s"event":"conversations:join","data":null}`, "bad_request"},
		{"data string", `{%s"event":"conversations:join","data":"` + conversation + `"}`, "bad_request"},
		{"data array", `{%s"event":"conversations:leave","data":["` + conversation + `"]}`, "bad_request"},
		{"data deep", `{%s"event":"conversations:join","data":{"conversationId":` + deep + `}}`, "bad_request"},
		{"conversationId missing", `{%s"event":"conversations:join","data":{}}`, "bad_request"},
		{"conversationId missing, leave", `{%s"event":"conversations:leave","data":{"id":"` + conversation + `"}}`, "bad_request"},
		{"conversationId null", `{%s"event":"conversations:join","data":{"conversationId":null}}`, "bad_request"},
		{"conversationId number", `{%s"event":"conversations:join","data":{"conversationId":1}}`, "bad_request"},
		{"conversationId empty", `{%s"event":"conversations:join","data":{"conversationId":""}}`, "bad_request"},
		{"conversationId with a #", `{%s"event":"conversations:join","data":{"conversationId":"c#1"}}`, "bad_request"},
		{"conversationId with a NUL", `{%s"event":"conversations:leave","data":{"conversationId":"c\u0000"}}`, "bad_request"},
		{"conversationId of 129 characters", `{%s"event":"conversations:join","data":{"conversationId":"` + strings.Repeat("c", 129) + `"}}`, "bad_request"},
		{"not a participant", `{%s"event":"conversations:join","data":{"conversationId":"` + conversation + `"}}`, "forbidden"},
	}
}

// Without an id a mistake is told by one error event, with one by the ack and nothing else; the connection stays.
func TestBadInput(t *testing.T) {
	s := suite(t)
	c := s.connect(t, unique("alice-"))
	for _, tt := range badInput(unique("c-")) {
		t.Run(tt.name, func(t *testing.T) {
			c.send(strings.Replace(tt.message, "%s", "", 1))
			if got := c.awaitError(); got != "socket_error:"+tt.code {
				t.Errorf("error %s, want %s", got, tt.code)
			}
			if strings.Contains(tt.message, "%s") {
				c.send(strings.Replace(tt.message, "%s", `"id":"x",`, 1))
				if got := c.awaitAck(`"x"`); got.Success || got.Code != "socket_error:"+tt.code {
					t.Errorf("ack %+v, want %s", got, tt.code)
				}
			}
		})
	}
	c.none("more than one answer", func(f frame) bool { return f.event == "error" || f.event == "ack" })
	c.succeed("presence:heartbeat", "")
}

// A message above SOCKET_MAX_PAYLOAD_BYTES is not looked at: error, then the close. One byte less is any other message.
func TestPayloadLimit(t *testing.T) {
	s := suite(t)
	for _, tt := range []struct{ name, begin, end string }{
		{"join", `{"event":"conversations:join","id":1,"data":{"conversationId":"`, `"}}`},
		{"leave", `{"event":"conversations:leave","id":1,"data":{"conversationId":"`, `"}}`},
		{"heartbeat", `{"event":"presence:heartbeat","id":1,"data":"`, `"}`},
		{"unknown event", `{"event":"`, `","id":1}`},
		{"not JSON", ``, ``},
		{"characters of two bytes", `{"event":"presence:heartbeat","id":1,"data":"ééé`, `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.connect(t, unique("alice-"))
			filled := tt.begin + strings.Repeat("x", 5120-len(tt.begin)-len(tt.end)) + tt.end
			c.send(filled)
			if f := c.await("an answer", func(f frame) bool { return f.event == "ack" || f.event == "error" }); strings.Contains(f.raw, "payload_too_large") {
				t.Errorf("5120 bytes: %v", f)
			}
			c.send(strings.Replace(filled, "x", "xx", 1))
			c.awaitRefusal("socket_error:payload_too_large")
		})
	}
}

// What API Gateway itself does not take closes the connection with its code; no function sees it.
func TestFramesThatCloseTheConnection(t *testing.T) {
	s := suite(t)
	alice, bob := unique("alice-"), unique("bob-")
	observer := s.connect(t, bob)
	text := func(frames ...string) func(context.Context, *websocket.Conn) error {
		return func(ctx context.Context, conn *websocket.Conn) error {
			if len(frames) == 1 {
				return conn.Write(ctx, websocket.MessageText, []byte(frames[0]))
			}
			message, err := conn.Writer(ctx, websocket.MessageText)
			if err != nil {
				return err
			}
			for _, frame := range frames {
				if _, err := message.Write([]byte(frame)); err != nil {
					return err
				}
			}
			return message.Close()
		}
	}
	kilobytes := func(n int) string { return strings.Repeat("x", n<<10) }
	tests := []struct {
		name string
		send func(context.Context, *websocket.Conn) error
		code websocket.StatusCode
	}{
		{"a frame of 33 KB", text(kilobytes(33)), websocket.StatusMessageTooBig},
		{"a frame of 32 KB and a byte", text(kilobytes(32) + "x"), websocket.StatusMessageTooBig},
		{"a message of 129 KB", text(kilobytes(32), kilobytes(32), kilobytes(32), kilobytes(32), kilobytes(1)), websocket.StatusMessageTooBig},
		{"a binary frame", func(ctx context.Context, conn *websocket.Conn) error {
			return conn.Write(ctx, websocket.MessageBinary, []byte(`{"event":"presence:heartbeat"}`))
		}, websocket.StatusUnsupportedData},
		{"invalid UTF-8", text("{\"event\":\"presence:heartbeat\",\"data\":\"\xff\"}"), websocket.StatusInvalidFramePayloadData},
		{"a surrogate as UTF-8", text("\xed\xa0\x80"), websocket.StatusInvalidFramePayloadData},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code == websocket.StatusInvalidFramePayloadData {
				s.onThisMachine(t) // AWS documents nothing; RFC 6455, section 8.1, wants the close
			}
			c := s.connect(t, alice)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := tt.send(ctx, c.conn); err != nil {
				t.Logf("not all was sent: %v", err) // the server may close before
			}
			if got := c.awaitClose(); got.Code != tt.code {
				t.Errorf("closed with %v, want %d", got, tt.code)
			}
			observer.presence("the connection was closed", alice, offline)
		})
	}
	t.Run("128 KB in frames of 32 KB", func(t *testing.T) {
		c := s.connect(t, alice) // API Gateway takes it, and the service does not
		if err := text(kilobytes(32), kilobytes(32), kilobytes(32), kilobytes(32))(t.Context(), c.conn); err != nil {
			t.Fatal(err)
		}
		c.awaitRefusal("socket_error:payload_too_large")
	})
}
