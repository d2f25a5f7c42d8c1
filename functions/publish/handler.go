package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/realtime"
)

type rules interface {
	Publish(ctx context.Context, req *contract.Publish, raw json.RawMessage) (contract.Published, error)
	Do(ctx context.Context, job realtime.Job) error
}

type publish struct {
	rules rules
}

// answer is a contract.Published, or {} to a job.
type answer struct {
	*contract.Published

	job   string // which one it was, for the log
	event string
}

// handle takes a publish request, or a job of the other functions. Lambda reports the type of an error to the caller by its
// name, so *contract.ValidationError and *contract.PublishInProgress are returned as they are.
func (p *publish) handle(ctx context.Context, raw json.RawMessage) (answer, error) {
	if job, err := parseJob(raw); job != nil || err != nil {
		if err != nil {
			return answer{}, err
		}
		return answer{job: kind(*job)}, p.rules.Do(ctx, *job)
	}
	req, err := contract.ParsePublish(raw)
	if err != nil {
		return answer{}, err
	}
	published, err := p.rules.Publish(ctx, req, raw)
	if err != nil {
		return answer{event: req.Event}, err
	}
	return answer{Published: &published, event: req.Event}, nil
}

// parseJob returns nil when there is no job in the request.
func parseJob(raw json.RawMessage) (*realtime.Job, error) {
	var request map[string]json.RawMessage
	if err := json.Unmarshal(raw, &request); err != nil {
		return nil, nil //nolint:nilerr,nilnil // ParsePublish says what is wrong
	}
	job, ok := request["job"]
	switch {
	case !ok:
		return nil, nil //nolint:nilnil // a publish request
	case len(request) > 1:
		return nil, &contract.ValidationError{Field: "job", Message: "comes alone: it is for this service's own functions"}
	}
	j := &realtime.Job{}
	if err := json.Unmarshal(job, j); err != nil {
		return nil, &contract.ValidationError{Field: "job", Message: "must be an object with one of open, welcome, refuse, presence, verify, fanout"}
	}
	return j, nil
}

func kind(job realtime.Job) string {
	switch {
	case job.Open != nil:
		return "open"
	case job.Welcome != nil:
		return "welcome"
	case job.Refuse != nil:
		return "refuse"
	case job.Presence != nil:
		return "presence"
	case job.Verify != nil:
		return "verify"
	case job.Fanout != nil:
		return "fanout"
	}
	return ""
}

func describe(_ json.RawMessage, a answer, err error) (outcome string, attrs []slog.Attr) {
	if a.job != "" {
		attrs = append(attrs, slog.String("job", a.job))
	}
	if a.event != "" {
		attrs = append(attrs, slog.String("event", a.event))
	}
	if p := a.Published; p != nil {
		attrs = append(attrs, slog.Int("matched", p.Matched), slog.Int("delivered", p.Delivered), slog.Int("gone", p.Gone),
			slog.Int("failed", p.Failed), slog.Int("queued", p.Queued), slog.Bool("duplicate", p.Duplicate))
	}
	if invalid, ok := errors.AsType[*contract.ValidationError](err); ok {
		return logs.Refused, append(attrs, slog.String("field", invalid.Field))
	}
	if _, ok := errors.AsType[*contract.PublishInProgress](err); ok {
		return "in_progress", attrs
	}
	if err != nil {
		return logs.Failed, attrs
	}
	return logs.OK, attrs
}
