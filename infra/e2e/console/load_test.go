package console

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/local/console"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/stack/stacktest"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

var (
	connections = flag.Int("connections", 300, "connections beside which the page is measured")
	events      = flag.Int("events", 500, "events a second beside which the page is measured")
)

// serving is the environment variable with which this test's program is the server: a process has too few files for both ends of
// 10 000 connections.
const serving = "CONSOLE_LOAD_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serving) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is a gateway with a console beside it, whose functions do nothing but record connections in the table, until the input ends.
func serve() error {
	c := console.New(console.Config{Root: "../../.."})
	var o stack.Options
	c.Wire(&o)
	var rows *store.Table
	o.Gateway.RouteSelectionExpression = "$request.body.event"
	o.Gateway.Routes = map[string]gateway.Route{"$connect": {Function: "connect"}, "$default": {Function: "default"}}
	o.Gateway.Invoke = func(ctx context.Context, function string, event []byte) (gateway.Result, error) {
		done := gateway.Result{Payload: []byte(`{"statusCode":200}`)}
		if function != "connect" {
			return done, nil
		}
		return done, record(ctx, rows, event)
	}
	s, rows, err := stacktest.New(context.Background(), o, time.Now)
	if err != nil {
		return err
	}
	s.LambdaEndpoint = "http://127.0.0.1:1"
	c.Attach(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, console.Path) {
			c.ServeHTTP(w, r)
			return
		}
		s.Gateway.ServeHTTP(w, r)
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	running.Go(func() { _ = server.Serve(l) })
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	_ = server.Close()
	expired, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	err = s.Gateway.Close(expired)
	running.Wait()
	return err
}

// record writes what the functions write of a connection: its row, its user's presence, and a room of twenty.
func record(ctx context.Context, rows *store.Table, event []byte) error {
	var e struct {
		RequestContext struct {
			ConnectionID string `json:"connectionId"`
			ConnectedAt  int64  `json:"connectedAt"`
		} `json:"requestContext"`
		Query struct{ N string } `json:"queryStringParameters"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	at := time.UnixMilli(e.RequestContext.ConnectedAt)
	socket := realtime.Socket{ID: e.RequestContext.ConnectionID, UserID: "user-" + e.Query.N, Protocol: wire.JSON, ConnectedAt: at}
	room := "conversation:c" + e.Query.N[:max(1, len(e.Query.N)-1)]
	c := realtime.Connection{ID: socket.ID, UserID: socket.UserID, Protocol: wire.JSON, ConnectedAt: at, TokenExpiry: at.Add(time.Hour), Rooms: []string{room}}
	if err := rows.Connections.Put(ctx, c); err != nil {
		return err
	}
	s := realtime.PresenceSocket{Socket: socket, LastSeen: at, UserAgent: "load", IP: "127.0.0.1"}
	if _, err := rows.Presences.Add(ctx, socket.UserID, s, 32); err != nil {
		return err
	}
	return rows.Rooms.Join(ctx, room, socket, at)
}

// The page stays quick and small beside many connections and events, and its counts are exact.
func TestLoad(t *testing.T) {
	if os.Getenv("CONSOLE") == "" {
		t.Skip("needs Node and Chromium: set CONSOLE=1 where the package's documentation says what to install")
	}
	server := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	server.Env = append(os.Environ(), serving+"=1")
	server.Stderr = os.Stderr
	input, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		if err := server.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	var address string
	if _, err := fmt.Fscanln(output, &address); err != nil {
		t.Fatal(err)
	}
	clients := dial(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	var speaking sync.WaitGroup
	speaking.Go(func() { speak(ctx, clients) })
	t.Cleanup(func() {
		cancel()
		speaking.Wait()
		for _, c := range clients {
			_ = c.CloseNow()
		}
	})
	node(t, []string{
		"CONSOLE_URL=http://" + address + console.Path, fmt.Sprint("CONNECTIONS=", *connections), fmt.Sprint("EVENTS=", *events),
		fmt.Sprint("SERVER_PID=", server.Process.Pid),
	}, "load.js")
}

// dial opens the connections, some at once.
func dial(t *testing.T, address string) []*websocket.Conn {
	t.Helper()
	clients := make([]*websocket.Conn, *connections)
	errs := make(chan error, 32)
	next := make(chan int)
	for range cap(errs) {
		go func() {
			for i := range next {
				var err error
				url := fmt.Sprintf("ws://%s/%s?N=%d", address, stack.Stage, i)
				if clients[i], _, err = websocket.Dial(t.Context(), url, nil); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	go func() {
		defer close(next)
		for i := range clients {
			select {
			case next <- i:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	return clients
}

// speak sends events at the rate, from one client after the other.
func speak(ctx context.Context, clients []*websocket.Conn) {
	const each = 20 * time.Millisecond
	tick := time.NewTicker(each)
	defer tick.Stop()
	begun, sent := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(begun).Seconds() * float64(*events)); sent < due; sent++ {
			if clients[sent%len(clients)].Write(ctx, websocket.MessageText, []byte(`{"event":"presence:heartbeat"}`)) != nil {
				return
			}
		}
	}
}
