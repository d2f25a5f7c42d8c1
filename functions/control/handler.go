package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/logs"
)

type rule interface {
	Do(ctx context.Context, req contract.ControlRequest) (any, error)
}

type control struct {
	rule rule
}

// answer is what the rule answers.
type answer struct {
	body any
	op   string // for the log
}

// MarshalJSON implements json.Marshaler.
func (a answer) MarshalJSON() ([]byte, error) { return json.Marshal(a.body) }

// handle takes a request of a backend. Lambda reports the type of an error to the caller by its name, so
// *contract.ValidationError is returned as it is.
func (c *control) handle(ctx context.Context, raw json.RawMessage) (answer, error) {
	req, err := contract.ParseControl(raw)
	if err != nil {
		return answer{}, err
	}
	body, err := c.rule.Do(ctx, req)
	return answer{body: body, op: req.Operation()}, err
}

func describe(_ json.RawMessage, a answer, err error) (outcome string, attrs []slog.Attr) {
	if a.op != "" {
		attrs = append(attrs, slog.String("op", a.op))
	}
	if d, ok := a.body.(*contract.SocketsDisconnected); ok {
		attrs = append(attrs, slog.Int("matched", d.Published.Matched), slog.Int("failed", d.Published.Failed), slog.Int("denied", len(d.Denied)))
	}
	if invalid, ok := errors.AsType[*contract.ValidationError](err); ok {
		return logs.Refused, append(attrs, slog.String("field", invalid.Field))
	}
	if err != nil {
		return logs.Failed, attrs
	}
	return logs.OK, attrs
}
