package readme

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
)

// Kinds of client.
const (
	jsonClient = ""                             // a JSON client, as whom it says it is
	socketIO   = "?EIO=4&transport=websocket"   // one in the namespace
	transport  = "?EIO=4&transport=websocket&x" // one that has not even read the open packet
)

// client is a WebSocket client.
type client struct {
	conn   *websocket.Conn
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu     sync.Mutex
	frames []string // that came and were not taken
	err    error    // why no more comes
}

func token(t *testing.T, user string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(stack.LocalSecret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func dial(t *testing.T, address, user, kind string) *client {
	t.Helper()
	options := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if kind == jsonClient {
		options.HTTPHeader.Set("Authorization", "Bearer "+token(t, user))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/"+stack.Stage+kind, options)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{conn: conn}
	reading, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.ended.Go(func() { c.read(reading) })
	t.Cleanup(c.leave)
	if kind == socketIO {
		c.await(t, `0{"sid":"<connection>","upgrades":[],"pingInterval":300000,"pingTimeout":120000,"maxPayload":5120}`)
		c.send(t, `40/ws/app,{"token":"`+token(t, user)+`"}`)
		c.await(t, `40/ws/app,{"sid":"<connection>"}`)
	}
	return c
}

func (c *client) read(ctx context.Context) {
	for {
		_, message, err := c.conn.Read(ctx)
		c.mu.Lock()
		if err != nil {
			c.err = err
			c.mu.Unlock()
			return
		}
		c.frames = append(c.frames, string(message))
		c.mu.Unlock()
	}
}

func (c *client) send(t *testing.T, frame string) {
	t.Helper()
	if err := c.conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatalf("send %s: %v", frame, err)
	}
}

// await takes the frame, which may come among others.
func (c *client) await(t *testing.T, frame string) {
	t.Helper()
	frame = steady(frame)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		i := slices.IndexFunc(c.frames, func(got string) bool { return steady(got) == frame })
		if i >= 0 {
			c.frames = slices.Delete(c.frames, i, i+1)
		}
		there, err := strings.Join(c.frames, "\n"), c.err
		c.mu.Unlock()
		if i >= 0 {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no\n%s\nbut (%v)\n%s", frame, err, there)
		}
	}
}

func (c *client) leave() {
	_ = c.conn.Close(websocket.StatusNormalClosure, "") // it may be closed
	c.cancel()
	c.ended.Wait()
}

// transcript plays what clients send, and awaits what the server sends. Without a word of a client it is about an event that is published.
func (r *reader) transcript(t *testing.T, lines []string) {
	if r.system == nil {
		t.Fatal("no make run before this")
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "C: ") }) {
		r.event(t, lines)
		return
	}
	clients := map[bool]*client{}
	for _, line := range lines {
		frame, isJSON := line[len("C: "):], strings.HasPrefix(line[len("C: "):], "{")
		if clients[isJSON] == nil {
			kind := jsonClient
			switch {
			case strings.HasPrefix(line, "S: 0{"):
				kind = transport
			case !isJSON:
				kind = socketIO
			}
			clients[isJSON] = dial(t, r.ws, "alice", kind)
		}
		if strings.HasPrefix(line, "S: ") {
			clients[isJSON].await(t, frame)
			continue
		}
		clients[isJSON].send(t, strings.ReplaceAll(frame, "<token of alice>", token(t, "alice")))
	}
}

// event publishes the event of a transcript and sees it arrive, byte for byte.
func (r *reader) event(t *testing.T, lines []string) {
	var envelope struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(lines[0][len("S: "):]), &envelope); err != nil {
		t.Fatalf("the first line is no envelope: %v", err)
	}
	plain, packets := dial(t, r.ws, "alice", jsonClient), dial(t, r.ws, "alice", socketIO)
	for _, c := range []*client{plain, packets} { // both are there
		c.ready(t)
	}
	request := `{"event":"` + envelope.Event + `","data":` + string(envelope.Data) + `,"to":{"users":["alice"]}}`
	function, address := "publish", "http://127.0.0.1:"+valueOf(r.env, "LAMBDA_PORT")
	out, err := stack.LambdaClient(address).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &function, Payload: []byte(request)})
	if err != nil || out.FunctionError != nil {
		t.Fatalf("publish %s: %v %s", request, err, out.Payload)
	}
	for _, line := range lines {
		frame := line[len("S: "):]
		if strings.HasPrefix(frame, "{") {
			plain.await(t, frame)
		} else {
			packets.await(t, frame)
		}
	}
}

// ready waits until the socket is in its user's personal room, and leaves the event there: it may be what the transcript is about.
func (c *client) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		there := slices.ContainsFunc(c.frames, func(got string) bool { return strings.Contains(got, `"`+contract.NotificationsReady+`"`) })
		c.mu.Unlock()
		if there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
}
