package socketio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/store"
)

// With the defaults, a ping every 300 s and 120 s for its pong. The clock that is set back is API Gateway's, which dates connections
// and what they send; sweep's is right.

func TestPing(t *testing.T) {
	s := suite(t)
	pings := func(r *raw) (n int) {
		t.Helper()
		s.sweep(t)
		r.send(`42/ws/app,7["unknown"]`) // answered after whatever sweep has posted
		for packet := ""; !strings.HasPrefix(packet, "43/ws/app,7"); {
			if packet = r.next(""); packet == "2" {
				n++
			}
		}
		return n
	}
	s.clock.back(270 * time.Second) // with time for a machine that stands still
	early := s.enter(t, "early")
	s.clock.back(301 * time.Second)
	due := s.enter(t, "due")
	s.clock.back(0)
	if got := []int{pings(due), pings(due), pings(early)}; !cmp.Equal(got, []int{1, 0, 0}) {
		t.Errorf("pings of one that is due, of the same again, and of one that is not: %v", got)
	}
}

// A socket whose pong does not come is removed and closed, and everybody is told; a pong keeps it.
func TestNoPong(t *testing.T) {
	s := suite(t)
	observer := s.enter(t, "observer")
	s.clock.back(421 * time.Second)
	dead, alive := s.enter(t, "dead"), s.enter(t, "alive")
	s.clock.back(390 * time.Second) // with time for a machine that stands still
	waiting := s.enter(t, "waiting")
	s.clock.back(time.Minute)
	alive.send("3")
	eventually(t, "the pong", func() bool { return s.meter.answered(alive.id) == 2 })
	s.clock.back(0)
	s.sweep(t)
	dead.ended()
	for snapshot := ""; !strings.Contains(snapshot, `"isOnline":false`); {
		snapshot = observer.next(`42/ws/app,["presence:update",{"userId":"dead"`)
	}
	for _, r := range []*raw{alive, waiting} {
		if _, open := s.Gateway.Connection(r.id); !open {
			t.Error("closed one that is alive, or has time for its pong")
		}
	}
}

// Who does not come into the namespace in 45 s, from the handshake or from leaving it, is closed.
func TestLobby(t *testing.T) {
	s := suite(t)
	leave := func(r *raw) {
		t.Helper()
		r.send("41/ws/app,")
		eventually(t, "the end of the DISCONNECT", func() bool { return s.meter.answered(r.id) == 2 })
	}
	s.clock.back(time.Minute)
	left, back := s.enter(t, "left"), s.enter(t, "back")
	s.clock.back(46 * time.Second)
	late := s.dial(t, engine)
	leave(left)
	s.clock.back(30 * time.Second)
	early := s.dial(t, engine)
	leave(back)
	s.clock.back(0)
	s.sweep(t)
	late.ended()
	left.ended()
	for _, r := range []*raw{early, back} {
		r.send(fmt.Sprintf(`40/ws/app,{"token":%q}`, token("back", 0)))
		r.next("40/ws/app,")
	}
}

// The stock client leaves with DISCONNECT and the close at once. Nothing is left to sweep then, which would tell everybody a second time.
func TestLeaving(t *testing.T) {
	s := suite(t)
	left := map[string]bool{}
	for range 10 {
		r := s.enter(t, "leaving")
		r.send("41/ws/app,")
		_ = r.socket.Close(websocket.StatusNormalClosure, "") // the reader may take the answer
		r.ended()
		left[r.id] = true
	}
	eventually(t, "the end of all rows", func() bool {
		out, err := s.DynamoDB().Scan(t.Context(), &dynamodb.ScanInput{TableName: &s.TableName, ConsistentRead: new(true)})
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(out.Items, func(row map[string]types.AttributeValue) bool {
			id, _ := row[store.SortKey].(*types.AttributeValueMemberS)
			return id != nil && left[id.Value]
		})
	})
}

// The order of the packets is what tells the client to stay away.
func TestSystemDisconnect(t *testing.T) {
	s := suite(t)
	for reconnect, farewell := range map[bool]string{false: "41/ws/app,", true: ""} {
		r := s.enter(t, "alice")
		s.invoke(t, "publish", fmt.Sprintf(`{"event":"system:disconnect","data":{"reason":"maintenance"},"to":{"connections":[%q]},"reconnect":%t}`, r.id, reconnect))
		var got []string
		for _, packet := range r.ended() {
			if !strings.HasPrefix(packet, `42/ws/app,["presence:update"`) {
				got = append(got, packet)
			}
		}
		want := []string{`42/ws/app,["system:disconnect",{"reason":"maintenance"}]`}
		if farewell != "" {
			want = append(want, farewell)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reconnect %t: -want +got\n%s", reconnect, diff)
		}
	}
}

func TestHandshakeRefused(t *testing.T) {
	s := suite(t)
	for _, query := range []string{"?EIO=3&transport=websocket", "?EIO=4&transport=polling", "?EIO=4", "?EIO=4&transport=websocket&sid=L0SM9cOFvHcCIhw="} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		socket, response, err := websocket.Dial(ctx, s.URL+query, nil)
		cancel()
		if err == nil {
			_ = socket.CloseNow()
			t.Errorf("%s: accepted", query)
			continue
		}
		if response == nil || response.StatusCode != 400 {
			t.Errorf("%s: %v", query, err)
		}
	}
}
