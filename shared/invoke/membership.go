package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/contract"
)

// membershipTimeout is how long a join waits for the team's function.
const membershipTimeout = 2 * time.Second

// Membership is the team's own function that says who takes part in a conversation: a realtime.Members.
type Membership struct {
	client   API
	function string
	timeout  time.Duration
}

// NewMembership takes the function's ARN. It is invoked with {"userId", "conversationId"} and answers {"allowed", "message"};
// message is for the client, and optional.
func NewMembership(client API, function string) *Membership {
	return &Membership{client, function, membershipTimeout}
}

// Allowed returns nil for a participant and a *contract.Error with Forbidden for anybody else. No answer in time, a failure and
// an answer of another shape are other errors.
func (m *Membership) Allowed(ctx context.Context, user, conversation string) error {
	answer, err := m.ask(ctx, user, conversation)
	if err != nil {
		return fmt.Errorf("membership of %s in %s: %w", user, conversation, err)
	}
	if answer.Allowed == nil {
		return fmt.Errorf(`membership of %s in %s: the answer has no "allowed"`, user, conversation)
	}
	if *answer.Allowed {
		return nil
	}
	if answer.Message == "" {
		answer.Message = "you do not take part in this conversation"
	}
	return &contract.Error{Code: contract.Forbidden, Message: answer.Message}
}

type membership struct {
	Allowed *bool  `json:"allowed"`
	Message string `json:"message"`
}

func (m *Membership) ask(ctx context.Context, user, conversation string) (membership, error) {
	payload, err := json.Marshal(struct {
		UserID         string `json:"userId"`
		ConversationID string `json:"conversationId"`
	}{user, conversation})
	if err != nil {
		return membership{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	out, err := m.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &m.function, Payload: payload})
	switch {
	case err != nil:
		return membership{}, err
	case out.FunctionError != nil: // its message may be anything: it has a log of its own
		return membership{}, errors.New("the function failed: " + aws.ToString(out.FunctionError))
	}
	var answer membership
	if err := json.Unmarshal(out.Payload, &answer); err != nil {
		return membership{}, errors.New(`the answer is not {"allowed": true | false, "message": "..."}`)
	}
	return answer, nil
}
