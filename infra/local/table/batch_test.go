package table

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func batchKey(i int) object {
	return object{"pk": textOf("p"), "sk": textOf(fmt.Sprintf("s%03d", i))}
}

func putRequest(item object) object   { return object{"PutRequest": object{"Item": item}} }
func deleteRequest(key object) object { return object{"DeleteRequest": object{"Key": key}} }

func TestBatches(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	createTable(t, e, "other")
	status, answer := e(t, "BatchWriteItem", object{"ReturnConsumedCapacity": "TOTAL", "RequestItems": object{
		"app":   []any{putRequest(batchKey(1)), putRequest(object{"pk": textOf("p"), "sk": textOf("s002"), "d": textOf(strings.Repeat("x", 5000))}), deleteRequest(batchKey(3))},
		"other": []any{putRequest(batchKey(1))},
	}})
	if diff := cmp.Diff(object{"UnprocessedItems": object{}, "ConsumedCapacity": []any{object{"TableName": "app", "CapacityUnits": 7.0}, object{"TableName": "other", "CapacityUnits": 1.0}}}, answer); status != http.StatusOK || diff != "" {
		t.Errorf("BatchWriteItem: status %d (-want +got):\n%s", status, diff)
	}
	status, answer = e(t, "BatchGetItem", object{"ReturnConsumedCapacity": "INDEXES", "RequestItems": object{
		"app":   object{"Keys": []any{batchKey(1), batchKey(2), batchKey(3)}, "ConsistentRead": true, "ProjectionExpression": "#s", "ExpressionAttributeNames": object{"#s": "sk"}},
		"other": object{"Keys": []any{batchKey(1), batchKey(2)}},
	}})
	if diff := cmp.Diff(object{
		"UnprocessedKeys": object{},
		"Responses":       object{"app": []any{object{"sk": textOf("s001")}, object{"sk": textOf("s002")}}, "other": []any{batchKey(1)}},
		"ConsumedCapacity": []any{ // item by item: 1 and 2 and, for a miss, 1; half of it for other
			object{"TableName": "app", "CapacityUnits": 4.0, "Table": object{"CapacityUnits": 4.0}}, object{"TableName": "other", "CapacityUnits": 1.0, "Table": object{"CapacityUnits": 1.0}},
		},
	}, answer); status != http.StatusOK || diff != "" {
		t.Errorf("BatchGetItem: status %d (-want +got):\n%s", status, diff)
	}
	status, answer = e(t, "BatchWriteItem", object{"RequestItems": object{"app": []any{deleteRequest(batchKey(2)), putRequest(batchKey(4))}}})
	if diff := cmp.Diff(object{"UnprocessedItems": object{}}, answer); status != http.StatusOK || diff != "" {
		t.Errorf("BatchWriteItem: status %d (-want +got):\n%s", status, diff)
	}
	_, answer = e(t, "Query", object{"TableName": "app", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": object{":p": textOf("p")}})
	if got, _ := sortKeys(answer); !cmp.Equal(got, []string{"s001", "s004"}) {
		t.Errorf("then there are %v", got)
	}
}

// TestBatchGetOfSixteenMegabytes: what does not fit comes back, with all of its request.
func TestBatchGetOfSixteenMegabytes(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	var keys []any
	for i := range 50 {
		item := batchKey(i)
		keys = append(keys, batchKey(i))
		item["d"] = textOf(strings.Repeat("x", 380000))
		put(t, e, item)
	}
	got := 0
	request := object{"app": object{"Keys": keys, "ConsistentRead": true, "ProjectionExpression": "#s", "ExpressionAttributeNames": object{"#s": "sk"}}}
	for rounds, want := range []int{44, 6} {
		_, answer := e(t, "BatchGetItem", object{"RequestItems": request, "ReturnConsumedCapacity": "TOTAL"})
		found := answer["Responses"].(object)["app"].([]any)
		consumed := answer["ConsumedCapacity"].([]any)[0].(object)["CapacityUnits"].(float64)
		if len(found) != want || consumed != float64(want*93) {
			t.Errorf("round %d: %d items for %v units, want %d", rounds, len(found), consumed, want)
		}
		got += len(found)
		request, _ = answer["UnprocessedKeys"].(object)
	}
	if got != 50 || len(request) != 0 {
		t.Errorf("%d items, left %v", got, request)
	}
}

func TestBatchErrors(t *testing.T) {
	e := newSample(t)
	keys := func(n int) (all []any) {
		for i := range n {
			all = append(all, batchKey(i))
		}
		return all
	}
	puts := func(n int) (all []any) {
		for i := range n {
			all = append(all, putRequest(batchKey(i)))
		}
		return all
	}
	for _, test := range []struct {
		operation string
		items     any
		want      string // of the message; empty succeeds
	}{
		{"BatchGetItem", nil, "The requestItems parameter is required for BatchGetItem"},
		{"BatchGetItem", object{}, "The requestItems parameter is required for BatchGetItem"},
		{"BatchGetItem", object{"app": object{"Keys": []any{}}}, "The list of keys in RequestItems for BatchGetItem is required: app has empty list"},
		{"BatchGetItem", object{"app": object{"Keys": keys(100)}}, ""},
		{"BatchGetItem", object{"app": object{"Keys": keys(101)}}, "Too many items requested for the BatchGetItem call"},
		{"BatchGetItem", object{"app": object{"Keys": append(keys(2), batchKey(0))}}, "Provided list of item keys contains duplicates"},
		{"BatchGetItem", object{"app": object{"Keys": []any{object{"pk": textOf("p")}}}}, "The provided key element does not match the schema"},
		{"BatchGetItem", object{"nothere": object{"Keys": keys(1)}}, "Requested resource not found: Table: nothere not found"},
		{"BatchGetItem", object{"app": object{"Keys": keys(1), "ProjectionExpression": "user"}}, "Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: user"},
		{"BatchGetItem", object{"app": object{"Keys": keys(1), "ExpressionAttributeNames": object{"#a": "a"}}}, "ExpressionAttributeNames can only be specified when using expressions"},
		{"BatchGetItem", object{"app": object{"Keys": keys(1), "ProjectionExpression": "a", "ExpressionAttributeNames": object{"#a": "a"}}}, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
		{"BatchGetItem", object{"app": object{"Keys": keys(1), "AttributesToGet": []any{"a"}}}, "AttributesToGet of BatchGetItem" + wayOut},
		{"BatchGetItem", object{"app": "keys"}, "STRING_VALUE cannot be converted to Structure"},
		{"BatchWriteItem", object{}, "The requestItems parameter is required for BatchWriteItem"},
		{"BatchWriteItem", object{"app": []any{}}, "The batch write request list for a table cannot be null or empty: app"},
		{"BatchWriteItem", object{"app": puts(25)}, ""},
		{"BatchWriteItem", object{"app": puts(26)}, "Too many items requested for the BatchWriteItem call"},
		{"BatchWriteItem", object{"app": []any{putRequest(batchKey(1)), deleteRequest(batchKey(1))}}, "Provided list of item keys contains duplicates"},
		{"BatchWriteItem", object{"app": []any{object{}}}, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", object{"app": []any{object{"PutRequest": object{"Item": batchKey(1)}, "DeleteRequest": object{"Key": batchKey(2)}}}}, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", object{"app": []any{putRequest(object{"pk": textOf("p")})}}, "One or more parameter values were invalid: Missing the key sk in the item"},
		{"BatchWriteItem", object{"app": []any{putRequest(batchKey(9)), putRequest(object{"pk": textOf("p"), "sk": textOf("s"), "d": textOf(strings.Repeat("x", 400<<10))})}}, "Item size has exceeded the maximum allowed size"},
		{"BatchWriteItem", object{"nothere": puts(1)}, "Requested resource not found: Table: nothere not found"},
		{"BatchWriteItem", object{"app": object{}}, "START_OBJECT cannot be converted to List"},
	} {
		status, answer := e(t, test.operation, object{"RequestItems": test.items})
		if (test.want == "") != (status == http.StatusOK) || messageOf(answer) != test.want {
			t.Errorf("%s %.100v: status %d, %.200v, want %s", test.operation, test.items, status, answer, test.want)
		}
	}
	if _, answer := e(t, "GetItem", object{"TableName": "app", "Key": batchKey(999)}); answer["Item"] != nil {
		t.Error("a refused batch has written")
	}
}
