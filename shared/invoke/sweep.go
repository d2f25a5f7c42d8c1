package invoke

import (
	"context"
	"fmt"

	"example.org/realtime/shared/realtime"
)

// Sweep is the sweep function: a realtime.Workers.
type Sweep struct {
	client   API
	function string
}

// NewSweep takes the name or ARN of the sweep function.
func NewSweep(client API, function string) *Sweep { return &Sweep{client, function} }

// Start queues a worker; Lambda invokes sweep for it soon, and does not try again: the next minute does.
func (s *Sweep) Start(ctx context.Context, w realtime.Worker) error {
	event := struct {
		Worker realtime.Worker `json:"worker"`
	}{w}
	if err := queue(ctx, s.client, s.function, event); err != nil {
		return fmt.Errorf("ask sweep: %w", err)
	}
	return nil
}
