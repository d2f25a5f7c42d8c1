package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// AuthorizerEvent is what API Gateway invokes a REQUEST authorizer of a WebSocket API with; the library's type of that name
// lacks the connection's id.
type AuthorizerEvent struct {
	Event
	MethodARN string `json:"methodArn"`
}

// Policy is what the authorizer answers with.
type Policy = events.APIGatewayCustomAuthorizerResponse

// ErrUnauthorized makes API Gateway answer a handshake with 401: the authorizer returns it as it is, by its exact text.
var ErrUnauthorized = errors.New("Unauthorized")

// Names of the authorizer's context, which comes with every event of the connection. Its values are strings.
const (
	contextUserID    = "userId"
	contextExpiresAt = "expiresAt" // seconds since 1970
	contextProtocol  = "protocol"
	contextCode      = "code"
)

// Allow opens the handshake to id, which API Gateway hands to every later event of the connection. A refused identity is
// let in too, so that it can be told why.
func Allow(e AuthorizerEvent, id realtime.Identity) Policy {
	values := map[string]any{contextProtocol: string(id.Protocol)}
	principal := "anonymous"
	switch {
	case id.Refused != "":
		principal = "refused"
		values[contextCode] = string(id.Refused)
	case id.UserID != "":
		principal = id.UserID
		values[contextUserID] = id.UserID
	}
	if !id.ExpiresAt.IsZero() {
		values[contextExpiresAt] = strconv.FormatInt(id.ExpiresAt.Unix(), 10)
	}
	return Policy{
		PrincipalID: principal,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: "Allow", Resource: []string{e.MethodARN}}},
		},
		Context: values,
	}
}

// identity reads back what Allow put into the context.
func identity(authorizer any) (realtime.Identity, error) {
	values, ok := authorizer.(map[string]any)
	if !ok {
		return realtime.Identity{}, errors.New("missing: the $connect route needs the authorizer")
	}
	text := func(name string) string {
		s, _ := values[name].(string)
		return s
	}
	id := realtime.Identity{
		UserID:   text(contextUserID),
		Protocol: wire.Protocol(text(contextProtocol)),
		Refused:  contract.Code(text(contextCode)),
	}
	if !slices.Contains(wire.Protocols, id.Protocol) {
		return realtime.Identity{}, fmt.Errorf("%s: %q is not a protocol", contextProtocol, id.Protocol)
	}
	// A Socket.IO client may bring its token later.
	if (id.Refused == "" && id.Protocol != wire.SocketIO || id.UserID != "") && !contract.ValidID(id.UserID) {
		return realtime.Identity{}, fmt.Errorf("%s: %q is not a user id", contextUserID, id.UserID)
	}
	if expiresAt := text(contextExpiresAt); expiresAt != "" {
		seconds, err := strconv.ParseInt(expiresAt, 10, 64)
		if err != nil {
			return realtime.Identity{}, fmt.Errorf("%s: %q is not a number of seconds", contextExpiresAt, expiresAt)
		}
		id.ExpiresAt = time.Unix(seconds, 0)
	}
	return id, nil
}
