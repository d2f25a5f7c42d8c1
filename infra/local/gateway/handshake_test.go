package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHandshake(t *testing.T) {
	t.Run("row 1: the upgrade is held until the authorizer and $connect have answered", func(t *testing.T) {
		entered, release := make(chan string), make(chan struct{})
		hold := func(name, payload string) function {
			return func(context.Context, []byte) (Result, error) {
				entered <- name
				<-release
				return Result{Payload: []byte(payload)}, nil
			}
		}
		a := start(t, Config{Authorizer: &Authorizer{Function: "authorizer"}}, map[string]function{
			"authorizer": hold("authorizer", allow), "$connect": hold("$connect", `{"statusCode":200}`),
		})
		answered := make(chan *http.Response, 1)
		go func() {
			_, response := a.handshake("/local", nil)
			answered <- response
		}()
		for _, name := range []string{"authorizer", "$connect"} {
			if got := <-entered; got != name {
				t.Fatalf("%s was invoked, want %s", got, name)
			}
			if a.Open() != 0 || a.post(newID(time.Now()), "") != http.StatusGone {
				t.Error("a connection is open before " + name + " has answered")
			}
			select {
			case r := <-answered:
				t.Fatalf("the handshake was answered %s before %s had", r.Status, name)
			default:
			}
			release <- struct{}{}
		}
		if r := <-answered; r.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("the handshake was answered %s", r.Status)
		}
	})

	t.Run("row 2: $connect decides", func(t *testing.T) {
		refused := func(context.Context, []byte) (Result, error) {
			return Result{Status: http.StatusTooManyRequests, Payload: []byte(`{"Type":"User","message":"Rate Exceeded."}`)}, nil
		}
		unreachable := func(context.Context, []byte) (Result, error) { return Result{}, errors.New("connection refused") }
		for name, tt := range map[string]struct {
			function function
			status   int
			body     string // with C and R for the ids
		}{
			"200":                   {ok, 101, ""},
			"201":                   {returns(`{"statusCode":201,"body":"ignored"}`), 101, ""},
			"299":                   {returns(`{"statusCode":299}`), 101, ""},
			"no route":              {nil, 101, ""},
			"301":                   {returns(`{"statusCode":301}`), 301, ""},
			"400":                   {returns(`{"statusCode":400,"body":"not shown"}`), 400, ""},
			"401":                   {returns(`{"statusCode":401}`), 401, ""},
			"501":                   {returns(`{"statusCode":501}`), 501, ""},
			"function error":        {fails("Error", "boom"), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"null":                  {returns(`null`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"a string":              {returns(`"ok"`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"no statusCode":         {returns(`{}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"statusCode misspelled": {returns(`{"StatusCode":200}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"statusCode a string":   {returns(`{"statusCode":"200"}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"statusCode 199":        {returns(`{"statusCode":199}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"statusCode 600":        {returns(`{"statusCode":600}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"body an object":        {returns(`{"statusCode":200,"body":{}}`), 502, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"invoke refused":        {refused, 500, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
			"invoke unreachable":    {unreachable, 500, `{"message": "Internal server error", "connectionId":"C", "requestId":"R"}`},
		} {
			t.Run(name, func(t *testing.T) {
				functions := map[string]function{"$disconnect": ok}
				if tt.function != nil {
					functions["$connect"] = tt.function
				}
				a := start(t, Config{}, functions)
				c, response := a.handshake("/local", nil)
				if response.StatusCode != tt.status {
					t.Fatalf("status %d, want %d", response.StatusCode, tt.status)
				}
				if tt.status == http.StatusSwitchingProtocols {
					c.alive()
					return
				}
				body, _ := io.ReadAll(response.Body)
				rejected := a.await(KindReject, 1)
				got := strings.NewReplacer(rejected.ConnectionID, "C", rejected.RequestID, "R").Replace(string(body))
				if got != tt.body || rejected.Status != tt.status || rejected.Err == nil {
					t.Errorf("body %s, event %+v", got, rejected)
				}
				a.close()
				if n := len(a.called("$disconnect")); n != 0 {
					t.Errorf("$disconnect was invoked %d times for a connection that never was", n)
				}
			})
		}
	})

	t.Run("row 2: $connect times out", func(t *testing.T) {
		release := make(chan struct{})
		a := start(t, Config{Routes: map[string]Route{"$connect": {Function: "slow", Timeout: minTimeout}}}, map[string]function{
			"slow": func(context.Context, []byte) (Result, error) {
				<-release
				return Result{Payload: []byte(`{"statusCode":200}`)}, nil
			},
		})
		_, response := a.handshake("/local", nil)
		close(release)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusGatewayTimeout || !strings.HasPrefix(string(body), `{"message": "Endpoint request timed out", `) {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	})

	t.Run("row 2: $connect is throttled", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{
			Authorizer: &Authorizer{Function: "authorizer"}, Now: clock.Now,
			Routes: map[string]Route{
				"$connect":    {Function: "$connect", Throttle: Throttle{Rate: 1, Burst: 1}},
				"$disconnect": {Function: "$disconnect", Throttle: Throttle{Rate: 1, Burst: 1}},
			},
		}, map[string]function{"authorizer": returns(allow), "$connect": ok, "$disconnect": ok})
		first := a.dial()
		_, response := a.handshake("/local", nil)
		body, _ := io.ReadAll(response.Body)
		rejected := a.await(KindReject, 1)
		want := `{"message": "Too Many Requests", "connectionId":"` + rejected.ConnectionID + `", "requestId":"` + rejected.RequestID + `"}`
		if response.StatusCode != http.StatusTooManyRequests || string(body) != want || rejected.Status != http.StatusTooManyRequests {
			t.Errorf("%d %s, want %s", response.StatusCode, body, want)
		}
		if authorized, connected := len(a.called("authorizer")), len(a.called("$connect")); authorized != 1 || connected != 1 {
			t.Errorf("for one connection and one that was throttled the authorizer ran %d times, $connect %d times", authorized, connected)
		}
		clock.advance(time.Second)
		second := a.dial()
		for _, c := range []*client{first, second} {
			c.alive()
		}
		a.close()
		if n := len(a.called("$disconnect")); n != 2 {
			t.Errorf("$disconnect ran %d times at once, want 2: nobody could be told that it did not", n)
		}
	})

	t.Run("new connections have a quota of the account, which comes after the route's throttle", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{
			Authorizer: &Authorizer{Function: "authorizer"}, Now: clock.Now, NewConnections: Throttle{Rate: 1, Burst: 2}, Throttle: Throttle{Rate: 1, Burst: 1},
			Routes: map[string]Route{"$connect": {Function: "$connect", Throttle: Throttle{Rate: 2, Burst: 4}}},
		}, map[string]function{"authorizer": returns(allow), "$connect": ok, "$default": ok})
		statuses := func(n int) (statuses []int) {
			for range n {
				_, response := a.handshake("/local", nil)
				statuses = append(statuses, response.StatusCode)
			}
			return statuses
		}
		if diff := cmp.Diff([]int{101, 101, 429, 429, 429}, statuses(5)); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		if third, fifth := a.await(KindReject, 1), a.await(KindReject, 3); !errors.Is(third.Err, errQuota) || !errors.Is(fifth.Err, errThrottled) {
			t.Errorf("the third was refused because of %v, the fifth because of %v", third.Err, fifth.Err)
		}
		if authorized, connected := len(a.called("authorizer")), len(a.called("$connect")); authorized != 2 || connected != 2 {
			t.Errorf("for two connections the authorizer ran %d times, $connect %d times", authorized, connected)
		}
		if status := a.post(a.await(KindConnect, 1).ConnectionID, "post"); status != http.StatusOK {
			t.Errorf("post: %d: handshakes are not taken out of what messages and posts share", status)
		}
		clock.advance(time.Second)
		if diff := cmp.Diff([]int{101, 429}, statuses(2)); diff != "" {
			t.Errorf("a second later (-want +got):\n%s", diff)
		}
	})

	t.Run("the quota holds without a $connect route too", func(t *testing.T) {
		a := start(t, Config{Now: newClock().Now, NewConnections: Throttle{Rate: 1, Burst: 1}}, nil)
		for _, want := range []int{101, 429} {
			if _, response := a.handshake("/local", nil); response.StatusCode != want {
				t.Errorf("status %d, want %d", response.StatusCode, want)
			}
		}
	})

	t.Run("row 3: the subprotocol is the one that $connect returns, and no extension is negotiated", func(t *testing.T) {
		for name, tt := range map[string]struct{ payload, want string }{
			"returned":         {`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"bearer"}}`, "bearer"},
			"in another case":  {`{"statusCode":200,"headers":{"sec-websocket-protocol":"b"}}`, "b"},
			"not returned":     {`{"statusCode":200}`, ""},
			"another header":   {`{"statusCode":200,"headers":{"X-Other":"bearer"}}`, ""},
			"null for headers": {`{"statusCode":200,"headers":null}`, ""},
		} {
			t.Run(name, func(t *testing.T) {
				a := start(t, Config{}, map[string]function{"$connect": returns(tt.payload)})
				_, response := a.handshake("/local", http.Header{
					"Sec-WebSocket-Protocol": {"a, bearer"}, "Sec-WebSocket-Extensions": {"permessage-deflate; client_max_window_bits"},
				})
				want := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}}
				if tt.want != "" {
					want["Sec-Websocket-Protocol"] = []string{tt.want}
				}
				if diff := cmp.Diff(want, response.Header); diff != "" {
					t.Errorf("101 (-want +got):\n%s", diff)
				}
				if got := a.event("$connect", 1).Headers["Sec-WebSocket-Protocol"]; got != "a, bearer" {
					t.Errorf("$connect got the subprotocols %q", got)
				}
			})
		}
	})

	t.Run("row 12: only /{stage} and /{stage}/", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"$connect": ok})
		for path, want := range map[string]int{
			"/local": 101, "/local/": 101, "/local?EIO=4&transport=websocket": 101, "/local/?EIO=4": 101,
			"/": 403, "": 403, "/loca": 403, "/Local": 403, "/local/hello": 403, "/local//": 403, "//local": 403, "/prod": 403,
			"/socket.io/": 403, "/local/socket.io/?EIO=4": 403, "/@connections": 403, "/local/@connections": 403,
		} {
			_, response := a.handshake(path, nil)
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != want || want == 403 && string(body) != `{"message":"Forbidden"}` {
				t.Errorf("%q: %d %s, want %d", path, response.StatusCode, body, want)
			}
		}
		if n := len(a.called("$connect")); n != 4 {
			t.Errorf("$connect was invoked %d times, want 4", n)
		}
	})
}

func TestHandshakeRefusesWhatIsNoUpgrade(t *testing.T) {
	a := start(t, Config{}, map[string]function{"$connect": ok})
	long := "/local?token=" + strings.Repeat("x", maxURL-len("wss://")-len(strings.TrimPrefix(a.url, "http://"))-len("/local?token="))
	for name, tt := range map[string]struct {
		path   string
		header http.Header
		want   int
	}{
		"plain HTTP":         {"/local", http.Header{"Upgrade": nil, "Connection": nil}, 426},
		"another protocol":   {"/local", http.Header{"Upgrade": {"h2c"}}, 426},
		"no Connection":      {"/local", http.Header{"Connection": {"keep-alive"}}, 400},
		"Firefox":            {"/local", http.Header{"Connection": {"keep-alive, Upgrade"}}, 101},
		"an old version":     {"/local", http.Header{"Sec-WebSocket-Version": {"8"}}, 400},
		"no key":             {"/local", http.Header{"Sec-WebSocket-Key": nil}, 400},
		"the longest URL":    {long, nil, 101},
		"a URL of one more":  {long + "x", nil, 414},
		"all of it in lower": {"/local", http.Header{"Upgrade": {"WEBSOCKET"}, "Connection": {"upgrade"}}, 101},
	} {
		t.Run(name, func(t *testing.T) {
			if _, response := a.handshake(tt.path, tt.header); response.StatusCode != tt.want {
				t.Errorf("status %d, want %d", response.StatusCode, tt.want)
			}
		})
	}
	if response, _ := a.manage(http.MethodPost, "/local", nil); response.StatusCode != http.StatusForbidden {
		t.Errorf("POST /local: %s", response.Status)
	}
	if n := len(a.called("$connect")); n != 3 {
		t.Errorf("$connect was invoked %d times, want 3", n)
	}
}

// A client that is gone when $connect answers was connected all the same: $disconnect follows.
func TestHandshakeOfAClientThatLeft(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	a := start(t, Config{}, map[string]function{
		"$connect": func(context.Context, []byte) (Result, error) {
			close(entered)
			<-release
			return Result{Payload: []byte(`{"statusCode":200}`)}, nil
		},
		"$disconnect": ok,
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/local", http.NoBody)
	request.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	if response, err := http.DefaultClient.Do(request); !errors.Is(err, context.Canceled) {
		_ = response.Body.Close()
		t.Fatalf("the handshake was answered: %v", err)
	}
	close(release)
	if e := a.await(KindClose, 1); e.Cause != CauseDrop || e.Code != 1006 {
		t.Errorf("closed with %+v", e)
	}
	a.close()
	if n := len(a.called("$disconnect")); n != 1 {
		t.Errorf("$disconnect was invoked %d times", n)
	}
}
