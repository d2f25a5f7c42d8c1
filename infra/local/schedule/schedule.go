// Package schedule is the part of EventBridge that the project uses, on one machine: rules that invoke a function at a fixed rate.
package schedule

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// Rule invokes one function at a fixed rate.
type Rule struct {
	ARN      string
	Function string
	Every    time.Duration // more than zero
	Input    string        // JSON that the function gets; "" is the event of Source
	Source   string        // "aws.events" (a rule) or "aws.scheduler" (EventBridge Scheduler)
}

// Invoke hands an event to a function without waiting for its end, as EventBridge does.
type Invoke func(ctx context.Context, function string, event []byte) error

// Run ticks until ctx is done, and returns when the last invocation it made has returned. The first tick of a rule comes when Every
// is over. A tick does not wait for the one before it.
func Run(ctx context.Context, rules []Rule, account, region string, invoke Invoke, log *slog.Logger) {
	var running sync.WaitGroup
	for _, rule := range rules {
		running.Go(func() {
			ticker := time.NewTicker(rule.Every)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case now := <-ticker.C:
					running.Go(func() {
						event, err := rule.event(now, account, region)
						if err == nil {
							err = invoke(ctx, rule.Function, event)
						}
						if err != nil && ctx.Err() == nil {
							log.Warn("scheduled event lost", "function", rule.Function, "error", err)
						}
					})
				}
			}
		})
	}
	running.Wait()
}

// event is what a scheduled function gets: the rule's Input, or "Scheduled Event" (EventBridge user guide, "Events from EventBridge
// schedules"; EventBridge Scheduler has its detail as a string).
func (r Rule) event(now time.Time, account, region string) ([]byte, error) {
	if r.Input != "" {
		return []byte(r.Input), nil
	}
	var detail any = struct{}{}
	if r.Source == "aws.scheduler" {
		detail = "{}"
	}
	id, err := smithyrand.NewUUID(rand.Reader).GetUUID()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Version    string   `json:"version"`
		ID         string   `json:"id"`
		DetailType string   `json:"detail-type"`
		Source     string   `json:"source"`
		Account    string   `json:"account"`
		Time       string   `json:"time"`
		Region     string   `json:"region"`
		Resources  []string `json:"resources"`
		Detail     any      `json:"detail"`
	}{"0", id, "Scheduled Event", r.Source, account, now.UTC().Format(time.RFC3339), region, []string{r.ARN}, detail})
}
