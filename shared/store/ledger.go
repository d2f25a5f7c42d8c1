package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Ledger is the PUBLISH items: realtime.Ledger and realtime.Publishes.
type Ledger struct{ *table }

// States of a publish, as stored.
const (
	inflight = "inflight"
	done     = "done"
)

type publishRow struct {
	State  string `dynamodbav:"state"`
	Owner  string `dynamodbav:"owner"`
	Lease  int64  `dynamodbav:"lease"` // s; no attribute when done
	Hash   string `dynamodbav:"hash"`
	Result string `dynamodbav:"result,omitempty"`
	Exp    int64  `dynamodbav:"exp"`
}

// Begin implements realtime.Ledger.
func (l *Ledger) Begin(ctx context.Context, id, owner, hash string, lease time.Time) (result []byte, err error) {
	const op = "claim publish"
	k := publishKey(id)
	now := l.now()
	there, err := l.put(ctx, op, k, publishRow{
		State: inflight,
		Owner: owner,
		Lease: lease.Unix(),
		Hash:  hash,
		Exp:   now.Add(contract.PublishIDTTL).Unix(),
	}, &dynamodb.PutItemInput{
		ConditionExpression: new("attribute_not_exists(#pk) OR #exp < :now OR" +
			" (#state = :inflight AND #lease < :now AND #hash = :hash)"),
		ExpressionAttributeValues: values{
			":now":      number(now.Unix()),
			":inflight": text(inflight),
			":hash":     text(hash),
		},
	})
	if !errors.Is(err, errCondition) {
		return nil, err
	}
	var row publishRow
	if err := decode(op, k, there, &row); err != nil {
		return nil, err
	}
	switch {
	case row.Hash != hash:
		return nil, realtime.ErrChanged
	case row.State == done:
		return []byte(row.Result), nil
	case row.Owner == owner: // our own request, sent again by the SDK
		return nil, nil
	}
	return nil, realtime.ErrBusy
}

// End implements realtime.Ledger.
func (l *Ledger) End(ctx context.Context, id, owner string, result []byte) error {
	_, err := l.update(ctx, "end publish", publishKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #state = :done, #result = :result REMOVE #lease"),
		ConditionExpression: new("#owner = :owner"),
		ExpressionAttributeValues: values{
			":done":   text(done),
			":result": text(string(result)),
			":owner":  text(owner),
		},
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrBusy
	}
	return err
}

// Release implements realtime.Ledger. A claim that is lost, or done, stays as it is.
func (l *Ledger) Release(ctx context.Context, id, owner string) error {
	_, err := l.delete(ctx, "release publish", publishKey(id), &dynamodb.DeleteItemInput{
		ConditionExpression:       new("#owner = :owner AND #state = :inflight"),
		ExpressionAttributeValues: values{":owner": text(owner), ":inflight": text(inflight)},
	})
	if errors.Is(err, errCondition) {
		return nil
	}
	return err
}

// Read implements realtime.Publishes.
func (l *Ledger) Read(ctx context.Context, id string) (contract.PublishStatus, error) {
	const op = "read publish"
	k := publishKey(id)
	there, err := l.get(ctx, op, k, true)
	if err != nil {
		return contract.PublishStatus{}, err
	}
	var row publishRow
	if err := decode(op, k, there, &row); err != nil {
		return contract.PublishStatus{}, err
	}
	if there == nil || l.expired(row.Exp) {
		return contract.PublishStatus{}, realtime.ErrNotFound
	}
	status := contract.PublishStatus{ID: id, State: contract.PublishInFlight}
	if row.State != done {
		return status, nil
	}
	var answer contract.Published
	if err := json.Unmarshal([]byte(row.Result), &answer); err != nil {
		return contract.PublishStatus{}, failure(op, k, err)
	}
	status.State, status.Event = contract.PublishDone, answer.Event
	status.Matched, status.Delivered, status.Gone, status.Failed = answer.Matched, answer.Delivered, answer.Gone, answer.Failed
	return status, nil
}
