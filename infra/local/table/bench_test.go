package table_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"runtime"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/table"
)

// connections is how many the benchmarks' table holds, as the service stores them: a row of the connection, one of its user, one of a room.
const connections = 100_000

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

func connectionID(i int) string { return fmt.Sprintf("L0SM9c%08xAbCdE=", i*2654435761) }

func connectionKey(i int) map[string]types.AttributeValue {
	id := connectionID(i)
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return map[string]types.AttributeValue{"pk": text(fmt.Sprintf("ns#/ws/app#%x", h.Sum32()&15)), "sk": text(id)}
}

func userKey(i int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": text("user:u" + strconv.Itoa(i)), "sk": text("#")}
}

func connectInput(i int) *dynamodb.PutItemInput {
	item := connectionKey(i)
	item["user"], item["protocol"] = text("u"+strconv.Itoa(i)), text("json")
	item["connectedAt"], item["tokenExpiry"], item["exp"] = number(1795411703885), number(1795415303), number(1795498103)
	return &dynamodb.PutItemInput{TableName: aws.String("app"), Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)")}
}

func presenceInput(i int) *dynamodb.UpdateItemInput {
	return &dynamodb.UpdateItemInput{
		TableName: aws.String("app"), Key: userKey(i), ReturnValues: types.ReturnValueAllNew,
		UpdateExpression:         aws.String("SET #c = :s, #lastSeen = :t REMOVE #exp ADD #sockets :one, #v :one"),
		ConditionExpression:      aws.String("attribute_not_exists(#c) AND (attribute_not_exists(#sockets) OR #sockets < :max)"),
		ExpressionAttributeNames: map[string]string{"#c": "s#" + connectionID(i), "#lastSeen": "lastSeen", "#exp": "exp", "#sockets": "sockets", "#v": "v"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":s": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"connectedAt": number(1795411703885), "lastSeen": number(1795411703885), "userAgent": text("Mozilla/5.0"), "ip": text("203.0.113.7"), "protocol": text("json")}},
			":t": number(1795411703885), ":one": number(1), ":max": number(32),
		},
	}
}

func heartbeatInput(i, at int) *dynamodb.UpdateItemInput {
	return &dynamodb.UpdateItemInput{
		TableName: aws.String("app"), Key: userKey(i), ReturnValues: types.ReturnValueAllNew,
		UpdateExpression:          aws.String("SET #c.#lastSeen = :t, #c.#heartbeat = :t, #lastSeen = :t"),
		ConditionExpression:       aws.String("attribute_exists(#c) AND (attribute_not_exists(#c.#heartbeat) OR #c.#heartbeat <= :since)"),
		ExpressionAttributeNames:  map[string]string{"#c": "s#" + connectionID(i), "#lastSeen": "lastSeen", "#heartbeat": "heartbeat"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":t": number(at), ":since": number(at)},
	}
}

// filled is a client of a table with all connections in it, all of them in one room, and the bytes that each of them takes.
func filled(b *testing.B) (*dynamodb.Client, float64) {
	b.Helper()
	client := table.New(table.Options{}).Client()
	_, err := client.CreateTable(b.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("app"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
	})
	must(b, err)
	before := heap()
	for i := range connections {
		_, err := client.PutItem(b.Context(), connectInput(i))
		must(b, err)
		_, err = client.UpdateItem(b.Context(), presenceInput(i))
		must(b, err)
		room := map[string]types.AttributeValue{"pk": text("conversation:c1"), "sk": text("c#0#" + connectionID(i)), "user": text("u" + strconv.Itoa(i)), "protocol": text("json"), "t": number(1795411703885), "exp": number(1795419503)}
		if i%2 == 0 { // half of them: a partition of 50 000
			_, err = client.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: aws.String("app"), Item: room})
			must(b, err)
		}
	}
	return client, (heap() - before) / connections
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Benchmark measures single operations on a table of 100 000 connections, through the SDK's client, which takes most of the time.
func Benchmark(b *testing.B) {
	client, bytes := filled(b)
	ctx := context.Background()
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			input := connectInput(i % connections)
			input.ConditionExpression = nil
			_, err := client.PutItem(ctx, input)
			must(b, err)
		}
		b.ReportMetric(bytes, "B/connection")
	})
	b.Run("PutAndDeleteInRoomOf50000", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			key := map[string]types.AttributeValue{"pk": text("conversation:c1"), "sk": text("c#0#" + connectionID((i*7919)%connections) + "x")}
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("app"), Item: key})
			must(b, err)
			_, err = client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("app"), Key: key})
			must(b, err)
		}
	})
	b.Run("Heartbeat", func(b *testing.B) {
		b.ReportAllocs()
		at := 1795411703885
		for i := 0; b.Loop(); i++ {
			at++
			_, err := client.UpdateItem(ctx, heartbeatInput(i%connections, at))
			must(b, err)
		}
	})
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("app"), Key: userKey(i % connections)})
			must(b, err)
		}
	})
	b.Run("QueryShardOf6250", func(b *testing.B) {
		b.ReportAllocs()
		items := int32(0)
		for i := 0; b.Loop(); i++ {
			out, err := client.Query(ctx, &dynamodb.QueryInput{
				TableName: aws.String("app"), KeyConditionExpression: aws.String("pk = :p"), ConsistentRead: aws.Bool(true),
				ExpressionAttributeValues: map[string]types.AttributeValue{":p": text(fmt.Sprintf("ns#/ws/app#%x", i&15))},
			})
			must(b, err)
			items = out.Count
		}
		b.ReportMetric(float64(items), "items")
	})
	b.Run("QueryOne", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			_, err := client.Query(ctx, &dynamodb.QueryInput{
				TableName: aws.String("app"), KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :s)"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":p": text("conversation:c1"), ":s": text("c#0#" + connectionID(i%connections))},
			})
			must(b, err)
		}
	})
}
