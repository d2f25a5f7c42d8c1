package table_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/table"
)

// row is an item of the tests of this file.
type row struct {
	PK    string   `dynamodbav:"pk"`
	SK    string   `dynamodbav:"sk"`
	N     int      `dynamodbav:"n,omitempty"`
	Rooms []string `dynamodbav:"rooms,stringset,omitempty"`
	Raw   []byte   `dynamodbav:"raw,omitempty"`
}

func (r row) key() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: r.PK}, "sk": &types.AttributeValueMemberS{Value: r.SK}}
}

func (r row) item(t *testing.T) map[string]types.AttributeValue {
	t.Helper()
	item, err := attributevalue.MarshalMap(r)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func create(t *testing.T, client *dynamodb.Client) {
	t.Helper()
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("app"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(ctx context.Context, client *dynamodb.Client, item map[string]types.AttributeValue) error {
	_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("app"), Item: item})
	return err
}

// TestSDK takes an item through the SDK and back: in process, and over a network with a signature.
func TestSDK(t *testing.T) {
	engine := table.New(table.Options{})
	server := httptest.NewServer(engine)
	defer server.Close()
	overHTTP := dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1", HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	create(t, engine.Client())
	for name, client := range map[string]*dynamodb.Client{"in process": engine.Client(), "over HTTP": overHTTP} {
		t.Run(name, func(t *testing.T) {
			want := row{PK: "p", SK: name, N: 7, Rooms: []string{"a", "b"}, Raw: []byte{0, 1, 255}}
			if err := put(t.Context(), client, want.item(t)); err != nil {
				t.Fatal(err)
			}
			out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("app"), Key: want.key()})
			if err != nil {
				t.Fatal(err)
			}
			var got row
			if err := attributevalue.UnmarshalMap(out.Item, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			_, err = client.PutItem(t.Context(), &dynamodb.PutItemInput{
				TableName: aws.String("app"), Item: want.item(t), ConditionExpression: aws.String("attribute_not_exists(pk)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			})
			var failed *types.ConditionalCheckFailedException
			if !errors.As(err, &failed) || len(failed.Item) != 5 {
				t.Errorf("a condition that fails: %v, item %v", err, failed)
			}
			_, err = client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("nothere"), Key: want.key()})
			var notFound *types.ResourceNotFoundException
			if !errors.As(err, &notFound) {
				t.Errorf("a table that is not there: %v", err)
			}
		})
	}
}

// TestClientInBubble: a client works where time does not pass by itself, and the standard retries work there too.
func TestClientInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		engine := table.New(table.Options{Hook: func(ctx context.Context, op table.Op) error {
			if op.Name != "PutItem" {
				return nil
			}
			calls++
			select {
			case <-time.After(30 * time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
			if calls == 1 {
				return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
			}
			return nil
		}})
		create(t, engine.Client())
		client := engine.Client(func(o *dynamodb.Options) { o.Retryer = retry.NewStandard() })
		start := time.Now()
		if err := put(t.Context(), client, row{PK: "p", SK: "s"}.item(t)); err != nil || calls != 2 || time.Since(start) < time.Minute {
			t.Errorf("after %d calls and %s: %v", calls, time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := put(ctx, client, row{PK: "p", SK: "late"}.item(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline before the answer: %v", err)
		}
		out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("app")})
		if err != nil || out.Count != 1 {
			t.Errorf("then there are %d items, %v", out.Count, err)
		}
	})
}

func TestHook(t *testing.T) {
	var seen []string
	var fail error
	observe := func(when string) func(context.Context, table.Op) error {
		return func(_ context.Context, op table.Op) error {
			seen = append(seen, fmt.Sprintf("%s %s %s %v %v %v", when, op.Name, op.Table, op.Keys, op.Units, op.Err))
			return nil
		}
	}
	engine := table.New(table.Options{
		Hook: func(ctx context.Context, op table.Op) error {
			_ = observe("before")(ctx, op)
			return fail
		},
		After: observe("after"),
	})
	client := engine.Client()
	create(t, client)
	for _, test := range []struct {
		name string
		call func() error
		want []string
	}{
		{"put", func() error { return put(t.Context(), client, row{PK: "p", SK: "s"}.item(t)) }, []string{
			"before PutItem app [{app p s}] {0 0} <nil>", "after PutItem app [{app p s}] {0 1} <nil>",
		}},
		{"failed condition", func() error {
			_, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("app"), Key: row{PK: "p", SK: "s"}.key(), ConditionExpression: aws.String("attribute_exists(zz)")})
			var failed *types.ConditionalCheckFailedException
			if errors.As(err, &failed) {
				return nil
			}
			return err
		}, []string{"before DeleteItem app [{app p s}] {0 0} <nil>", "after DeleteItem app [{app p s}] {0 1} The conditional request failed"}},
		{"query", func() error {
			_, err := client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("app"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: "p"}}})
			return err
		}, []string{"before Query app [{app p }] {0 0} <nil>", "after Query app [{app p }] {0.5 0} <nil>"}},
		{"not valid", func() error {
			if err := put(t.Context(), client, row{PK: "p"}.item(t)); err == nil {
				return errors.New("an empty key was accepted")
			}
			return nil
		}, nil},
	} {
		seen = nil
		if err := test.call(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, seen); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	fail, seen = errors.New("broken"), nil
	var internal *types.InternalServerError
	if err := put(t.Context(), client, row{PK: "p", SK: "t"}.item(t)); !errors.As(err, &internal) || !strings.Contains(err.Error(), "broken") || len(seen) != 1 {
		t.Errorf("an error of the hook: %v, %v", err, seen)
	}
	fail = &types.ThrottlingException{Message: aws.String("too fast")}
	var throttled *types.ThrottlingException
	if err := put(t.Context(), client, row{PK: "p", SK: "t"}.item(t)); !errors.As(err, &throttled) {
		t.Errorf("a typed error of the hook: %v", err)
	}
	fail = &types.InternalServerError{Message: aws.String("down")}
	if err := put(t.Context(), client, row{PK: "p", SK: "t"}.item(t)); !errors.As(err, &internal) {
		t.Errorf("a typed error of the hook: %v", err)
	}
	fail = nil
	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("app")})
	if err != nil || out.Count != 1 {
		t.Errorf("what the hook refused has happened: %d items, %v", out.Count, err)
	}
}

// TestLostAnswer: an error of After comes when the write has happened.
func TestLostAnswer(t *testing.T) {
	lost := errors.New("the answer was lost")
	engine := table.New(table.Options{After: func(_ context.Context, op table.Op) error {
		if op.Name == "PutItem" {
			return lost
		}
		return nil
	}})
	create(t, engine.Client())
	if err := put(t.Context(), engine.Client(), row{PK: "p", SK: "s"}.item(t)); err == nil || !strings.Contains(err.Error(), lost.Error()) {
		t.Errorf("put: %v", err)
	}
	out, err := engine.Client().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("app"), Key: row{PK: "p", SK: "s"}.key()})
	if err != nil || len(out.Item) != 2 {
		t.Errorf("get: %v, %v", out, err)
	}
}

func TestUnprocessed(t *testing.T) {
	var leave table.Unprocessed
	engine := table.New(table.Options{Hook: func(_ context.Context, op table.Op) error {
		if len(leave) > 0 && strings.HasPrefix(op.Name, "Batch") {
			return leave
		}
		return nil
	}})
	client := engine.Client()
	create(t, client)
	var writes []types.WriteRequest
	var keys []map[string]types.AttributeValue
	for i := range 4 {
		r := row{PK: "p", SK: fmt.Sprint(i)}
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: r.item(t)}})
		keys = append(keys, r.key())
	}
	leave = table.Unprocessed{1, 3}
	wrote, err := client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"app": writes}})
	if err != nil {
		t.Fatal(err)
	}
	if left := wrote.UnprocessedItems["app"]; len(left) != 2 || !cmp.Equal(sk(left[0].PutRequest.Item), "1") || !cmp.Equal(sk(left[1].PutRequest.Item), "3") {
		t.Errorf("unprocessed items %v", left)
	}
	leave = table.Unprocessed{0}
	got, err := client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"app": {Keys: keys, ConsistentRead: aws.Bool(true)}}})
	if err != nil {
		t.Fatal(err)
	}
	if found := got.Responses["app"]; len(found) != 1 || sk(found[0]) != "2" {
		t.Errorf("items %v", found)
	}
	if left := got.UnprocessedKeys["app"]; len(left.Keys) != 1 || sk(left.Keys[0]) != "0" || !aws.ToBool(left.ConsistentRead) {
		t.Errorf("unprocessed keys %v", left)
	}
}

func sk(item map[string]types.AttributeValue) string {
	s, _ := item["sk"].(*types.AttributeValueMemberS)
	return s.Value
}

// TestConcurrentWrites: no update is lost, and of conditional puts of one item one succeeds.
func TestConcurrentWrites(t *testing.T) {
	engine := table.New(table.Options{})
	client := engine.Client()
	create(t, client)
	const workers, rounds = 8, 50
	var created sync.Map
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: aws.String("app"), Key: row{PK: "p", SK: "counter"}.key(), UpdateExpression: aws.String("ADD n :one"),
					ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
				})
				if err != nil {
					t.Error(err)
				}
				_, err = client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("app"), Item: row{PK: "p", SK: fmt.Sprint(i), N: w + 1}.item(t), ConditionExpression: aws.String("attribute_not_exists(pk)")})
				if err == nil {
					if other, twice := created.LoadOrStore(i, w); twice {
						t.Errorf("item %d created by %v and %d", i, other, w)
					}
				}
				if _, err := client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("app"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: "p"}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("app"), Key: row{PK: "p", SK: "counter"}.key()})
	if err != nil {
		t.Fatal(err)
	}
	var counter row
	if err := attributevalue.UnmarshalMap(out.Item, &counter); err != nil || counter.N != workers*rounds {
		t.Errorf("counter %d, %v; want %d", counter.N, err, workers*rounds)
	}
}
