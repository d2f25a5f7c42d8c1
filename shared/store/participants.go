package store

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/contract"
)

// Participants are the PART rows, which have a key and nothing else: realtime.Participants and Members.
type Participants struct{ *table }

// Allowed implements realtime.Members.
func (p *Participants) Allowed(ctx context.Context, user, conversation string) error {
	found, err := p.get(ctx, "read participant", participantKey(conversation, user), true)
	if err == nil && found == nil {
		return &contract.Error{Code: contract.Forbidden, Message: "you do not take part in this conversation"}
	}
	return err
}

// Add implements realtime.Participants.
func (p *Participants) Add(ctx context.Context, conversation, user string) (bool, error) {
	before, err := p.put(ctx, "add participant", participantKey(conversation, user), struct{}{}, &dynamodb.PutItemInput{
		ReturnValues: types.ReturnValueAllOld,
	})
	return err == nil && before == nil, err
}

// Remove implements realtime.Participants.
func (p *Participants) Remove(ctx context.Context, conversation, user string) (bool, error) {
	before, err := p.delete(ctx, "remove participant", participantKey(conversation, user), &dynamodb.DeleteItemInput{
		ReturnValues: types.ReturnValueAllOld,
	})
	return before != nil, err
}

// List implements realtime.Participants, consistent. A page has as many users as one request may name.
func (p *Participants) List(ctx context.Context, conversation, after string) (users []string, next string, err error) {
	var rows []struct {
		SK string `dynamodbav:"sk"`
	}
	if after != "" {
		after = participantPrefix + after
	}
	// One more than the page tells whether it is the last. They are below DynamoDB's own page of 1 MB: a row has a key
	// of at most 280 bytes.
	_, err = p.query(ctx, "list participants", participantKey(conversation, ""), after, &dynamodb.QueryInput{
		ConsistentRead: new(true),
		Limit:          pageOf(contract.MaxUsersPerRequest + 1),
	}, &rows)
	if err != nil {
		return nil, "", err
	}
	for i, row := range rows {
		if i == contract.MaxUsersPerRequest {
			return users, users[i-1], nil
		}
		users = append(users, strings.TrimPrefix(row.SK, participantPrefix))
	}
	return users, "", nil
}
