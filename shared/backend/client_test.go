package backend

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

type api func(*lambda.InvokeInput) (*lambda.InvokeOutput, error)

func (f api) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	return f(in)
}

// answering is a client whose functions answer so, and what it sends.
func answering(t *testing.T, answer string) (*Client, *string) {
	t.Helper()
	sent := new(string)
	return New(api(func(in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
		*sent = *in.FunctionName + " " + string(in.Payload)
		if in.InvocationType != "" {
			*sent += " " + string(in.InvocationType)
		}
		return &lambda.InvokeOutput{StatusCode: 200, Payload: []byte(answer)}, nil
	}), Functions{Publish: "rt-publish", Control: "rt-control"}), sent
}

// Every operation sends the documented request, which the function takes, and reads the documented answer.
func TestOperations(t *testing.T) {
	ctx := t.Context()
	ms := new(int64(1701245041796))
	for _, tt := range []struct {
		call         func(*Client) (any, error)
		sent, answer string
		want         any
	}{
		{
			func(c *Client) (any, error) { return c.SetParticipants(ctx, "c1", "bob", "alice") },
			`{"op":"participants.set","conversationId":"c1","users":["bob","alice"]}`, `{"added":1,"removed":2}`,
			contract.ParticipantsChanged{Added: 1, Removed: 2},
		},
		{
			func(c *Client) (any, error) { return c.SetParticipants(ctx, "c1") },
			`{"op":"participants.set","conversationId":"c1","users":[]}`, `{"added":0,"removed":2}`,
			contract.ParticipantsChanged{Removed: 2},
		},
		{
			func(c *Client) (any, error) { return c.AddParticipants(ctx, "c1", "bob") },
			`{"op":"participants.add","conversationId":"c1","users":["bob"]}`, `{"added":1,"removed":0}`,
			contract.ParticipantsChanged{Added: 1},
		},
		{
			func(c *Client) (any, error) { return c.RemoveParticipants(ctx, "c1", "bob") },
			`{"op":"participants.remove","conversationId":"c1","users":["bob"]}`, `{"added":0,"removed":1}`,
			contract.ParticipantsChanged{Removed: 1},
		},
		{
			func(c *Client) (any, error) { return c.ListParticipants(ctx, "c1", "") },
			`{"op":"participants.list","conversationId":"c1"}`, `{"users":["alice"],"next":"alice"}`,
			contract.ParticipantsPage{Users: []string{"alice"}, Next: "alice"},
		},
		{
			func(c *Client) (any, error) { return c.ListParticipants(ctx, "c1", "alice") },
			`{"op":"participants.list","conversationId":"c1","next":"alice"}`, `{"users":[]}`,
			contract.ParticipantsPage{Users: []string{}},
		},
		{
			func(c *Client) (any, error) { return c.JoinGroup(ctx, "g1", "bob") },
			`{"op":"groups.join","groupId":"g1","users":["bob"]}`, `{"sockets":1,"refused":[{"socketId":"a=","userId":"bob","reason":"gone"}]}`,
			contract.GroupChanged{Sockets: 1, Refused: []contract.SocketRefused{{SocketID: "a=", UserID: "bob", Reason: contract.RefusedGone}}},
		},
		{
			func(c *Client) (any, error) { return c.LeaveGroup(ctx, "g1", "bob") },
			`{"op":"groups.leave","groupId":"g1","users":["bob"]}`, `{"sockets":0,"refused":[]}`,
			contract.GroupChanged{Refused: []contract.SocketRefused{}},
		},
		{
			func(c *Client) (any, error) {
				return c.DisconnectSockets(ctx, contract.DisconnectSockets{Users: []string{"bob"}, Reason: "r", DenySeconds: new(0)})
			},
			`{"op":"sockets.disconnect","users":["bob"],"reason":"r","denySeconds":0}`, `{"published":{"event":"system:disconnect","matched":1,"delivered":1,"gone":0,"failed":0,"duplicate":false},"denied":["bob"],"deniedUntil":1701245041796}`,
			contract.SocketsDisconnected{Published: contract.Published{Event: "system:disconnect", Matched: 1, Delivered: 1}, Denied: []string{"bob"}, DeniedUntil: ms},
		},
		{
			func(c *Client) (any, error) { return c.ReadPresence(ctx, "bob") },
			`{"op":"presence.read","users":["bob"]}`, `{"presence":[{"userId":"bob","isOnline":false,"lastSeen":null,"sockets":[]}]}`,
			[]contract.PresenceSnapshot{{UserID: "bob", Sockets: []contract.PresenceSocket{}}},
		},
		{
			func(c *Client) (any, error) { return c.ListConnections(ctx, "bob") },
			`{"op":"connections.list","userId":"bob"}`, `{"userId":"bob","deniedUntil":null,"connections":[{"socketId":"a=","protocol":"json","connectedAt":1,"lastSeen":null,"tokenExpiry":1701245041796,"userAgent":null,"ip":null,"rooms":["group:g1"]}]}`,
			contract.UserConnections{UserID: "bob", Connections: []contract.Connection{{SocketID: "a=", Protocol: "json", ConnectedAt: 1, TokenExpiry: ms, Rooms: []string{"group:g1"}}}},
		},
		{
			func(c *Client) (any, error) { return c.ListRooms(ctx, "a=") },
			`{"op":"rooms.list","connectionId":"a="}`, `{"connectionId":"a=","userId":"bob","protocol":"json","connectedAt":1,"rooms":[]}`,
			&contract.ConnectionRooms{ConnectionID: "a=", UserID: "bob", Protocol: "json", ConnectedAt: 1, Rooms: []string{}},
		},
		{
			func(c *Client) (any, error) { return c.ListRooms(ctx, "a=") },
			`{"op":"rooms.list","connectionId":"a="}`, `null`, (*contract.ConnectionRooms)(nil),
		},
		{
			func(c *Client) (any, error) { return c.ReadPublish(ctx, "p1") },
			`{"op":"publishes.read","id":"p1"}`, `{"id":"p1","state":"done","event":"e","matched":1,"delivered":1,"gone":0,"failed":0,"queued":0}`,
			&contract.PublishStatus{ID: "p1", State: "done", Event: "e", Matched: 1, Delivered: 1},
		},
		{
			func(c *Client) (any, error) { return c.ReadPublish(ctx, "p1") },
			`{"op":"publishes.read","id":"p1"}`, `null`, (*contract.PublishStatus)(nil),
		},
	} {
		c, sent := answering(t, tt.answer)
		got, err := tt.call(c)
		if err != nil {
			t.Errorf("%s: %v", tt.sent, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.sent, diff)
		}
		if *sent != "rt-control "+tt.sent {
			t.Errorf("sent %s\nwant %s", *sent, tt.sent)
		}
		if _, err := contract.ParseControl(json.RawMessage(tt.sent)); err != nil {
			t.Errorf("the function refuses %s: %v", tt.sent, err)
		}
	}
}

var notification = contract.Publish{
	ID: `"data":null & <b>`, Event: contract.NotificationsNew,
	Data:   json.RawMessage(`{ "eventKey":"k" , "notification": {"html":"<b>&</b>", "n": 1.50e2, "u":"\u0041"} }`),
	To:     &contract.Audience{Users: []string{"alice"}, Groups: []string{"g1"}},
	Except: contract.Except{Connections: []string{"a="}},
}

const sentNotification = `{"id":"\"data\":null \u0026 \u003cb\u003e","event":"notifications:new",` +
	`"data":{ "eventKey":"k" , "notification": {"html":"<b>&</b>", "n": 1.50e2, "u":"\u0041"} },` +
	`"to":{"users":["alice"],"groups":["g1"]},"except":{"connections":["a="]}}`

// The data of a publish travels byte for byte, and the function reads what was meant.
func TestPublish(t *testing.T) {
	c, sent := answering(t, `{"id":"x","event":"notifications:new","matched":5,"delivered":1,"gone":1,"failed":1,"queued":2,"duplicate":true}`)
	got, err := c.Publish(t.Context(), notification)
	want := contract.Published{ID: "x", Event: "notifications:new", Matched: 5, Delivered: 1, Gone: 1, Failed: 1, Queued: 2, Duplicate: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if *sent != "rt-publish "+sentNotification {
		t.Errorf("sent %s\nwant %s", *sent, sentNotification)
	}
	parsed, err := contract.ParsePublish(json.RawMessage(sentNotification))
	if err != nil || !reflect.DeepEqual(*parsed, notification) {
		t.Errorf("the function reads %+v, %v", parsed, err)
	}
}

func TestPublishAsync(t *testing.T) {
	c, sent := answering(t, "")
	if err := c.PublishAsync(t.Context(), notification); err != nil || *sent != "rt-publish "+sentNotification+" "+string(types.InvocationTypeEvent) {
		t.Errorf("sent %s, %v", *sent, err)
	}
	*sent = ""
	wrong := notification
	wrong.To = nil
	err := c.PublishAsync(t.Context(), wrong)
	if refused, ok := errors.AsType[*contract.ValidationError](err); !ok || refused.Field != "to" || *sent != "" {
		t.Errorf("%v, sent %q", err, *sent)
	}
	throttled := &types.TooManyRequestsException{}
	c.api = api(func(*lambda.InvokeInput) (*lambda.InvokeOutput, error) { return nil, throttled })
	if err := c.PublishAsync(t.Context(), notification); !errors.Is(err, throttled) {
		t.Error(err)
	}
}

// Data that is no JSON goes nowhere, because it would be spliced into the request; no data is the function's to refuse.
func TestPublishData(t *testing.T) {
	for _, data := range []string{`{`, `{}}`, `{},"to":{"all":true}`, ` `, `undefined`} {
		c, sent := answering(t, `{}`)
		_, err := c.Publish(t.Context(), contract.Publish{Event: contract.NotificationsNew, Data: json.RawMessage(data)})
		if refused, ok := errors.AsType[*contract.ValidationError](err); !ok || refused.Field != "data" || *sent != "" {
			t.Errorf("%s: %v, sent %q", data, err, *sent)
		}
	}
	c, sent := answering(t, `{}`)
	if _, err := c.Publish(t.Context(), contract.Publish{Event: "e"}); err != nil || *sent != `rt-publish {"event":"e","data":null}` {
		t.Errorf("sent %s, %v", *sent, err)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		payload string
		want    error
		message string
	}{
		{
			`{"errorMessage":"data.recipients[2]: must be: a string","errorType":"ValidationError"}`,
			&contract.ValidationError{Field: "data.recipients[2]", Message: "must be: a string"}, "rt-publish: data.recipients[2]: must be: a string",
		},
		{
			`{"errorMessage":"id: a publish with this id is still in progress, try again in a few seconds","errorType":"PublishInProgress"}`,
			&contract.PublishInProgress{ID: "p1"}, "rt-publish: id: a publish with this id is still in progress, try again in a few seconds",
		},
		{
			`{"errorMessage":"store: throttled","errorType":"wrapError"}`,
			&FunctionError{Type: "wrapError", Message: "store: throttled"}, "rt-publish: wrapError: store: throttled",
		},
		{`{"errorMessage":"Task timed out after 50.00 seconds"}`, &FunctionError{Message: "Task timed out after 50.00 seconds"}, "rt-publish: Task timed out after 50.00 seconds"},
		{`Runtime exited`, &FunctionError{Message: "Runtime exited"}, "rt-publish: Runtime exited"},
	} {
		c := New(api(func(*lambda.InvokeInput) (*lambda.InvokeOutput, error) {
			return &lambda.InvokeOutput{StatusCode: 200, FunctionError: new("Unhandled"), Payload: []byte(tt.payload)}, nil
		}), Functions{Publish: "rt-publish"})
		got, err := c.Publish(t.Context(), contract.Publish{ID: "p1", Event: "e"})
		if err == nil || err.Error() != tt.message || got != (contract.Published{}) {
			t.Errorf("%+v, %v, want %s", got, err, tt.message)
			continue
		}
		if found := errors.Unwrap(err); !reflect.DeepEqual(found, tt.want) {
			t.Errorf("wraps %#v, want %#v", found, tt.want)
		}
	}
	failed := errors.New("no route to host")
	c := New(api(func(*lambda.InvokeInput) (*lambda.InvokeOutput, error) { return nil, failed }), Functions{Control: "rt-control"})
	if _, err := c.ReadPresence(t.Context(), "alice"); !errors.Is(err, failed) || err.Error() != "rt-control: no route to host" {
		t.Error(err)
	}
	c, _ = answering(t, `<html>`)
	if _, err := c.ListRooms(t.Context(), "a="); err == nil {
		t.Error("an answer that is none was read")
	}
}
