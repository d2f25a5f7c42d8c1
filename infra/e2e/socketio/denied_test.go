package socketio

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Whoever is kept out leaves the namespace with a reason, and hears one at the next CONNECT, which takes it out again.
func TestDenied(t *testing.T) {
	s := suite(t)
	const user = "kept-out"
	r := s.enter(t, user)
	var answer struct {
		Published struct{ Matched, Delivered int }
		Denied    []string
	}
	request := fmt.Sprintf(`{"op":"sockets.disconnect","connections":[%q],"reason":"banned","denySeconds":600}`, r.id)
	if err := json.Unmarshal([]byte(s.invoke(t, "control", request)), &answer); err != nil {
		t.Fatal(err)
	}
	if p := answer.Published; p.Matched != 1 || p.Delivered != 1 || len(answer.Denied) != 1 || answer.Denied[0] != user {
		t.Errorf("answered %+v", answer)
	}
	r.next(`42/ws/app,["system:disconnect",{"reason":"banned"}]`)
	r.next("41/ws/app,")
	r.ended()

	again := s.dial(t, engine)
	for range 2 { // it may try as often as it likes
		again.send(fmt.Sprintf(`40/ws/app,{"token":%q}`, token(user, 0)))
		again.next(`40/ws/app,{"sid":`)
		refusal := again.next(`42/ws/app,`)
		if !strings.HasPrefix(refusal, `42/ws/app,["error",{"code":"socket_error:forbidden","message":"this user has been disconnected and may connect again at `) {
			t.Errorf("got %s", refusal)
		}
		again.next("41/ws/app,")
	}
	s.invoke(t, "control", fmt.Sprintf(`{"op":"sockets.disconnect","users":[%q],"reason":"allowed","denySeconds":0}`, user))
	s.enter(t, user)
}
