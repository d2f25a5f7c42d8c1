package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/realtime"
)

type rules interface {
	Sweep(ctx context.Context) error
	Work(ctx context.Context, w realtime.Worker) error
}

type sweep struct {
	rules rules
}

// handle does one run, whatever is in the event of the schedule, or the part of one that sweep has asked itself for.
func (s *sweep) handle(ctx context.Context, raw json.RawMessage) (struct{}, error) {
	var event struct {
		Worker *realtime.Worker `json:"worker"`
	}
	if err := json.Unmarshal(raw, &event); err == nil && event.Worker != nil {
		return struct{}{}, s.rules.Work(ctx, *event.Worker)
	}
	return struct{}{}, s.rules.Sweep(ctx)
}

func describe(_ json.RawMessage, _ struct{}, err error) (outcome string, attrs []slog.Attr) {
	if err != nil {
		return logs.Failed, nil
	}
	return logs.OK, nil
}
