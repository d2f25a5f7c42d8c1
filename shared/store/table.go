// Package store is the table: the ports of the rules (shared/realtime) on one DynamoDB table, one file per kind of item.
//
// TTL is garbage collection and nothing else, because DynamoDB may delete an item days after it expired: what expired is
// filtered here, by the clock given to New. Whatever is an audience is read consistent. Instants are stored as whole
// milliseconds, lease, tokenExpiry and exp as seconds; 0 or no attribute is the zero time.
package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/realtime"
)

// API is what the table needs of *dynamodb.Client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
}

// Table is the ports of the rules, all of them on one table.
type Table struct {
	Connections  *Connections
	Presences    *Presences
	Rooms        *Rooms
	Participants *Participants
	Ledger       *Ledger
	Parts        *Parts
	Timers       *Timers
	Budget       *Budget
}

var (
	_ realtime.Connections     = (*Connections)(nil)
	_ realtime.Sessions        = (*Connections)(nil)
	_ realtime.ConnectionRooms = (*Connections)(nil)
	_ realtime.Everyone        = (*Connections)(nil)
	_ realtime.Walker          = (*Connections)(nil)
	_ realtime.Presences       = (*Presences)(nil)
	_ realtime.Users           = (*Presences)(nil)
	_ realtime.Rooms           = (*Rooms)(nil)
	_ realtime.Participants    = (*Participants)(nil)
	_ realtime.Members         = (*Participants)(nil)
	_ realtime.Ledger          = (*Ledger)(nil)
	_ realtime.Publishes       = (*Ledger)(nil)
	_ realtime.Parts           = (*Parts)(nil)
	_ realtime.Timers          = (*Timers)(nil)
	_ realtime.Budget          = (*Budget)(nil)
)

// Schema is the request that creates a table for New, which template.yaml does with backups and TTL: one of this machine.
func Schema(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(PartitionKey), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(SortKey), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(PartitionKey), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(SortKey), KeyType: types.KeyTypeRange},
		},
	}
}

// New takes the name of a table with the string keys PartitionKey and SortKey and the TTL attribute TTL.
func New(client API, name string, now func() time.Time) *Table {
	t := &table{client: client, name: &name, now: now}
	return &Table{
		Connections:  &Connections{t},
		Presences:    &Presences{t},
		Rooms:        &Rooms{t},
		Participants: &Participants{t},
		Ledger:       &Ledger{t},
		Parts:        &Parts{t},
		Timers:       &Timers{t},
		Budget:       &Budget{t},
	}
}

type table struct {
	client API
	name   *string
	now    func() time.Time
}

type (
	item   = map[string]types.AttributeValue
	values = map[string]types.AttributeValue // of an expression: ":name" is the value of "#name"
)

// errCondition is a condition that did not hold: an answer, which no method of a port returns as it is.
var errCondition = errors.New("the condition does not hold")

// The methods below complete a request, send it and translate its error. A condition that does not hold is errCondition
// and comes with the item as it is, nil where there is none.

// update returns the attributes that in.ReturnValues asks for.
func (t *table) update(ctx context.Context, op string, k key, in *dynamodb.UpdateItemInput) (item, error) {
	in.TableName, in.Key = t.name, k.item()
	in.ExpressionAttributeNames = aliases(in.ExpressionAttributeNames, in.UpdateExpression, in.ConditionExpression)
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	out, err := t.client.UpdateItem(ctx, in)
	if err != nil {
		return refused(op, k, err)
	}
	return out.Attributes, nil
}

// put takes row, a struct, for the attributes besides the key.
func (t *table) put(ctx context.Context, op string, k key, row any, in *dynamodb.PutItemInput) (item, error) {
	var err error
	if in.Item, err = attributevalue.MarshalMap(row); err != nil {
		return nil, failure(op, k, err)
	}
	in.Item[PartitionKey], in.Item[SortKey] = text(k.pk), text(k.sk)
	in.TableName = t.name
	in.ExpressionAttributeNames = aliases(nil, in.ConditionExpression)
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	out, err := t.client.PutItem(ctx, in)
	if err != nil {
		return refused(op, k, err)
	}
	return out.Attributes, nil
}

func (t *table) delete(ctx context.Context, op string, k key, in *dynamodb.DeleteItemInput) (item, error) {
	in.TableName, in.Key = t.name, k.item()
	in.ExpressionAttributeNames = aliases(nil, in.ConditionExpression)
	out, err := t.client.DeleteItem(ctx, in)
	if err != nil {
		return refused(op, k, err)
	}
	return out.Attributes, nil
}

// get returns nil where there is no item.
func (t *table) get(ctx context.Context, op string, k key, consistent bool) (item, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: t.name, Key: k.item(), ConsistentRead: &consistent})
	if err != nil {
		return nil, failure(op, k, err)
	}
	return out.Item, nil
}

// batchKeys is how many items one BatchGetItem takes.
const batchKeys = 100

// getAll reads the items with those keys, consistent, in any order; those that are not there are left out. What DynamoDB
// leaves unprocessed is asked for again until ctx ends. of names the request in errors.
func (t *table) getAll(ctx context.Context, op string, of key, keys []key) (found []item, err error) {
	for some := range slices.Chunk(keys, batchKeys) {
		request := types.KeysAndAttributes{ConsistentRead: new(true)}
		for _, k := range some {
			request.Keys = append(request.Keys, k.item())
		}
		requests := map[string]types.KeysAndAttributes{*t.name: request}
		for attempt := 0; len(requests) > 0; attempt++ {
			if attempt > 0 {
				if err := backoff(ctx, attempt); err != nil {
					return nil, failure(op, of, err)
				}
			}
			out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: requests})
			if err != nil {
				return nil, failure(op, of, err)
			}
			found = append(found, out.Responses[*t.name]...)
			requests = out.UnprocessedKeys
		}
	}
	return found, nil
}

// backoff waits up to 25 ms before the first retry and twice as long before each further one, up to 0.8 s.
func backoff(ctx context.Context, attempt int) error {
	wait := rand.N(25 * time.Millisecond << min(attempt-1, 5)) //nolint:gosec // G404: nobody gains from guessing it
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// query reads the page past the sort key after, "" for the first, of the items whose sort key begins with from.sk, into
// rows, a pointer to a slice. Next is the sort key to go on after, "" on the last page.
func (t *table) query(ctx context.Context, op string, from key, after string, in *dynamodb.QueryInput, rows any) (next string, err error) {
	in.TableName = t.name
	in.KeyConditionExpression = new("#pk = :pk")
	in.ExpressionAttributeValues = values{":pk": text(from.pk)}
	if from.sk != "" {
		in.KeyConditionExpression = new("#pk = :pk AND begins_with(#sk, :sk)")
		in.ExpressionAttributeValues[":sk"] = text(from.sk)
	}
	in.ExpressionAttributeNames = aliases(nil, in.KeyConditionExpression, in.ProjectionExpression)
	if after != "" {
		in.ExclusiveStartKey = key{from.pk, after}.item()
	}
	out, err := t.client.Query(ctx, in)
	if err != nil {
		return "", failure(op, from, err)
	}
	if err := attributevalue.UnmarshalListOfMaps(out.Items, rows); err != nil {
		return "", failure(op, from, err)
	}
	if sk, ok := out.LastEvaluatedKey[SortKey].(*types.AttributeValueMemberS); ok {
		next = sk.Value
	}
	return next, nil
}

// pageOf is a query's Limit: how many items it looks at.
func pageOf(items int) *int32 { return new(int32(min(items, math.MaxInt32))) } //nolint:gosec // G115: it is bounded

// refused is errCondition with the item of a failed condition, or failure.
func refused(op string, k key, err error) (item, error) {
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return failed.Item, errCondition
	}
	return nil, failure(op, k, err)
}

// failure is what every other error becomes: the operation and the key, never the item.
func failure(op string, k key, err error) error {
	return fmt.Errorf("store: %s (%s): %w", op, k, err)
}

// decode reads an item into row, a pointer to a struct.
func decode(op string, k key, from item, row any) error {
	if err := attributevalue.UnmarshalMap(from, row); err != nil {
		return failure(op, k, err)
	}
	return nil
}

// expired tells whether an item is garbage that TTL has not collected yet; exp 0 is an item that stays.
func (t *table) expired(exp int64) bool { return exp != 0 && exp < t.now().Unix() }

var alias = regexp.MustCompile(`#[A-Za-z0-9]+`)

// aliases adds to names those that the expressions use: #name stands for name. All names travel so, because many are
// reserved words of DynamoDB.
func aliases(names map[string]string, expressions ...*string) map[string]string {
	for _, expression := range expressions {
		for _, a := range alias.FindAllString(aws.ToString(expression), -1) {
			if names == nil {
				names = make(map[string]string)
			}
			if names[a] == "" {
				names[a] = a[1:]
			}
		}
	}
	return names
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func texts(s []string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: s} }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
