package main

import (
	"context"
	"errors"
	"log/slog"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

type tokens interface {
	Verify(ctx context.Context, token string) (realtime.Identity, error)
}

type authorizer struct {
	tokens tokens
	reject bool // a refused token fails the handshake with 401, instead of being told by an event
}

// answer is a gateway.Policy.
type answer struct {
	gateway.Policy

	refused *contract.Error // why, for the log
}

// handle lets refused tokens in as well, with the code in the context, unless they are to fail the handshake: a Socket.IO
// client, which may bring another with its CONNECT, is told there. An error other than gateway.ErrUnauthorized is ours, and
// fails the handshake with 500.
func (a *authorizer) handle(ctx context.Context, e gateway.AuthorizerEvent) (answer, error) {
	protocol, token := gateway.Protocol(e.Event), gateway.Token(e.Event)
	if protocol == wire.SocketIO && token == "" {
		return answer{Policy: gateway.Allow(e, realtime.Identity{Protocol: protocol})}, nil // it comes with CONNECT
	}
	id, err := a.tokens.Verify(ctx, token)
	refused, ok := errors.AsType[*contract.Error](err)
	switch {
	case ok && a.reject && protocol == wire.JSON:
		return answer{refused: refused}, gateway.ErrUnauthorized
	case ok:
		id = realtime.Identity{Refused: refused.Code}
	case err != nil:
		return answer{}, err
	}
	id.Protocol = protocol
	return answer{gateway.Allow(e, id), refused}, nil
}

func describe(e gateway.AuthorizerEvent, a answer, err error) (outcome string, attrs []slog.Attr) {
	attrs = []slog.Attr{
		slog.String("connection_id", e.RequestContext.ConnectionID),
		slog.String("route", e.RequestContext.RouteKey),
	}
	switch {
	case a.refused != nil:
		return logs.Refused, append(attrs, slog.String("code", string(a.refused.Code)), slog.String("reason", a.refused.Message))
	case err != nil:
		return logs.Failed, attrs
	}
	return logs.OK, attrs
}
