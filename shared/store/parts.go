package store

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/realtime"
)

// Parts is the WORKER items: realtime.Parts.
type Parts struct{ *table }

type partRow struct {
	Owner string `dynamodbav:"owner"`
	Lease int64  `dynamodbav:"lease"` // s; no attribute while nobody has it
	Depth int    `dynamodbav:"depth"` // of the invocation that had it last
	Exp   int64  `dynamodbav:"exp"`
	partCounts
}

type partCounts struct {
	Shards    int    `dynamodbav:"shards"`
	After     string `dynamodbav:"after,omitempty"`
	Delivered int    `dynamodbav:"delivered"`
	Gone      int    `dynamodbav:"gone"`
	Failed    int    `dynamodbav:"failed"`
	Done      bool   `dynamodbav:"done"`
	Ended     int64  `dynamodbav:"ended,omitempty"` // s; when it was last given back
}

// Begin implements realtime.Parts.
func (p *Parts) Begin(ctx context.Context, part realtime.PartKey, owner string, depth int, begun, lease time.Time) (realtime.Part, error) {
	const op = "claim part"
	k := partKey(part)
	now := p.now()
	there, err := p.put(ctx, op, k, partRow{Owner: owner, Lease: lease.Unix(), Depth: depth, Exp: publishExp(begun)}, &dynamodb.PutItemInput{
		ConditionExpression:       new("attribute_not_exists(#pk) OR #exp < :now"),
		ExpressionAttributeValues: values{":now": number(now.Unix())},
	})
	if !errors.Is(err, errCondition) {
		return realtime.Part{}, err
	}
	var row partRow
	if err := decode(op, k, there, &row); err != nil {
		return realtime.Part{}, err
	}
	at := realtime.Part{
		Shards: row.Shards, After: row.After, Done: row.Done, Delivered: row.Delivered, Gone: row.Gone, Failed: row.Failed,
	}
	switch {
	case row.Done || row.Owner == owner: // its own: the request was sent again by the SDK
		return at, nil
	case row.Lease >= now.Unix() && row.Depth > depth:
		return realtime.Part{}, realtime.ErrExists
	case row.Lease >= now.Unix():
		return realtime.Part{}, realtime.ErrBusy
	}
	if err := p.takeOver(ctx, op, k, row.Owner, values{
		":owner": text(owner), ":lease": number(lease.Unix()), ":depth": number(depth),
	}); err != nil {
		return realtime.Part{}, err
	}
	return at, nil
}

// Save implements realtime.Parts.
func (p *Parts) Save(ctx context.Context, part realtime.PartKey, owner string, at realtime.Part) error {
	return p.save(ctx, "save part", part, owner, at, "", nil)
}

// End implements realtime.Parts.
func (p *Parts) End(ctx context.Context, part realtime.PartKey, owner string, at realtime.Part) error {
	return p.save(ctx, "end part", part, owner, at, ", #ended = :ended REMOVE #lease", values{":ended": number(p.now().Unix())})
}

// save stores how far the part is; besides and its values are what else is written.
func (p *Parts) save(ctx context.Context, op string, part realtime.PartKey, owner string, at realtime.Part, besides string, v values) error {
	all := values{
		":shards":    number(at.Shards),
		":after":     text(at.After),
		":delivered": number(at.Delivered),
		":gone":      number(at.Gone),
		":failed":    number(at.Failed),
		":done":      &types.AttributeValueMemberBOOL{Value: at.Done},
		":owner":     text(owner),
	}
	maps.Copy(all, v)
	_, err := p.update(ctx, op, partKey(part), &dynamodb.UpdateItemInput{
		UpdateExpression: new("SET #shards = :shards, #after = :after, #delivered = :delivered, #gone = :gone, #failed = :failed," +
			" #done = :done" + besides),
		ConditionExpression:       new("#owner = :owner"),
		ExpressionAttributeValues: all,
	})
	return lost(err)
}
