package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What a backend in Go sends is what the document says, and is read as it was meant.
func TestParseControlAccepts(t *testing.T) {
	for _, tt := range []struct {
		request string
		want    ControlRequest
	}{
		{`{"op":"participants.set","conversationId":"c1","users":["alice","bob"]}`, &Participants{Op: ParticipantsSet, ConversationID: "c1", Users: []string{"alice", "bob"}}},
		{`{"op":"participants.set","conversationId":"c1","users":[]}`, &Participants{Op: ParticipantsSet, ConversationID: "c1", Users: []string{}}},
		{`{"op":"participants.add","conversationId":"c1","users":["bob"]}`, &Participants{Op: ParticipantsAdd, ConversationID: "c1", Users: []string{"bob"}}},
		{`{"op":"participants.remove","conversationId":"c1","users":["bob"]}`, &Participants{Op: ParticipantsRemove, ConversationID: "c1", Users: []string{"bob"}}},
		{`{"op":"participants.list","conversationId":"c1"}`, &Participants{Op: ParticipantsList, ConversationID: "c1"}},
		{`{"op":"participants.list","conversationId":"c1","next":"bob"}`, &Participants{Op: ParticipantsList, ConversationID: "c1", Next: "bob"}},
		{`{"op":"groups.join","groupId":"g1","users":["alice","bob"]}`, &Group{Op: GroupsJoin, GroupID: "g1", Users: []string{"alice", "bob"}}},
		{`{"op":"groups.leave","groupId":"g1","users":["alice"]}`, &Group{Op: GroupsLeave, GroupID: "g1", Users: []string{"alice"}}},
		{`{"op":"sockets.disconnect","users":["alice"],"reason":"signed_out"}`, &DisconnectSockets{Op: SocketsDisconnect, Users: []string{"alice"}, Reason: "signed_out"}},
		{
			`{"op":"sockets.disconnect","users":["alice"],"connections":["a="],"reason":"r","message":"m","reconnect":true,"denySeconds":86400}`,
			&DisconnectSockets{Op: SocketsDisconnect, Users: []string{"alice"}, Connections: []string{"a="}, Reason: "r", Message: "m", Reconnect: true, DenySeconds: new(MaxDenySeconds)},
		},
		{`{"op":"sockets.disconnect","connections":["a="],"reason":"r","denySeconds":0}`, &DisconnectSockets{Op: SocketsDisconnect, Connections: []string{"a="}, Reason: "r", DenySeconds: new(0)}},
		{`{"op":"presence.read","users":["bob","alice","bob"]}`, &ReadPresence{Op: PresenceRead, Users: []string{"bob", "alice", "bob"}}},
		{`{"op":"connections.list","userId":"alice"}`, &ListConnections{Op: ConnectionsList, UserID: "alice"}},
		{`{"op":"rooms.list","connectionId":"L0SM9cOFvHcCIhw="}`, &ListRooms{Op: RoomsList, ConnectionID: "L0SM9cOFvHcCIhw="}},
		{`{"op":"publishes.read","id":"order 4711"}`, &ReadPublish{Op: PublishesRead, ID: "order 4711"}},
	} {
		got, err := ParseControl(json.RawMessage(tt.request))
		if err != nil {
			t.Errorf("%s: %v", tt.request, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.request, diff)
		}
		if encoded, err := json.Marshal(tt.want); err != nil || string(encoded) != tt.request {
			t.Errorf("encoded as %s, %v\nwant %s", encoded, err, tt.request)
		}
		if op := tt.want.Operation(); !strings.Contains(tt.request, `"op":"`+op+`"`) {
			t.Errorf("%s: operation %s", tt.request, op)
		}
	}
}

func TestParseControlSorts(t *testing.T) {
	for _, op := range []string{`participants.add","conversationId`, `participants.set","conversationId`, `groups.join","groupId`} {
		got, err := ParseControl(json.RawMessage(`{"op":"` + op + `":"x","users":["bob","alice","bob"]}`))
		if err != nil {
			t.Fatal(err)
		}
		var users []string
		switch got := got.(type) {
		case *Participants:
			users = got.Users
		case *Group:
			users = got.Users
		}
		if diff := cmp.Diff([]string{"alice", "bob"}, users); diff != "" {
			t.Errorf("%s: -want +got\n%s", op, diff)
		}
	}
}

func TestParseControlRefuses(t *testing.T) {
	ids := func(n int) string { return `["` + strings.Repeat(`a","`, n-1) + `a"]` }
	disconnect := func(more string) string {
		return `{"op":"sockets.disconnect","users":["a"],"reason":"r",` + more + `}`
	}
	for _, tt := range []struct{ request, want string }{
		{`[]`, "request: must be a JSON object"},
		{`{}`, "op: required"},
		{`{"op":7}`, "op: must be a string"},
		{`{"op":"participants.drop","conversationId":"c1"}`, `op: "participants.drop" is not an operation; expected one of connections.list, groups.join,`},
		{`{"op":"participants.add","users":["a"]}`, "conversationId: required"},
		{`{"op":"participants.add","conversationId":"c1"}`, "users: required"},
		{`{"op":"participants.set","conversationId":"c1"}`, "users: required"},
		{`{"op":"participants.set","conversationId":"c1","users":null}`, "users: required"},
		{`{"op":"participants.add","conversationId":"c1","users":[]}`, "users: must name at least one user"},
		{`{"op":"participants.remove","conversationId":"c1","users":["a","b#"]}`, "users[1]: must be"},
		{`{"op":"participants.list","conversationId":"c1","users":["a"]}`, "users: unknown member, expected op, conversationId, next"},
		{`{"op":"participants.list","conversationId":"c1","next":""}`, "next: must be"},
		{`{"op":"participants.set","conversationId":"c1","users":[],"next":"a"}`, "next: unknown member, expected op, conversationId, users"},
		{`{"op":"participants.set","conversationId":"c1","user":["a"]}`, "user: unknown member"},
		{`{"op":"groups.join","users":["a"]}`, "groupId: required"},
		{`{"op":"groups.join","groupId":"g/1","users":["a"]}`, "groupId: must be"},
		{`{"op":"groups.join","groupId":"g1","users":[]}`, "users: must name at least one user"},
		{`{"op":"groups.leave","groupId":"g1","users":` + ids(MaxUsersPerRequest+1) + `}`, "users: 1001 entries, 1000 at most"},
		{`{"op":"groups.join","groupId":"g1","users":["a"],"conversationId":"c1"}`, "conversationId: unknown member, expected op, groupId, users"},
		{`{"op":"sockets.disconnect","reason":"r"}`, "request: must name somebody: users or connections"},
		{`{"op":"sockets.disconnect","users":[],"connections":[],"reason":"r"}`, "request: must name somebody: users or connections"},
		{`{"op":"sockets.disconnect","users":["a"]}`, "reason: required"},
		{`{"op":"sockets.disconnect","users":["a"],"reason":""}`, "reason: must not be empty"},
		{`{"op":"sockets.disconnect","users":["a"],"reason":"` + strings.Repeat("é", MaxReasonLength+1) + `"}`, "reason: must have 1 to 1000 characters"},
		{`{"op":"sockets.disconnect","users":` + ids(MaxAudience+1) + `,"reason":"r"}`, "users: 1001 entries, 1000 at most"},
		{`{"op":"sockets.disconnect","connections":["a/b"],"reason":"r"}`, "connections[0]: must be"},
		{disconnect(`"message":""`), "message: must not be empty"},
		{disconnect(`"reconnect":"yes"`), "reconnect: must be true or false"},
		{disconnect(`"denySeconds":-1`), "denySeconds: must be a whole number of seconds, 0 to 86400"},
		{disconnect(`"denySeconds":86401`), "denySeconds: must be a whole number of seconds, 0 to 86400"},
		{disconnect(`"denySeconds":3600.5`), "denySeconds: must be a whole number of seconds"},
		{disconnect(`"denySeconds":"60"`), "denySeconds: must be a whole number of seconds"},
		{disconnect(`"to":{"all":true}`), "to: unknown member"},
		{`{"op":"presence.read"}`, "users: required"},
		{`{"op":"presence.read","users":[]}`, "users: must name at least one user"},
		{`{"op":"presence.read","users":` + ids(MaxPresenceUsers+1) + `}`, "users: 101 entries, 100 at most"},
		{`{"op":"connections.list"}`, "userId: required"},
		{`{"op":"connections.list","userId":["alice"]}`, "userId: must be a string"},
		{`{"op":"rooms.list","connectionId":""}`, "connectionId: must be"},
		{`{"op":"rooms.list","userId":"alice"}`, "userId: unknown member"},
		{`{"op":"publishes.read"}`, "id: required"},
		{`{"op":"publishes.read","id":""}`, "id: must have 1 to 256 characters"},
		{`{"op":"publishes.read","id":"` + strings.Repeat("é", MaxPublishIDLength+1) + `"}`, "id: must have 1 to 256 characters"},
	} {
		got, err := ParseControl(json.RawMessage(tt.request))
		if _, ok := errors.AsType[*ValidationError](err); !ok || got != nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v, want %s", tt.request, got, err, tt.want)
		}
	}
	for _, request := range []string{
		`{"op":"presence.read","users":` + ids(MaxPresenceUsers) + `}`,
		`{"op":"groups.join","groupId":"g1","users":` + ids(MaxUsersPerRequest) + `}`,
		`{"op":"sockets.disconnect","users":` + ids(MaxAudience) + `,"reason":"` + strings.Repeat("é", MaxReasonLength) + `"}`,
	} {
		if _, err := ParseControl(json.RawMessage(request)); err != nil {
			t.Errorf("%.60s...: %v", request, err)
		}
	}
}
