package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"example.org/realtime/shared/logs"
)

type rule interface {
	Sweep(ctx context.Context) error
}

type sweep struct {
	rule rule
}

// handle does one run, whatever is in the event of the schedule.
func (s *sweep) handle(ctx context.Context, _ json.RawMessage) (struct{}, error) {
	return struct{}{}, s.rule.Sweep(ctx)
}

func describe(_ json.RawMessage, _ struct{}, err error) (outcome string, attrs []slog.Attr) {
	if err != nil {
		return logs.Failed, nil
	}
	return logs.OK, nil
}
