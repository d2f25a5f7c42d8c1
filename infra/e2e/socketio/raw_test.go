package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// raw is a WebSocket whose packets a test writes itself.
type raw struct {
	*testing.T
	socket  *websocket.Conn
	packets chan string // closed when the connection is
	id      string      // "" of a JSON client
	inside  bool        // in the namespace
}

// engine is the query of a Socket.IO client.
const engine = "?EIO=4&transport=websocket"

// dial opens a connection: with engine, a Socket.IO client's, which has got its open packet.
func (s *system) dial(t *testing.T, query string) *raw {
	t.Helper()
	socket, _, err := websocket.Dial(limited(t), s.URL+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{T: t, socket: socket, packets: make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(r.packets)
		for {
			_, packet, err := socket.Read(context.Background())
			if err != nil {
				return
			}
			r.packets <- string(packet)
		}
	}()
	t.Cleanup(func() {
		_ = socket.CloseNow()
		<-done
	})
	if strings.HasPrefix(query, engine) {
		var open struct{ SID string }
		if err := json.Unmarshal([]byte(r.next("0{")[1:]), &open); err != nil {
			t.Fatal(err)
		}
		r.id = open.SID
	}
	return r
}

// enter is dial for a user who comes into the namespace; nothing of it is under way any more when it returns, but its presence.
func (s *system) enter(t *testing.T, user string) *raw {
	t.Helper()
	r := s.dial(t, engine)
	r.send(fmt.Sprintf(`40/ws/app,{"token":%q}`, token(user, 0)))
	if want, got := fmt.Sprintf(`40/ws/app,{"sid":%q}`, r.id), r.next(""); got != want {
		t.Fatalf("CONNECT is answered %s, want %s", got, want)
	}
	r.next(`42/ws/app,["notifications:ready",`)
	eventually(t, "the end of the CONNECT's invocation", func() bool { return s.meter.answered(r.id) == 1 })
	r.inside = true
	return r
}

func (r *raw) send(packet string) {
	r.Helper()
	if err := r.socket.Write(limited(r.T), websocket.MessageText, []byte(packet)); err != nil {
		r.Fatal(err)
	}
}

// next is the next packet that begins like that; others are passed over.
func (r *raw) next(prefix string) string {
	r.Helper()
	ctx := limited(r.T)
	var others []string
	for {
		select {
		case packet, open := <-r.packets:
			if open && strings.HasPrefix(packet, prefix) {
				return packet
			}
			if !open {
				r.Fatalf("the connection has ended before %s, after %q", prefix, others)
			}
			others = append(others, packet)
		case <-ctx.Done():
			r.Fatalf("waited in vain for %s, got %q", prefix, others)
		}
	}
}

// leave closes the connection, if it is open, and returns what had come.
func (r *raw) leave() (packets []string) {
	_ = r.socket.CloseNow()
	return r.ended()
}

// ended waits for the end of the connection, and returns what had come before.
func (r *raw) ended() (packets []string) {
	r.Helper()
	ctx := limited(r.T)
	for {
		select {
		case packet, open := <-r.packets:
			if !open {
				return packets
			}
			packets = append(packets, packet)
		case <-ctx.Done():
			r.Fatalf("the connection does not end, got %q", packets)
		}
	}
}
