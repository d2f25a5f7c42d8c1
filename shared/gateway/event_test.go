package gateway

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// Events as API Gateway writes them, cut to what matters here.
const (
	connectEvent = `{"headers":{"Host":"abcd.execute-api.us-east-1.amazonaws.com","User-Agent":"ws/8"},
		"requestContext":{"routeKey":"$connect","authorizer":{"principalId":"alice","integrationLatency":111,"userId":"alice","expiresAt":"1701248641","protocol":"json"},
		"eventType":"CONNECT","connectedAt":1701245041796,"requestTimeEpoch":1701245041798,
		"identity":{"userAgent":"ws/8","sourceIp":"192.0.2.1"},"connectionId":"PJqB0fHsqRcCHlw=","apiId":"abcd"},"isBase64Encoded":false}`
	messageEvent = `{"requestContext":{"routeKey":"conversations:join","authorizer":{"principalId":"alice","userId":"alice","protocol":"json"},
		"messageId":"PJqCFfHyKRcCHlw=","eventType":"MESSAGE","connectedAt":1701245041796,"requestTimeEpoch":1701245042000,
		"identity":{"sourceIp":"192.0.2.1"},"connectionId":"PJqB0fHsqRcCHlw=","apiId":"abcd"},
		"body":"{\"event\":\"conversations:join\",\"data\":{\"conversationId\":\"c1\"}}","isBase64Encoded":false}`
	disconnectEvent = `{"headers":{"Host":"abcd","x-api-key":"","X-Forwarded-For":"","x-restapi":""},
		"requestContext":{"routeKey":"$disconnect","disconnectStatusCode":1005,"authorizer":{"principalId":"refused","protocol":"json","code":"socket_error:unauthorized"},
		"eventType":"DISCONNECT","disconnectReason":"Client-side close frame status not set","connectedAt":1701245041796,"requestTimeEpoch":1701245050000,
		"identity":{"sourceIp":"192.0.2.1"},"connectionId":"PJqB0fHsqRcCHlw=","apiId":"abcd"},"isBase64Encoded":false}`
)

func event(t *testing.T, text string, changes ...string) Event {
	t.Helper()
	var e Event
	if err := json.Unmarshal([]byte(strings.NewReplacer(changes...).Replace(text)), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEvents(t *testing.T) {
	connected, err := Connected(event(t, connectEvent))
	if err != nil {
		t.Fatal(err)
	}
	alice := realtime.Identity{UserID: "alice", Protocol: wire.JSON}
	expiring := alice
	expiring.ExpiresAt = time.Unix(1701248641, 0)
	if diff := cmp.Diff(realtime.Connected{
		ConnectionID: "PJqB0fHsqRcCHlw=", Identity: expiring, ConnectedAt: time.UnixMilli(1701245041796), At: time.UnixMilli(1701245041798),
		UserAgent: "ws/8", IP: "192.0.2.1",
	}, connected); diff != "" {
		t.Errorf("connected: -want +got:\n%s", diff)
	}

	message, err := Message(event(t, messageEvent))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(realtime.Message{
		ConnectionID: "PJqB0fHsqRcCHlw=", Identity: alice, ConnectedAt: time.UnixMilli(1701245041796), At: time.UnixMilli(1701245042000),
		IP:   "192.0.2.1",
		Body: []byte(`{"event":"conversations:join","data":{"conversationId":"c1"}}`),
	}, message); diff != "" {
		t.Errorf("message: -want +got:\n%s", diff)
	}

	disconnected, err := Disconnected(event(t, disconnectEvent))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(realtime.Disconnected{
		ConnectionID: "PJqB0fHsqRcCHlw=", Identity: realtime.Identity{Protocol: wire.JSON, Refused: contract.Unauthorized},
		ConnectedAt: time.UnixMilli(1701245041796), At: time.UnixMilli(1701245050000),
	}, disconnected); diff != "" {
		t.Errorf("disconnected: -want +got:\n%s", diff)
	}
}

func TestMessageInBase64(t *testing.T) {
	e := event(t, messageEvent)
	e.Body, e.IsBase64Encoded = "AP8=", true
	m, err := Message(e)
	if err != nil || string(m.Body) != "\x00\xff" {
		t.Errorf("got %q, %v", m.Body, err)
	}
	e.Body = "*"
	if _, err := Message(e); err == nil || err.Error() != "MESSAGE event: body is not base64" {
		t.Errorf("got %v", err)
	}
}

func TestUserAgentIsCut(t *testing.T) {
	for agent, want := range map[string]string{
		"":                             "",
		strings.Repeat("x", 128):       strings.Repeat("x", 128),
		strings.Repeat("x", 129):       strings.Repeat("x", 128),
		strings.Repeat("x", 127) + "é": strings.Repeat("x", 127),
		strings.Repeat("x", 126) + "é": strings.Repeat("x", 126) + "é",
	} {
		e := event(t, connectEvent)
		e.RequestContext.Identity.UserAgent = agent
		c, err := Connected(e)
		if err != nil || c.UserAgent != want {
			t.Errorf("%d bytes: got %q, %v", len(agent), c.UserAgent, err)
		}
	}
}

// Each function takes its own kind of event and no other: a client can send a message whose event is "$connect".
func TestWrongType(t *testing.T) {
	read := map[string]func(Event) error{
		"CONNECT":    func(e Event) error { _, err := Connected(e); return err },
		"MESSAGE":    func(e Event) error { _, err := Message(e); return err },
		"DISCONNECT": func(e Event) error { _, err := Disconnected(e); return err },
	}
	for want, f := range read {
		for _, got := range []string{"CONNECT", "MESSAGE", "DISCONNECT", ""} {
			e := event(t, connectEvent)
			e.RequestContext.EventType = got
			_, wrong := errors.AsType[*WrongType](f(e))
			if wrong != (got != want) {
				t.Errorf("%q read as %s: wrong type %t", got, want, wrong)
			}
		}
	}
}

func TestEventsWithoutIdentity(t *testing.T) {
	tests := []struct {
		name    string
		changes []string
		want    string
	}{
		{"no connection id", []string{`"connectionId":"PJqB0fHsqRcCHlw=",`, ``}, "CONNECT event: no requestContext.connectionId"},
		{"no authorizer", []string{`"authorizer"`, `"other"`}, "CONNECT event: requestContext.authorizer: missing: the $connect route needs the authorizer"},
		{"another authorizer", []string{`"protocol":"json"`, `"x":1`}, `CONNECT event: requestContext.authorizer: protocol: "" is not a protocol`},
		{"unknown protocol", []string{`"protocol":"json"`, `"protocol":"mqtt"`}, `CONNECT event: requestContext.authorizer: protocol: "mqtt" is not a protocol`},
		{"no user", []string{`"userId":"alice"`, `"x":1`}, `CONNECT event: requestContext.authorizer: userId: "" is not a user id`},
		{"bad user", []string{`"userId":"alice"`, `"userId":"a#b"`}, `CONNECT event: requestContext.authorizer: userId: "a#b" is not a user id`},
		{"bad expiry", []string{`"1701248641"`, `"soon"`}, `CONNECT event: requestContext.authorizer: expiresAt: "soon" is not a number of seconds`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Connected(event(t, connectEvent, test.changes...))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// What the authorizer writes comes back as it was, through JSON.
func TestAllowRoundTrip(t *testing.T) {
	ids := map[string]realtime.Identity{
		"a user":         {UserID: "auth0|x", ExpiresAt: time.Unix(1701248641, 0), Protocol: wire.JSON},
		"without expiry": {UserID: "alice", Protocol: wire.JSON},
		"refused":        {Protocol: wire.JSON, Refused: contract.TokenExpired},
	}
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(Allow(AuthorizerEvent{MethodARN: "arn:aws:execute-api:us-east-1:1:abcd/live/$connect"}, id).Context)
			if err != nil {
				t.Fatal(err)
			}
			var context map[string]any
			if err := json.Unmarshal(raw, &context); err != nil {
				t.Fatal(err)
			}
			for name, value := range context {
				if _, ok := value.(string); !ok {
					t.Errorf("%s is no string: API Gateway may change it", name)
				}
			}
			got, err := identity(context)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(id, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAllow(t *testing.T) {
	var e AuthorizerEvent
	if err := json.Unmarshal([]byte(`{"type":"REQUEST","methodArn":"arn:aws:execute-api:us-east-1:1:abcd/live/$connect","requestContext":{"connectionId":"c="}}`), &e); err != nil {
		t.Fatal(err)
	}
	if e.RequestContext.ConnectionID != "c=" {
		t.Errorf("connection id %q", e.RequestContext.ConnectionID)
	}
	got, err := json.Marshal(Allow(e, realtime.Identity{UserID: "alice", ExpiresAt: time.Unix(1701248641, 0), Protocol: wire.JSON}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"principalId":"alice","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":["execute-api:Invoke"],"Effect":"Allow","Resource":["arn:aws:execute-api:us-east-1:1:abcd/live/$connect"]}]},"context":{"expiresAt":"1701248641","protocol":"json","userId":"alice"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestResponse(t *testing.T) {
	for want, response := range map[string]Response{
		`{"statusCode":200}`: {StatusCode: 200},
		`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"bearer"}}`: {StatusCode: 200, Headers: map[string]string{"Sec-WebSocket-Protocol": "bearer"}},
	} {
		got, err := json.Marshal(response)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
