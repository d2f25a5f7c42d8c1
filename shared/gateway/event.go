// Package gateway translates between API Gateway's WebSocket events and the types of the rules.
package gateway

import (
	"encoding/base64"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Event is what API Gateway invokes the functions of the routes with.
type Event = events.APIGatewayWebsocketProxyRequest

// Response is what API Gateway wants back. Only $connect's reaches a client: a status of 200 opens the connection, any other
// is the status of the handshake.
type Response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
}

// Types of events (requestContext.eventType). A message whose event is named $connect is a MESSAGE all the same.
const (
	typeConnect    = "CONNECT"
	typeMessage    = "MESSAGE"
	typeDisconnect = "DISCONNECT"
)

// WrongType says that an event is not of the kind that its function serves.
type WrongType struct {
	Got, Want string
}

// Error implements error.
func (e *WrongType) Error() string {
	return fmt.Sprintf("requestContext.eventType is %q, this function serves %s", e.Got, e.Want)
}

func check(e Event, want string) (realtime.Identity, error) {
	if e.RequestContext.EventType != want {
		return realtime.Identity{}, &WrongType{Got: e.RequestContext.EventType, Want: want}
	}
	if e.RequestContext.ConnectionID == "" {
		return realtime.Identity{}, fmt.Errorf("%s event: no requestContext.connectionId", want)
	}
	id, err := identity(e.RequestContext.Authorizer)
	if err != nil {
		return realtime.Identity{}, fmt.Errorf("%s event: requestContext.authorizer: %w", want, err)
	}
	return id, nil
}

// Connected reads a $connect event. The error is a *WrongType, or says that the event is not API Gateway's.
func Connected(e Event) (realtime.Connected, error) {
	id, err := check(e, typeConnect)
	if err != nil {
		return realtime.Connected{}, err
	}
	return realtime.Connected{
		ConnectionID: e.RequestContext.ConnectionID,
		Identity:     id,
		ConnectedAt:  connectedAt(e),
		At:           at(e),
		UserAgent:    clip(e.RequestContext.Identity.UserAgent, contract.MaxUserAgentBytes),
		IP:           e.RequestContext.Identity.SourceIP,
	}, nil
}

// Disconnected reads a $disconnect event. Errors are as Connected's.
func Disconnected(e Event) (realtime.Disconnected, error) {
	id, err := check(e, typeDisconnect)
	if err != nil {
		return realtime.Disconnected{}, err
	}
	return realtime.Disconnected{
		ConnectionID: e.RequestContext.ConnectionID,
		Identity:     id,
		ConnectedAt:  connectedAt(e),
		At:           at(e),
	}, nil
}

// Message reads the event of a client's message, of any route. Errors are as Connected's.
func Message(e Event) (realtime.Message, error) {
	id, err := check(e, typeMessage)
	if err != nil {
		return realtime.Message{}, err
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return realtime.Message{}, fmt.Errorf("%s event: body is not base64", typeMessage)
		}
	}
	return realtime.Message{
		ConnectionID: e.RequestContext.ConnectionID,
		Identity:     id,
		ConnectedAt:  connectedAt(e),
		At:           at(e),
		UserAgent:    clip(e.RequestContext.Identity.UserAgent, contract.MaxUserAgentBytes),
		IP:           e.RequestContext.Identity.SourceIP,
		Body:         body,
	}, nil
}

func connectedAt(e Event) time.Time { return time.UnixMilli(e.RequestContext.ConnectedAt) }

func at(e Event) time.Time { return time.UnixMilli(e.RequestContext.RequestTimeEpoch) }

// clip cuts s to at most limit bytes, between characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
