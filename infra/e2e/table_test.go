package e2e

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/contract"
)

// What tests do to the table themselves, by the keys and attributes of shared/store.

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(partition, sort string) item { return item{"pk": text(partition), "sk": text(sort)} }

// shard of a connection: one hexadecimal digit.
func shard(connection string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(connection)) // never fails
	return fmt.Sprintf("%x", h.Sum32()&15)
}

func connectionKey(connection string) item { return key("ns#/ws/app#"+shard(connection), connection) }

// row is an item of the table; nil when it is not there.
func (l *local) row(t *testing.T, key item) item {
	t.Helper()
	out, err := l.DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &l.TableName, Key: key, ConsistentRead: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

// set writes one attribute of an item that is there: name is its path.
func (l *local) set(t *testing.T, key item, to int64, path ...string) {
	t.Helper()
	expression, names := "SET ", map[string]string{}
	for i, name := range path {
		alias := "#" + strconv.Itoa(i)
		if i > 0 {
			expression += "."
		}
		expression, names[alias] = expression+alias, name
	}
	expression += " = :to"
	names["#pk"] = "pk"
	_, err := l.DynamoDB().UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &l.TableName, Key: key, UpdateExpression: &expression, ConditionExpression: new("attribute_exists(#pk)"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: item{":to": number(to)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// age makes a connection, and its rows in those rooms, older, so that a test does not have to wait: until it is 15 s old, that API Gateway
// does not know it may mean that its handshake is not over.
func (l *local) age(t *testing.T, c *client, by time.Duration, rooms ...string) {
	t.Helper()
	since := time.Now().Add(-by)
	l.set(t, connectionKey(c.id), since.UnixMilli(), "connectedAt")
	l.set(t, key("user:"+c.user, "#"), since.UnixMilli(), "s#"+c.id, "connectedAt")
	for _, room := range rooms {
		l.set(t, key(room, "c#"+shard(c.id)+"#"+c.id), since.Add(contract.MaxConnectionAge+10*time.Minute).Unix(), "exp")
	}
}
