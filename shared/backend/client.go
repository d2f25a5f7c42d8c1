// Package backend is the service as a backend in Go uses it: it publishes events and asks control, by invoking the two
// functions.
//
// Every error has the function's name in front. Behind it errors.As finds a *contract.ValidationError (the request breaks
// the contract; nothing was done), a *contract.PublishInProgress (another invocation is at work on this id; try again in a
// few seconds), a *FunctionError (the function failed), or what the AWS SDK says (it could not be invoked).
//
// Retries: the SDK sends a request again whose answer is lost, and a caller may as well. A publish with an ID is safe to
// repeat for 24 hours: the second gets the first's answer. One without may reach its sockets twice. Control's operations
// may all be repeated; repeating one that failed half-way completes it.
//
// Timeouts: a publish, and so DisconnectSockets, takes up to 50 seconds. The HTTP client of the SDK for Go waits for as
// long as the context lets it; one with a timeout of its own needs more than that. Set a deadline on the context.
package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/contract"
)

// API is the part of *lambda.Client that is used.
type API interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Functions are the names or ARNs of the functions: the stack's outputs PublishFunctionName and ControlFunctionName. One
// that is not used may be empty.
type Functions struct {
	Publish string
	Control string
}

// Client invokes the functions. It may be used concurrently.
type Client struct {
	api       API
	functions Functions
}

// New takes a *lambda.Client.
func New(api API, functions Functions) *Client { return &Client{api, functions} }

// Publish sends an event and says what became of it.
func (c *Client) Publish(ctx context.Context, req contract.Publish) (contract.Published, error) {
	request, err := encode(req)
	if err != nil {
		return contract.Published{}, failure(c.functions.Publish, err)
	}
	answer, err := call[contract.Published](ctx, c.api, c.functions.Publish, request)
	if busy, ok := errors.AsType[*contract.PublishInProgress](err); ok {
		busy.ID = req.ID
	}
	return answer, err
}

// PublishAsync queues an event and returns at once; nobody will say what became of it. The request is checked here, but for
// the size of its event, because a refusal by the function would go to the failure queue.
func (c *Client) PublishAsync(ctx context.Context, req contract.Publish) error {
	request, err := encode(req)
	if err == nil {
		_, err = contract.ParsePublish(request)
	}
	if err != nil {
		return failure(c.functions.Publish, err)
	}
	return InvokeAsync(ctx, c.api, c.functions.Publish, request)
}

// SetParticipants says that exactly these users take part in a conversation.
func (c *Client) SetParticipants(ctx context.Context, conversation string, users ...string) (contract.ParticipantsChanged, error) {
	return c.participants(ctx, contract.ParticipantsSet, conversation, users)
}

// AddParticipants says that these users take part in a conversation too.
func (c *Client) AddParticipants(ctx context.Context, conversation string, users ...string) (contract.ParticipantsChanged, error) {
	return c.participants(ctx, contract.ParticipantsAdd, conversation, users)
}

// RemoveParticipants says that these users take part in a conversation no longer. After the answer they hear nothing more of
// it.
func (c *Client) RemoveParticipants(ctx context.Context, conversation string, users ...string) (contract.ParticipantsChanged, error) {
	return c.participants(ctx, contract.ParticipantsRemove, conversation, users)
}

func (c *Client) participants(ctx context.Context, op, conversation string, users []string) (contract.ParticipantsChanged, error) {
	if users == nil {
		users = []string{}
	}
	return control[contract.ParticipantsChanged](ctx, c, contract.Participants{Op: op, ConversationID: conversation, Users: users})
}

// ListParticipants is a page of those who take part in a conversation. next is the Next of the page before, "" for the
// first.
func (c *Client) ListParticipants(ctx context.Context, conversation, next string) (contract.ParticipantsPage, error) {
	return control[contract.ParticipantsPage](ctx, c, contract.Participants{Op: contract.ParticipantsList, ConversationID: conversation, Next: next})
}

// JoinGroup brings the present sockets of the users into a group's room. Those that connect later are not in it.
func (c *Client) JoinGroup(ctx context.Context, group string, users ...string) (contract.GroupChanged, error) {
	return control[contract.GroupChanged](ctx, c, contract.Group{Op: contract.GroupsJoin, GroupID: group, Users: users})
}

// LeaveGroup takes the present sockets of the users out of a group's room.
func (c *Client) LeaveGroup(ctx context.Context, group string, users ...string) (contract.GroupChanged, error) {
	return control[contract.GroupChanged](ctx, c, contract.Group{Op: contract.GroupsLeave, GroupID: group, Users: users})
}

// DisconnectSockets sends system:disconnect, then closes the connections, and may keep their users out for a while.
func (c *Client) DisconnectSockets(ctx context.Context, req contract.DisconnectSockets) (contract.SocketsDisconnected, error) {
	req.Op = contract.SocketsDisconnect
	return control[contract.SocketsDisconnected](ctx, c, req)
}

// ReadPresence says who of at most 100 users is there, in their order.
func (c *Client) ReadPresence(ctx context.Context, users ...string) ([]contract.PresenceSnapshot, error) {
	answer, err := control[contract.PresenceList](ctx, c, contract.ReadPresence{Op: contract.PresenceRead, Users: users})
	return answer.Presence, err
}

// ListConnections lists a user's connections.
func (c *Client) ListConnections(ctx context.Context, user string) (contract.UserConnections, error) {
	return control[contract.UserConnections](ctx, c, contract.ListConnections{Op: contract.ConnectionsList, UserID: user})
}

// ListRooms lists the rooms of a connection; nil where it is not there.
func (c *Client) ListRooms(ctx context.Context, connection string) (*contract.ConnectionRooms, error) {
	return control[*contract.ConnectionRooms](ctx, c, contract.ListRooms{Op: contract.RoomsList, ConnectionID: connection})
}

// ReadPublish says what has become of a publish so far; nil for an id that was not published within 24 hours. One that is
// contract.PublishInterrupted goes on when it is published again with its id.
func (c *Client) ReadPublish(ctx context.Context, id string) (*contract.PublishStatus, error) {
	return control[*contract.PublishStatus](ctx, c, contract.ReadPublish{Op: contract.PublishesRead, ID: id})
}

// control invokes the control function with a request of the contract.
func control[A any](ctx context.Context, c *Client, req any) (answer A, err error) {
	request, err := json.Marshal(req)
	if err != nil {
		return answer, failure(c.functions.Control, err)
	}
	return call[A](ctx, c.api, c.functions.Control, request)
}

func call[A any](ctx context.Context, api API, function string, request []byte) (answer A, err error) {
	raw, err := Invoke(ctx, api, function, request)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, failure(function, err)
	}
	return answer, nil
}

// encode is a request with its data byte for byte, which encoding/json would compact and escape.
func encode(req contract.Publish) ([]byte, error) {
	data := req.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	if !json.Valid(data) {
		return nil, &contract.ValidationError{Field: "data", Message: "must be JSON"}
	}
	req.Data = nil
	request, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	const none = `"data":null` // in no string, where quotes are escaped
	return bytes.Replace(request, []byte(none), append([]byte(`"data":`), data...), 1), nil
}
