package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	message      = `{"conversationId":"c1","message":{"id":"m1"},"senderId":"alice","recipients":["alice","bob"]}`
	deleted      = `{"conversationId":"c1","message":{"id":"m1","status":"deleted","deletedAt":"2026-01-01T00:00:00Z"},"senderId":"alice","recipients":[]}`
	notification = `{"eventKey":"task.assigned","notification":{"id":"n1"}}`
	snapshot     = `{"userId":"alice","isOnline":true,"lastSeen":1701245041798,"sockets":[{"socketId":"L0SM9cOFvHcCIhw=","connectedAt":1701245041796,"lastSeen":null,"userAgent":"x","ip":null}]}`
)

func TestParsePublishAccepts(t *testing.T) {
	for name, request := range map[string]string{
		"message":               `{"event":"messages:new","data":` + message + `}`,
		"updated":               `{"event":"messages:updated","data":` + message + `}`,
		"deleted":               `{"event":"messages:deleted","data":` + deleted + `}`,
		"to users":              `{"event":"notifications:new","data":` + notification + `,"to":{"users":["auth0|5f7c8ec7"]}}`,
		"to all":                `{"event":"notifications:new","data":` + notification + `,"to":{"all":true}}`,
		"to groups":             `{"event":"notifications:new","data":` + notification + `,"to":{"groups":["g1"],"users":[]}}`,
		"to connections":        `{"event":"notifications:new","data":` + notification + `,"to":{"connections":["L0SM9cOFvHcCIhw="]}}`,
		"except":                `{"event":"messages:new","data":` + message + `,"except":{"users":["alice"],"connections":["x="]}}`,
		"null members":          `{"id":null,"event":"messages:new","data":` + message + `,"to":null,"except":null}`,
		"id of 256":             `{"id":"` + strings.Repeat("é", 256) + `","event":"messages:new","data":` + message + `}`,
		"presence":              `{"event":"presence:update","data":` + snapshot + `}`,
		"ready":                 `{"event":"notifications:ready","data":{"message":"hi","userId":"alice"},"to":{"users":["alice"]}}`,
		"error":                 `{"event":"error","data":{"code":"custom:code","message":"m"},"to":{"users":["alice"]}}`,
		"disconnect":            `{"event":"system:disconnect","data":{"reason":"maintenance"},"to":{"all":true},"reconnect":true}`,
		"members of the future": `{"event":"notifications:new","data":{"eventKey":"k","notification":1,"extra":{}},"to":{"all":true}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParsePublish(json.RawMessage(request)); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestParsePublishRefusesByField(t *testing.T) {
	for _, tt := range []struct{ request, want string }{
		{`7`, "request: must be a JSON object"},
		{`null`, "request: must be a JSON object"},
		{`{"event":`, "request: must be a JSON object"},
		{`{"data":{}}`, "event: required"},
		{`{"event":7,"data":{}}`, "event: must be a string"},
		{`{"event":"message:new","data":{}}`, `event: "message:new" is not an event that the server sends`},
		{`{"event":"conversations:join","data":{}}`, `event: "conversations:join" is not an event that the server sends`},
		{`{"Event":"messages:new"}`, "Event: unknown member"},
		{`{"event":"messages:new","data":` + message + `,"job":{}}`, "job: unknown member"},
		{`{"event":"messages:new"}`, "data: required"},
		{`{"event":"messages:new","data":null}`, "data: required"},
		{`{"event":"messages:new","data":[]}`, "data: must be a JSON object"},
		{`{"event":"messages:new","data":{}}`, "data.conversationId: required"},
		{`{"event":"messages:new","data":{"conversationId":"a#b"}}`, "data.conversationId: must be 1 to 128"},
		{`{"event":"messages:new","data":{"conversationId":"` + strings.Repeat("x", 129) + `"}}`, "data.conversationId: must be 1 to 128"},
		{`{"event":"messages:new","data":{"conversationId":"c1"}}`, "data.message: required"},
		{`{"event":"messages:new","data":{"conversationId":"c1","message":{}}}`, "data.senderId: required"},
		{`{"event":"messages:new","data":{"conversationId":"c1","message":{},"senderId":"a"}}`, "data.recipients: required"},
		{`{"event":"messages:new","data":{"conversationId":"c1","message":{},"senderId":"a","recipients":"b"}}`, "data.recipients: must be an array"},
		{`{"event":"messages:new","data":{"conversationId":"c1","message":{},"senderId":"a","recipients":["b","c","d/e"]}}`, "data.recipients[2]: must be"},
		{`{"event":"messages:deleted","data":` + message + `}`, "data.message.status: required"},
		{`{"event":"messages:deleted","data":{"conversationId":"c1","message":{"status":"sent"},"senderId":"a","recipients":[]}}`, `data.message.status: must be "deleted"`},
		{`{"event":"messages:deleted","data":{"conversationId":"c1","message":{"status":"deleted"},"senderId":"a","recipients":[]}}`, "data.message.deletedAt: required"},
		{`{"event":"notifications:new","data":{"notification":{}},"to":{"all":true}}`, "data.eventKey: required"},
		{`{"event":"notifications:new","data":{"eventKey":"k"},"to":{"all":true}}`, "data.notification: required"},
		{`{"event":"notifications:new","data":` + notification + `}`, "to: required"},
		{`{"event":"notifications:new","data":` + notification + `,"to":{}}`, "to: must name somebody"},
		{`{"event":"notifications:new","data":` + notification + `,"to":{"users":[],"all":false}}`, "to: must name somebody"},
		{`{"event":"notifications:new","data":` + notification + `,"to":{"planets":["x"]}}`, "to.planets: unknown member"},
		{`{"event":"notifications:new","data":` + notification + `,"to":{"users":[7]}}`, "to.users[0]: must be"},
		{`{"event":"notifications:new","data":` + notification + `,"to":"everybody"}`, "to: must be a JSON object"},
		{`{"event":"notifications:new","data":` + notification + `,"to":{"all":"yes"}}`, "to.all: must be true or false"},
		{`{"event":"messages:new","data":` + message + `,"except":{"groups":["g"]}}`, "except.groups: unknown member"},
		{`{"id":"","event":"messages:new","data":` + message + `}`, "id: must have 1 to 256"},
		{`{"id":7,"event":"messages:new","data":` + message + `}`, "id: must be a string"},
		{`{"id":"` + strings.Repeat("x", 257) + `","event":"messages:new","data":` + message + `}`, "id: must have 1 to 256"},
		{`{"event":"messages:new","data":` + message + `,"reconnect":true}`, "reconnect: only system:disconnect"},
		{`{"event":"presence:update","data":{"userId":"a","isOnline":"yes"}}`, "data.isOnline: must be true or false"},
		{`{"event":"presence:update","data":{"userId":"a","isOnline":true}}`, "data.lastSeen: required"},
		{`{"event":"presence:update","data":{"userId":"a","isOnline":true,"lastSeen":1.5,"sockets":[]}}`, "data.lastSeen: must be whole epoch milliseconds"},
		{`{"event":"presence:update","data":{"userId":"a","isOnline":true,"lastSeen":null,"sockets":[{}]}}`, "data.sockets[0].socketId: required"},
		{`{"event":"system:disconnect","data":{},"to":{"all":true}}`, "data.reason: required"},
		{`{"event":"error","data":{"code":"c"},"to":{"all":true}}`, "data.message: required"},
		{"{\"event\":\"notifications:new\",\"data\":{\"eventKey\":\"\xff\",\"notification\":1},\"to\":{\"all\":true}}", "request: must be UTF-8"},
	} {
		_, err := ParsePublish(json.RawMessage(tt.request))
		if _, ok := errors.AsType[*ValidationError](err); !ok || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.120s\n got %v\nwant %s...", tt.request, err, tt.want)
		}
	}
}

// A long name is cut between its characters.
func TestNamesInErrorsAreClipped(t *testing.T) {
	const message = `{"conversationId":"c1","message":{},"senderId":"a","recipients":[]}`
	name := strings.Repeat("x", 63) + "éé"
	for _, request := range []string{
		`{"event":"` + name + `","data":{}}`,
		`{"event":"messages:new","data":` + message + `,"` + name + `":1}`,
	} {
		_, err := ParsePublish(json.RawMessage(request))
		if err == nil || !strings.Contains(err.Error(), strings.Repeat("x", 63)+"...") {
			t.Errorf("%s: %v", request, err)
		}
	}
}

func TestAudienceIsBounded(t *testing.T) {
	request := func(n int) json.RawMessage {
		users, _ := json.Marshal(strings.Split(strings.Repeat("u,", n-1)+"u", ","))
		return json.RawMessage(`{"event":"notifications:new","data":` + notification + `,"to":{"users":` + string(users) + `}}`)
	}
	if _, err := ParsePublish(request(MaxAudience)); err != nil {
		t.Errorf("%d users: %v", MaxAudience, err)
	}
	if _, err := ParsePublish(request(MaxAudience + 1)); err == nil || !strings.HasPrefix(err.Error(), "to.users: 1001 entries, 1000 at most") {
		t.Errorf("%d users: %v", MaxAudience+1, err)
	}
}

func TestDataIsUntouched(t *testing.T) {
	const data = `{"eventKey" : "k",  "notification":{"html":"<b>&\u2028 1.0e3</b>","n":12345678901234567890,"n":2}}`
	p, err := ParsePublish(json.RawMessage(`{"event":"notifications:new","data":` + data + `,"to":{"all":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(data, string(p.Data)); diff != "" {
		t.Error(diff)
	}
}

func TestMasked(t *testing.T) {
	p, err := ParsePublish(json.RawMessage(`{"event":"presence:update","data":` + snapshot + `}`))
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := json.Marshal(p.Presence)
	if diff := cmp.Diff(snapshot, string(whole)); diff != "" {
		t.Error(diff)
	}
	masked, _ := json.Marshal(p.Presence.Masked())
	if want := strings.Replace(snapshot, `"userAgent":"x"`, `"userAgent":null`, 1); string(masked) != want {
		t.Errorf("got %s\nwant %s", masked, want)
	}
}

func TestParseRoom(t *testing.T) {
	for _, data := range []string{``, `null`, `7`, `[]`, `{}`, `{"conversationId":null}`, `{"conversationId":7}`, `{"conversationId":""}`, `{"conversationId":"a/b"}`} {
		_, err := ParseRoom(json.RawMessage(data))
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != BadRequest {
			t.Errorf("%q: %v", data, err)
		}
	}
	for _, id := range []string{"c1", "auth0|5f7c8ec7", "ann@example.org", "eu-west-1:2f5c", "~a+b=.-_", strings.Repeat("x", 128)} {
		if room, err := ParseRoom(json.RawMessage(`{"conversationId":"` + id + `","more":1}`)); err != nil || room.ConversationID != id {
			t.Errorf("%q: %v %v", id, room, err)
		}
	}
}

func TestErrorOfHidesDetails(t *testing.T) {
	if e := ErrorOf(errors.New("table users: throttled")); e.Code != Internal || strings.Contains(e.Message, "table") {
		t.Errorf("got %v", e)
	}
	want := &Error{Code: Forbidden, Message: "no"}
	if e := ErrorOf(errors.Join(want)); e != want {
		t.Errorf("got %v", e)
	}
}
