package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
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
	Event  string `dynamodbav:"event"`
	Owner  string `dynamodbav:"owner"`
	Lease  int64  `dynamodbav:"lease"` // s
	Hash   string `dynamodbav:"hash"`
	Result string `dynamodbav:"result,omitempty"`
	Exp    int64  `dynamodbav:"exp"`

	// Of one that is split.
	Parts    int   `dynamodbav:"parts,omitempty"`
	Begun    int64 `dynamodbav:"begun,omitempty"`    // ms
	Finished int64 `dynamodbav:"finished,omitempty"` // ms; no attribute before all parts are done
}

// Begin implements realtime.Ledger. What is there of a publish that was split stays: its parts may be at work.
func (l *Ledger) Begin(ctx context.Context, c realtime.Claim) (realtime.Record, error) {
	const op = "claim publish"
	k := publishKey(c.ID)
	now := l.now()
	there, err := l.put(ctx, op, k, publishRow{
		State: inflight,
		Event: c.Event,
		Owner: c.Owner,
		Lease: c.Lease.Unix(),
		Hash:  c.Hash,
		Exp:   now.Add(contract.PublishIDTTL).Unix(),
	}, &dynamodb.PutItemInput{
		ConditionExpression: new("attribute_not_exists(#pk) OR #exp < :now OR" +
			" (#state = :inflight AND #lease < :now AND #hash = :hash AND attribute_not_exists(#parts))"),
		ExpressionAttributeValues: values{
			":now":      number(now.Unix()),
			":inflight": text(inflight),
			":hash":     text(c.Hash),
		},
	})
	if !errors.Is(err, errCondition) {
		return realtime.Record{}, err
	}
	var row publishRow
	if err := decode(op, k, there, &row); err != nil {
		return realtime.Record{}, err
	}
	record := realtime.Record{Done: row.State == done, Answer: []byte(row.Result), Parts: row.Parts, Begun: fromMillis(row.Begun)}
	switch {
	case row.Hash != c.Hash:
		return realtime.Record{}, realtime.ErrChanged
	case record.Done:
		switch dead, err := l.interrupted(ctx, op, c.ID, row); {
		case err != nil:
			return realtime.Record{}, err
		case !dead:
			return record, nil
		}
	case row.Owner == c.Owner: // our own request, sent again by the SDK
		return realtime.Record{}, nil
	case row.Parts == 0 || row.Lease >= now.Unix():
		return realtime.Record{}, realtime.ErrBusy
	}
	record.Done = false
	err = l.takeOver(ctx, op, k, row.Owner, values{":owner": text(c.Owner), ":lease": number(c.Lease.Unix()), ":state": text(inflight)})
	if err != nil {
		return realtime.Record{}, err
	}
	return record, nil
}

// interrupted tells whether the workers of an answered publish have died for good. What the row alone cannot tell costs a read.
func (l *Ledger) interrupted(ctx context.Context, op, id string, row publishRow) (bool, error) {
	now := l.now()
	if row.Parts == 0 || row.Finished != 0 || !givenUp(row.Lease, now) {
		return false, nil
	}
	all, err := l.read(ctx, op, id)
	return err == nil && all.status(id, now).State == contract.PublishInterrupted, err
}

// takeOver gives an item whose lease is over to an owner, unless another was quicker. set is what is written, owner included.
func (t *table) takeOver(ctx context.Context, op string, k key, before string, set values) error {
	var assignments []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		assignments = append(assignments, "#"+name[1:]+" = "+name)
	}
	owner := set[":owner"]
	set[":before"] = text(before)
	there, err := t.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET " + strings.Join(assignments, ", ")),
		ConditionExpression:       new("#owner = :before"),
		ExpressionAttributeValues: set,
	})
	switch {
	case !errors.Is(err, errCondition):
		return err
	case reflect.DeepEqual(there["owner"], owner): // our own request, sent again by the SDK
		return nil
	}
	return realtime.ErrBusy
}

// Split implements realtime.Ledger. The record and its parts expire at the same second.
func (l *Ledger) Split(ctx context.Context, id, owner string, r realtime.Record) error {
	_, err := l.update(ctx, "split publish", publishKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #result = :result, #parts = :parts, #begun = :begun, #exp = :exp"),
		ConditionExpression: new("#owner = :owner"),
		ExpressionAttributeValues: values{
			":result": text(string(r.Answer)),
			":parts":  number(r.Parts),
			":begun":  number(millis(r.Begun)),
			":exp":    number(publishExp(r.Begun)),
			":owner":  text(owner),
		},
	})
	return lost(err)
}

// publishExp is when a publish that was split at that time is forgotten, with its parts.
func publishExp(begun time.Time) int64 { return begun.Add(contract.PublishIDTTL).Unix() }

// lost is realtime.ErrBusy where another owner has the item.
func lost(err error) error {
	if errors.Is(err, errCondition) {
		return realtime.ErrBusy
	}
	return err
}

// End implements realtime.Ledger.
func (l *Ledger) End(ctx context.Context, id, owner string, result []byte) error {
	_, err := l.update(ctx, "end publish", publishKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #state = :done, #result = :result"),
		ConditionExpression: new("#owner = :owner"),
		ExpressionAttributeValues: values{
			":done":   text(done),
			":result": text(string(result)),
			":owner":  text(owner),
		},
	})
	return lost(err)
}

// Release implements realtime.Ledger. A claim that is lost, or done, stays as it is.
func (l *Ledger) Release(ctx context.Context, id, owner string) error {
	_, err := l.delete(ctx, "release publish", publishKey(id), &dynamodb.DeleteItemInput{
		ConditionExpression:       new("#owner = :owner AND #state = :inflight AND attribute_not_exists(#parts)"),
		ExpressionAttributeValues: values{":owner": text(owner), ":inflight": text(inflight)},
	})
	if errors.Is(err, errCondition) {
		return nil
	}
	return err
}

// Finish implements realtime.Ledger.
func (l *Ledger) Finish(ctx context.Context, id string, at time.Time) (contract.PublishStatus, error) {
	const op = "finish publish"
	all, err := l.read(ctx, op, id)
	switch {
	case err != nil:
		return contract.PublishStatus{}, err
	case all.Finished != 0:
		return contract.PublishStatus{}, realtime.ErrExists
	case all.done < all.Parts:
		return contract.PublishStatus{}, realtime.ErrBusy
	}
	_, err = l.update(ctx, op, publishKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET #finished = :finished"),
		ConditionExpression:       new("attribute_exists(#parts) AND attribute_not_exists(#finished)"),
		ExpressionAttributeValues: values{":finished": number(millis(at))},
	})
	switch {
	case errors.Is(err, errCondition):
		return contract.PublishStatus{}, realtime.ErrExists
	case err != nil:
		return contract.PublishStatus{}, err
	}
	return all.status(id, at), nil
}

// Read implements realtime.Publishes.
func (l *Ledger) Read(ctx context.Context, id string) (contract.PublishStatus, error) {
	all, err := l.read(ctx, "read publish", id)
	if err != nil {
		return contract.PublishStatus{}, err
	}
	return all.status(id, l.now()), nil
}

// lastAttempt is how long after the last sign of somebody at work on a publish the last of Lambda's three attempts has begun,
// even where the two before took an invocation's 50 s each and left no sign. The second comes a minute after the first has
// failed, the third two minutes after the second (Lambda developer guide, asynchronous invocation): 280 s, and some for its queue.
const lastAttempt = 5 * time.Minute

// givenUp tells whether nobody is at work any more, nor will be by itself, where the last sign of it is of that second.
func givenUp(sign int64, now time.Time) bool {
	return now.Unix() > sign+int64(lastAttempt/time.Second)
}

// publish is a publish with all of its parts.
type publish struct {
	publishRow
	answer contract.Published // zero: none yet
	done   int                // parts
	counts realtime.Part      // of all parts
	sign   int64              // s: the latest moment at which somebody was, or may have been, at work
}

// read reads a publish and its parts, consistent. realtime.ErrNotFound: there is none, or it has expired.
func (l *Ledger) read(ctx context.Context, op, id string) (p publish, err error) {
	k := key{pk: publishKey(id).pk}
	var rows []struct {
		SK string `dynamodbav:"sk"`
		publishRow
		partCounts
	}
	if _, err := l.query(ctx, op, k, "", &dynamodb.QueryInput{ConsistentRead: new(true)}, &rows); err != nil { // 17 rows at most: one page
		return publish{}, err
	}
	found := false
	for _, row := range rows {
		if l.expired(row.Exp) {
			continue
		}
		p.sign = max(p.sign, row.Lease, row.Ended)
		switch row.SK {
		case alone:
			found, p.publishRow = true, row.publishRow
		default:
			p.counts.Delivered += row.Delivered
			p.counts.Gone += row.Gone
			p.counts.Failed += row.Failed
			if row.Done {
				p.done++
			}
		}
	}
	if !found {
		return publish{}, realtime.ErrNotFound
	}
	if p.Result != "" {
		if err := json.Unmarshal([]byte(p.Result), &p.answer); err != nil {
			return publish{}, failure(op, k, err)
		}
	}
	return p, nil
}

func (p publish) status(id string, now time.Time) contract.PublishStatus {
	s := contract.PublishStatus{ID: id, State: contract.PublishInFlight, Event: p.Event}
	switch {
	case p.Parts == 0 && p.State == done, p.Parts > 0 && p.done == p.Parts:
		s.State = contract.PublishDone
	case givenUp(p.sign, now):
		s.State = contract.PublishInterrupted
	}
	s.Delivered, s.Gone, s.Failed = p.answer.Delivered, p.answer.Gone, p.answer.Failed
	if p.Parts > 0 {
		s.Delivered, s.Gone, s.Failed = p.counts.Delivered, p.counts.Gone, p.counts.Failed
		if s.State != contract.PublishDone {
			s.Queued = max(0, p.answer.Matched-s.Delivered-s.Gone-s.Failed)
		}
	}
	s.Matched = s.Delivered + s.Gone + s.Failed + s.Queued
	return s
}
