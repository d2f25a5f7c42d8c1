package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestMessages(t *testing.T) {
	t.Run("row 13: the route is selected by the expression", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"conversations:join": ok, "3": ok, "true": ok, "$connect": ok, "$disconnect": ok, "$default": ok})
		c := a.dial()
		for i, tt := range []struct{ body, want string }{
			{`{"event":"conversations:join","data":{}}`, "conversations:join"},
			{` {"event" : "conversations:join"} `, "conversations:join"},
			{`{"event":3}`, "3"},
			{`{"event":true}`, "true"},
			{`{"event":"Conversations:join"}`, "$default"},
			{`{"event":"unknown"}`, "$default"},
			{`{"event":""}`, "$default"},
			{`{"event":null}`, "$default"},
			{`{"event":{"a":1}}`, "$default"},
			{`{"event":["3"]}`, "$default"},
			{`{"Event":"3"}`, "$default"},
			{`{"data":{"event":"3"}}`, "$default"},
			{`{}`, "$default"},
			{`[{"event":"3"}]`, "$default"},
			{`3`, "$default"},
			{`"3"`, "$default"},
			{`null`, "$default"},
			{`40/ws/app,`, "$default"},
			{`{"event":"3"`, "$default"},
			{`{"event":"3"} x`, "$default"},
			{`{event:"3"}`, "$default"},
			{``, "$default"},
			{`{"event":"$connect"}`, "$default"},
			{`{"event":"$disconnect"}`, "$default"},
			{`{"event":"$default"}`, "$default"},
		} {
			n := len(a.called(tt.want)) + 1
			c.text(tt.body)
			if got := a.await(KindMessage, i+1); got.RouteKey != tt.want || got.Function != tt.want || got.Bytes != len(tt.body) {
				t.Errorf("%s: %+v, want route %s", tt.body, got, tt.want)
			}
			a.await(KindInvoke, i+2) // after $connect
			if e := a.event(tt.want, n); e.RequestContext.RouteKey != tt.want || e.Body == nil || *e.Body != tt.body || e.IsBase64Encoded {
				t.Errorf("%s: %s got %+v", tt.body, tt.want, e)
			}
		}
		c.alive() // nothing was sent for any of them
	})

	t.Run("row 14: no route and no $default", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"join": ok, "$connect": ok})
		c := a.dial()
		for n, body := range []string{`{"event":"leave"}`, "not JSON", `{"event":"$connect"}`} {
			c.text(body)
			want := fmt.Sprintf(`{"message": "Forbidden", "connectionId":"%s", "requestId":"%s"}`, c.id, a.await(KindMessage, n+1).RequestID)
			if got := c.message(); got != want {
				t.Errorf("frame %s, want %s", got, want)
			}
		}
		c.alive()
	})

	t.Run("row 15: a function that fails", func(t *testing.T) {
		for name, f := range map[string]function{
			"function error": fails("Error", "boom"),
			"refused":        func(context.Context, []byte) (Result, error) { return Result{Status: 429}, nil },
			"unreachable":    func(context.Context, []byte) (Result, error) { return Result{}, errors.New("connection refused") },
		} {
			t.Run(name, func(t *testing.T) {
				a := start(t, Config{}, map[string]function{"$default": f})
				c := a.dial()
				c.text("hello")
				want := fmt.Sprintf(`{"message": "Internal server error", "connectionId":"%s", "requestId":"%s"}`, c.id, a.await(KindMessage, 1).RequestID)
				if got := c.message(); got != want {
					t.Errorf("frame %s, want %s", got, want)
				}
				if a.await(KindInvoke, 1).Err == nil {
					t.Error("the event has no error")
				}
				c.alive()
			})
		}
	})

	t.Run("row 16: a function that is late runs on", func(t *testing.T) {
		release := make(chan struct{})
		a := start(t, Config{Routes: map[string]Route{"$default": {Function: "slow", Timeout: minTimeout, TwoWay: true}}}, map[string]function{
			"slow": func(ctx context.Context, _ []byte) (Result, error) {
				<-release
				return Result{Payload: []byte(`{"statusCode":200,"body":"too late"}`)}, ctx.Err()
			},
		})
		c := a.dial()
		c.text("hello")
		want := fmt.Sprintf(`{"message": "Endpoint request timed out", "connectionId":"%s", "requestId":"%s"}`, c.id, a.await(KindMessage, 1).RequestID)
		if got := c.message(); got != want {
			t.Errorf("frame %s, want %s", got, want)
		}
		if a.count(KindInvoke) != 0 {
			t.Fatal("the function has ended")
		}
		close(release)
		if e := a.await(KindInvoke, 1); e.Err != nil {
			t.Errorf("the function was disturbed: %v", e.Err)
		}
		c.alive()
		a.close()
		if n := a.count(KindReply); n != 1 {
			t.Errorf("%d frames, want only the timeout's", n)
		}
	})

	t.Run("row 17: a one-way route sends nothing", func(t *testing.T) {
		for _, payload := range []string{
			`{"statusCode":200,"body":"ignored"}`, `{"statusCode":401,"body":"ignored"}`, `{"statusCode":501}`, `{}`, `null`, `"text"`,
		} {
			a := start(t, Config{}, map[string]function{"$default": returns(payload)})
			c := a.dial()
			c.text("hello")
			a.await(KindInvoke, 1)
			c.alive()
			a.close()
			if n := a.count(KindReply); n != 0 {
				t.Errorf("%s: %d frames were sent", payload, n)
			}
		}
	})

	t.Run("row 18: a two-way route sends the body", func(t *testing.T) {
		for payload, want := range map[string]string{
			`{"statusCode":200,"body":"{\"a\": \"<é>\"}"}`: `{"a": "<é>"}`,
			`{"statusCode":200,"body":""}`:                 ``,
			`{"statusCode":200}`:                           ``,
			`{"statusCode":400,"body":"no"}`:               `no`,
			`{"body":"no status"}`:                         `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`,
			`null`:                                         `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`,
		} {
			a := start(t, Config{Routes: map[string]Route{"$default": {Function: "f", TwoWay: true}}}, map[string]function{"f": returns(payload)})
			c := a.dial()
			c.text("hello")
			got := strings.NewReplacer(c.id, "C", a.await(KindMessage, 1).RequestID, "R").Replace(c.message())
			if got != want {
				t.Errorf("%s: %q, want %q", payload, got, want)
			}
			c.alive()
		}
	})

	t.Run("row 19: messages of one connection run concurrently", func(t *testing.T) {
		const n = 8
		entered, release := make(chan struct{}), make(chan struct{})
		a := start(t, Config{}, map[string]function{"$default": func(context.Context, []byte) (Result, error) {
			entered <- struct{}{}
			<-release
			return Result{}, nil
		}})
		c := a.dial()
		for range n {
			c.text("hello")
		}
		for range n { // all of them are in flight before one returns
			<-entered
		}
		close(release)
		a.await(KindInvoke, n)
	})

	t.Run("row 19: shuffled messages, and the $disconnect, are held back for a drawn time each", func(t *testing.T) {
		a := start(t, Config{Shuffle: Shuffle{Seed: 1, Jitter: 24 * time.Hour}}, map[string]function{"$default": ok, "$disconnect": ok})
		c := a.dial()
		c.text("one")
		c.text("two")
		c.alive()
		_ = c.socket.Close()
		a.await(KindClose, 1)
		if n := a.count(KindInvoke); n != 0 {
			t.Errorf("%d functions were invoked at once", n)
		}
		a.close() // waits for nobody's jitter, and loses nothing
		if n, m := len(a.called("$default")), len(a.called("$disconnect")); n != 2 || m != 1 {
			t.Errorf("$default was invoked %d times and $disconnect %d times, want 2 and 1", n, m)
		}

		draw := func(seed uint64) (drawn []time.Duration) {
			g, err := New(Config{Stage: "local", Shuffle: Shuffle{Seed: seed, Jitter: time.Second}, Invoke: a.cfg.Invoke})
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				d := g.jitter()
				if d < 0 || d >= time.Second {
					t.Errorf("drew %s", d)
				}
				drawn = append(drawn, d)
			}
			return drawn
		}
		first := draw(1)
		if slices.IsSorted(first) || !slices.Equal(first, draw(1)) || slices.Equal(first, draw(2)) {
			t.Errorf("drew %v, then %v, and with another seed %v", first, draw(1), draw(2))
		}
	})
}

func TestMessagesAreThrottled(t *testing.T) {
	clock := newClock()
	a := start(t, Config{Throttle: Throttle{Rate: 1, Burst: 2}, Now: clock.Now}, map[string]function{"$default": ok})
	c := a.dial()
	c.text("one")
	a.await(KindInvoke, 1)
	if status := a.post(c.id, "two"); status != http.StatusOK || c.message() != "two" { // the bucket is shared
		t.Fatalf("post: %d", status)
	}
	c.text("three")
	want := fmt.Sprintf(`{"message": "Too Many Requests", "connectionId":"%s", "requestId":"%s"}`, c.id, a.await(KindMessage, 2).RequestID)
	if got := c.message(); got != want {
		t.Errorf("frame %s, want %s", got, want)
	}
	clock.advance(time.Second)
	c.text("four")
	a.await(KindInvoke, 2)
	c.alive()
	if body := a.event("$default", 2).Body; *body != "four" {
		t.Errorf("the function got %q", *body)
	}
}

// Each route has a bucket of its own, which comes before the account's.
func TestRoutesAreThrottled(t *testing.T) {
	clock := newClock()
	throttle := Throttle{Rate: 1, Burst: 1}
	a := start(t, Config{
		Throttle: Throttle{Rate: 1, Burst: 3}, Now: clock.Now,
		Routes: map[string]Route{"join": {Function: "join", Throttle: throttle}, "$default": {Function: "$default", Throttle: throttle}},
	}, map[string]function{"join": ok, "$default": ok})
	one, other := a.dial(), a.dial()
	throttled := func(c *client, text string, messages int) {
		t.Helper()
		c.text(text)
		want := fmt.Sprintf(`{"message": "Too Many Requests", "connectionId":"%s", "requestId":"%s"}`, c.id, a.await(KindMessage, messages).RequestID)
		if got := c.message(); got != want {
			t.Errorf("frame %s, want %s", got, want)
		}
	}
	one.text(`{"event":"join"}`)
	a.await(KindInvoke, 1)
	throttled(one, `{"event":"join"}`, 2)
	throttled(other, `{"event":"join"}`, 3) // of all clients together
	other.text("40")                        // another route
	a.await(KindInvoke, 2)
	throttled(other, `{"event":"$connect"}`, 5) // is for $default
	if status := a.post(one.id, "posted"); status != http.StatusOK || one.message() != "posted" {
		t.Errorf("post: %d: what routes refuse is not taken out of the account's", status)
	}
	throttled(one, `{"event":"join"}`, 6)
	clock.advance(time.Second)
	one.text(`{"event":"join"}`)
	a.await(KindInvoke, 3)
	if n := len(a.called("join")); n != 2 {
		t.Errorf("join was invoked %d times", n)
	}
}

func TestFragmentedMessage(t *testing.T) {
	a := start(t, Config{}, map[string]function{"$default": ok})
	c := a.dial()
	c.frame(ws.OpText, false, "a€"[:2])
	c.frame(ws.OpPing, true, "between fragments")
	if f := c.read(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "between fragments" {
		t.Errorf("frame %+v, want the pong", f)
	}
	c.frame(ws.OpContinuation, false, "a€"[2:])
	c.frame(ws.OpContinuation, true, "")
	a.await(KindInvoke, 1)
	if body := a.event("$default", 1).Body; *body != "a€" {
		t.Errorf("the function got %q", *body)
	}
}

func TestSelection(t *testing.T) {
	const body = `{"a":"x","b":{"c":"y","n":1.50},"list":["p",2,null],"t":true,"o":{"k":1}}`
	for expression, want := range map[string]string{
		"$request.body.a":                        "x",
		"${request.body.a}":                      "x",
		"$request.body.b.c":                      "y",
		"${request.body.b.n}":                    "1.50",
		"$request.body.list":                     "[p, 2, ]",
		"$request.body.t":                        "true",
		"$request.body.o":                        `{"k":1}`,
		"$request.body.none":                     "",
		"$request.body.a.deeper":                 "",
		"${request.body.a}/${request.body.b.c}":  "x/y",
		"v1-${request.body.a}-${request.body.z}": "v1-x-",
		"static":                                 "static",
		`\$default`:                              "$default",
		"":                                       "",
	} {
		s, err := parseSelection(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := s.key([]byte(body)); got != want {
			t.Errorf("%s selects %q, want %q", expression, got, want)
		}
	}
	for _, expression := range []string{
		"$request.header.a", "$context.routeKey", "${request.body.}", "$request.body.", "$request.body.a[0]", "${request.body.a", "$request.body.a/$request.body.b",
		"$default", "${stageVariables.a}",
	} {
		if _, err := parseSelection(expression); err == nil || !strings.HasPrefix(err.Error(), "RouteSelectionExpression: ") {
			t.Errorf("%s: %v, want an error", expression, err)
		}
	}
}

// Whatever a client sends selects something: a string its own text, and what is no JSON $default.
func FuzzSelection(f *testing.F) {
	for _, seed := range []string{`{"event":"a"}`, `{"event":{"event":1e999}}`, `[[[`, `"\ud800"`, "\x00", `{"event":[{"a":[1,true,null,"x"]}]}`} {
		f.Add([]byte(seed))
	}
	s, err := parseSelection("$request.body.event")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		key := s.key(body)
		var object map[string]json.RawMessage
		var event string
		switch {
		case !json.Valid(body):
			if key != routeDefault {
				t.Errorf("%q selects %q", body, key)
			}
		case json.Unmarshal(body, &object) != nil || object["event"] == nil:
			if key != "" {
				t.Errorf("%q selects %q", body, key)
			}
		case json.Unmarshal(object["event"], &event) == nil:
			if key != event {
				t.Errorf("%q selects %q, want %q", body, key, event)
			}
		}
	})
}
