// Package invoke invokes other functions: publish, for a job, sweep, for a part of its work, and the team's own membership
// function.
package invoke

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"example.org/realtime/shared/realtime"
)

// API is the part of Lambda that is used.
type API interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Publish is the publish function: a realtime.Asker.
type Publish struct {
	client   API
	function string
}

// NewPublish takes the name or ARN of the publish function.
func NewPublish(client API, function string) *Publish { return &Publish{client, function} }

// Ask queues the job; Lambda invokes publish soon, and again when it fails.
func (p *Publish) Ask(ctx context.Context, job realtime.Job) error {
	payload := struct {
		Job realtime.Job `json:"job"`
	}{job}
	if err := queue(ctx, p.client, p.function, payload); err != nil {
		return fmt.Errorf("ask publish: %w", err)
	}
	return nil
}

// queue invokes a function asynchronously.
func queue(ctx context.Context, client API, function string, event any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: payload})
	return err
}
