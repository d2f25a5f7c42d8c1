package table_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/infra/local/trace"
)

// Changed tells of every item as a reader would find it, whatever the operation, expiry included.
func TestChanged(t *testing.T) {
	type change struct {
		Key  table.Key
		Item map[string]types.AttributeValue
	}
	var changes []change
	engine := table.New(table.Options{Changed: func(key table.Key, item map[string]types.AttributeValue) {
		changes = append(changes, change{key, item})
	}})
	client := engine.Client()
	create(t, client)
	all := map[string]any{
		"pk": "p", "sk": "s", "b": true, "nil": nil, "n": 1.5, "bytes": []byte{1}, "list": []any{"a", 1}, "map": map[string]any{"x": "y"},
	}
	item, err := attributevalue.MarshalMap(all)
	if err != nil {
		t.Fatal(err)
	}
	item["texts"] = &types.AttributeValueMemberSS{Value: []string{"a", "b"}}
	item["numbers"] = &types.AttributeValueMemberNS{Value: []string{"1", "2"}}
	item["binaries"] = &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}}
	key := map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}
	ctx, name := t.Context(), aws.String("app")
	if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item}); err != nil {
		t.Fatal(err)
	}
	found, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: name, Key: key, UpdateExpression: aws.String("REMOVE b, nil, n, bytes, #l, #m, texts, numbers, binaries SET exp = :t"),
		ExpressionAttributeNames:  map[string]string{"#l": "list", "#m": "map"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":t": &types.AttributeValueMemberN{Value: "1000"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: key, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	if err == nil {
		t.Fatal("the condition held")
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: name, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	engine.Expire(time.Unix(2000, 0))
	if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: key}); err != nil {
		t.Fatal(err)
	}
	k := table.Key{Table: "app", Partition: "p", Sort: "s"}
	want := []change{
		{k, found.Item},
		{k, map[string]types.AttributeValue{"pk": key["pk"], "sk": key["sk"], "exp": &types.AttributeValueMemberN{Value: "1000"}}},
		{k, nil},
	}
	opaque := cmpopts.IgnoreUnexported(
		types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{}, types.AttributeValueMemberBOOL{},
		types.AttributeValueMemberNULL{}, types.AttributeValueMemberL{}, types.AttributeValueMemberM{}, types.AttributeValueMemberSS{},
		types.AttributeValueMemberNS{}, types.AttributeValueMemberBS{},
	)
	if diff := cmp.Diff(want, changes, opaque); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Observe tells what the caller was answered, and on whose behalf it called.
func TestObserve(t *testing.T) {
	var seen []table.Op
	engine := table.New(table.Options{
		After: func(_ context.Context, op table.Op) error {
			if op.Name == "DeleteItem" {
				return &types.ThrottlingException{Message: aws.String("too fast")}
			}
			return nil
		},
		Observe: func(op table.Op) { seen = append(seen, op) },
	})
	client := engine.Client(func(o *dynamodb.Options) {
		o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(trace.Name, "Root=1-6566f1d0-0123456789abcdef01234567;Parent=00f067aa0ba902b7"))
	})
	create(t, client)
	seen = nil
	if err := put(t.Context(), client, row{PK: "p", SK: "s"}.item(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("app"), Key: row{PK: "p", SK: "s"}.key()}); err == nil {
		t.Fatal("deleted")
	}
	op := table.Op{
		Name: "PutItem", Table: "app", Keys: []table.Key{{Table: "app", Partition: "p", Sort: "s"}}, Units: table.Units{Write: 1},
		TraceID: "1-6566f1d0-0123456789abcdef01234567", Segment: "00f067aa0ba902b7",
	}
	deleted := op
	deleted.Name = "DeleteItem"
	if diff := cmp.Diff([]table.Op{op, deleted}, seen, cmpopts.IgnoreFields(table.Op{}, "Err", "Duration")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(seen) == 2 && (seen[0].Err != nil || seen[1].Err == nil || seen[0].Duration <= 0) {
		t.Errorf("%v, %v after %s", seen[0].Err, seen[1].Err, seen[0].Duration)
	}

	seen = nil
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	engine.ServeHTTP(discard{}, request)
	if len(seen) != 0 {
		t.Errorf("told of a request that is no operation: %+v", seen)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
