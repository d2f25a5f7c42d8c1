package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// No token and no payload reaches a log, whatever goes wrong. (The name of an event or an operation that a backend invents does, with the error.)
func TestLogsAreDiscreet(t *testing.T) {
	s := own(t, settings(map[string]string{"LOG_LEVEL": "debug"}))
	const secret = "do-not-tell"
	token := s.token("alice")
	c, err := s.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	c.user = "alice"
	c.await("notifications:ready", is("notifications:ready"))
	refused, err := s.dial(t, token+secret)
	if err != nil {
		t.Fatal(err)
	}
	refused.awaitRefusal("socket_error:unauthorized")
	for _, offer := range []struct {
		query        string
		subprotocols []string
	}{{"?token=" + token + secret, nil}, {"", []string{"bearer", token + secret}}} {
		refused, err := dial(t, s.url+offer.query, http.Header{}, offer.subprotocols...)
		if err != nil {
			t.Fatal(err)
		}
		refused.awaitRefusal("socket_error:unauthorized")
	}
	indiscreet(t, s.url, token, secret)
	for _, message := range []string{
		`{"event":"conversations:join","data":{"conversationId":"` + secret + `#"}}`, `{"event":"` + secret + `"}`, `{"` + secret, `"` + secret + `"`,
	} {
		c.send(message)
		c.awaitError()
	}
	s.delivers(t, 1, "notifications:new", notice(secret), to("alice"))
	c.exactly("notifications:new", notice(secret))
	for _, request := range []string{
		request("notifications:new", `{"eventKey":7,"notification":"`+secret+`"}`, to("alice")), request("error", `"`+secret+`"`, to("alice")),
		`{"job":{"refuse":"` + secret + `"}}`,
	} {
		if _, err := s.send(request); err == nil {
			t.Errorf("%s was not refused", request)
		}
	}
	for _, request := range []string{
		`{"op":"participants.set","conversationId":"c1","users":["` + secret + `#"]}`, `{"op":"presence.read","users":"` + secret + `"}`,
		`{"op":"sockets.disconnect","users":["` + secret + `#"],"reason":"` + secret + `"}`, `"` + secret + `"`,
	} {
		if _, err := s.invoke(s.controller, request); err == nil {
			t.Errorf("%s was not refused", request)
		}
	}
	if _, err := s.invoke(s.controller, `{"op":"sockets.disconnect","users":["alice"],"reason":"`+secret+`","message":"`+secret+`","denySeconds":1}`); err != nil {
		t.Error(err)
	}
	if closed := c.awaitClose(); closed != closedByServer {
		t.Errorf("closed with %v", closed)
	}
	eventually(t, "disconnect has run", func() bool { return s.local.meter.invoked()["disconnect"] == 5 })
	said := s.local.since(0)
	if !strings.Contains(said, `"function":"disconnect"`) || !strings.Contains(said, `"function":"publish"`) {
		t.Fatal("the functions' logs are not here")
	}
	for _, function := range []string{"authorizer", "default", "control"} {
		if !strings.Contains(said, `"function":"`+function+`"`) {
			t.Errorf("nothing of %s", function)
		}
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, secret) || strings.Contains(line, token[:40]) {
			t.Errorf("in a log: %s", line)
		}
	}
}

// indiscreet is a Socket.IO client with a token that is refused, one that is not, and a packet that ends its connection.
func indiscreet(t *testing.T, url, token, secret string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // the server has closed it
	for _, step := range []struct{ send, awaited string }{
		{"", "0{"},
		{`40/ws/app,{"token":"` + token + secret + `"}`, "44/ws/app,"},
		{`40/ws/app,{"token":"` + token + `"}`, `42/ws/app,["notifications:ready"`},
		{`42/ws/app,1["` + secret + `"]`, "43/ws/app,1"},
		{`42/ws/app,["conversations:join",{"conversationId":"` + secret + `#"}]`, `42/ws/app,["error"`},
		{`42/ws/app,["` + secret, ""},
	} {
		if step.send != "" {
			if err := conn.Write(ctx, websocket.MessageText, []byte(step.send)); err != nil {
				t.Fatal(err)
			}
		}
		for {
			_, message, err := conn.Read(ctx)
			if err != nil && step.awaited == "" {
				return // closed, as it should be
			}
			if err != nil {
				t.Fatalf("%q: %v", step.awaited, err)
			}
			if step.awaited != "" && strings.HasPrefix(string(message), step.awaited) {
				break
			}
		}
	}
}
