package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// Serve makes a rule the function of a route: it reads the event, calls the rule and answers 200. An event of another type is
// answered with 400 and nothing else; an error is the rule's, or says that the event is not API Gateway's.
func Serve[T any](read func(Event) (T, error), rule func(context.Context, T) error) func(context.Context, Event) (Response, error) {
	return func(ctx context.Context, e Event) (Response, error) {
		in, err := read(e)
		if _, wrong := errors.AsType[*WrongType](err); wrong {
			return Response{StatusCode: http.StatusBadRequest}, nil
		}
		if err == nil {
			err = rule(ctx, in)
		}
		if err != nil {
			return Response{}, err
		}
		return Response{StatusCode: http.StatusOK}, nil
	}
}

// Describe says for the log what an event was and what became of it.
func Describe(e Event, r Response, err error) (outcome string, attrs []slog.Attr) {
	attrs = []slog.Attr{
		slog.String("connection_id", e.RequestContext.ConnectionID),
		slog.String("event_type", e.RequestContext.EventType),
		slog.String("route", e.RequestContext.RouteKey),
	}
	switch {
	case err != nil || r.StatusCode >= http.StatusInternalServerError:
		return "failed", attrs
	case r.StatusCode >= http.StatusBadRequest:
		return "refused", attrs
	}
	return "ok", attrs
}
