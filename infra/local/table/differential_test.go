package table

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	operationsFlag = flag.Int("operations", 4000, "random operations that TestDifferential runs on both engines")
	seedFlag       = flag.Uint64("seed", 1, "seed of TestDifferential; 0 takes one from the clock")
)

// engine is one of the two under comparison.
type engine func(t *testing.T, operation string, parameters any) (status int, answer object)

// post sends a request in the API's protocol.
func post(t *testing.T, operation string, parameters any, send func(*http.Request) (status int, body []byte)) (int, object) {
	t.Helper()
	body, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", targetPrefix+operation)
	r.Header.Set("Content-Type", contentType)
	status, encoded := send(r)
	var answer object
	if err := json.Unmarshal(encoded, &answer); err != nil {
		t.Fatalf("%s %s: answer %q: %v", operation, body, encoded, err)
	}
	return status, answer
}

// embedded is the engine of this package.
func embedded(table *Table) engine {
	return func(t *testing.T, operation string, parameters any) (int, object) {
		return post(t, operation, parameters, func(r *http.Request) (int, []byte) {
			w := httptest.NewRecorder()
			table.ServeHTTP(w, r)
			return w.Code, w.Body.Bytes()
		})
	}
}

// dynamoDBLocal is the engine at the endpoint.
func dynamoDBLocal(endpoint string) engine {
	return func(t *testing.T, operation string, parameters any) (int, object) {
		return post(t, operation, parameters, func(r *http.Request) (int, []byte) {
			out, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, r.Body)
			if err != nil {
				t.Fatal(err)
			}
			out.Header = r.Header
			out.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=differential/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
			response, err := http.DefaultClient.Do(out)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close() //nolint:errcheck // a test
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			return response.StatusCode, body
		})
	}
}

// both returns the two engines, with an empty table of that name and key types in each.
func both(t *testing.T, table, partition, sort string) (ours, theirs engine) {
	t.Helper()
	endpoint := os.Getenv("DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("needs DynamoDB Local: go run ./infra/local/dynamodblocal/with go test ./infra/local/table")
	}
	ours, theirs = embedded(New(Options{})), dynamoDBLocal(endpoint)
	for _, e := range []engine{ours, theirs} {
		e(t, "DeleteTable", object{"TableName": table})
		createTableOf(t, e, table, partition, sort)
	}
	return ours, theirs
}

// exchange is one operation and how both engines answered it.
type exchange struct {
	operation              string
	request                object
	ourStatus, theirStatus int
	ours, theirs           object
}

func (x exchange) String() string {
	request, _ := json.Marshal(x.request)
	ours, _ := json.Marshal(x.ours)
	theirs, _ := json.Marshal(x.theirs)
	return fmt.Sprintf("%s %s\n  embedded:       %d %s\n  DynamoDB Local: %d %s", x.operation, request, x.ourStatus, ours, x.theirStatus, theirs)
}

func TestDifferential(t *testing.T) {
	ours, theirs := both(t, "differential", "S", "S")
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d operations, -seed=%d", *operationsFlag, seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), table: "differential"}
	failures, tolerated, answered := 0, map[string]int{}, map[string]int{}
	for i := range *operationsFlag {
		x := exchange{}
		x.operation, x.request = g.request()
		if g.chance(6) {
			x.operation, x.request = g.dataModel()
		}
		x.ourStatus, x.ours = ours(t, x.operation, x.request)
		x.theirStatus, x.theirs = theirs(t, x.operation, x.request)
		answered[fmt.Sprintf("%s %d", x.operation, x.ourStatus)]++
		difference, reason := x.compare()
		if reason != "" {
			tolerated[reason]++
			for _, e := range []engine{ours, theirs} { // the engines may have gone different ways
				e(t, "DeleteItem", object{"TableName": g.table, "Key": x.request["Key"]})
			}
		}
		if difference != "" {
			t.Errorf("operation %d: %s\n%s", i, x, difference)
			failures++
		}
		if i%100 == 99 || failures > 0 {
			all := exchange{operation: "Scan", request: object{"TableName": g.table}}
			all.ourStatus, all.ours = ours(t, all.operation, all.request)
			all.theirStatus, all.theirs = theirs(t, all.operation, all.request)
			if difference, _ := all.compare(); difference != "" {
				t.Fatalf("after operation %d the tables differ: %s", i, difference)
			}
		}
		if failures > 20 {
			t.Fatal("too many differences")
		}
	}
	t.Logf("answers: %v", answered)
	for reason, n := range tolerated {
		t.Logf("%d times: %s", n, reason)
	}
}

// run performs an operation on both engines and reports a difference.
func (x exchange) run(t *testing.T, ours, theirs engine) {
	t.Helper()
	x.ourStatus, x.ours = ours(t, x.operation, x.request)
	x.theirStatus, x.theirs = theirs(t, x.operation, x.request)
	if difference, _ := x.compare(); difference != "" {
		t.Errorf("%.2000s\n%.2000s", x, difference)
	}
}

// TestDifferentialKeys: keys of every type, in every range.
func TestDifferentialKeys(t *testing.T) {
	numbers := []string{"0", "1", "-1", "1.5", "1.50", "-1.5", "10", "9", "1E20", "-1E20", "0.001", "1E-130", "-1E125", "9.9E125", "12345678901234567890123456789012345678"}
	binaries := []string{"AA==", "AAA=", "AQ==", "fw==", "gA==", "/w==", "//8=", ""}
	for _, test := range []struct {
		kind   string
		values []string
	}{{"N", numbers}, {"B", binaries}} {
		t.Run(test.kind, func(t *testing.T) {
			ours, theirs := both(t, "differential", test.kind, test.kind)
			g := &generator{Rand: rand.New(rand.NewPCG(*seedFlag, 1)), table: "differential"}
			value := func() object { return object{test.kind: one(g, test.values...)} }
			for range 300 {
				x := exchange{operation: "PutItem", request: object{"TableName": g.table, "Item": object{"pk": object{test.kind: test.values[g.IntN(2)]}, "sk": value(), "v": g.value(1)}}}
				if g.chance(4) {
					x = exchange{operation: "GetItem", request: object{"TableName": g.table, "Key": object{"pk": value(), "sk": value()}}}
				}
				x.run(t, ours, theirs)
			}
			for range 300 {
				g.names, g.values = object{}, object{}
				condition := "pk = " + g.ref(object{test.kind: test.values[g.IntN(2)]})
				switch g.IntN(4) {
				case 0:
					condition += " AND sk BETWEEN " + g.ref(value()) + " AND " + g.ref(value())
				case 1:
					condition += " AND begins_with(sk, " + g.ref(value()) + ")"
				case 2:
					condition += " AND sk " + one(g, "=", "<", "<=", ">", ">=") + g.ref(value())
				}
				r := object{"TableName": g.table, "KeyConditionExpression": condition, "ScanIndexForward": g.chance(2), "ReturnConsumedCapacity": "TOTAL"}
				if g.chance(3) {
					r["Limit"] = 1 + g.IntN(4)
				}
				exchange{operation: "Query", request: g.end(r)}.run(t, ours, theirs)
			}
		})
	}
}

// TestDifferentialPages: where pages end, and what they cost, with items around the boundaries.
func TestDifferentialPages(t *testing.T) {
	ours, theirs := both(t, "differential", "S", "S")
	for _, size := range []int{1 << 16, 1<<16 - 1, 60_000, 399_000} {
		for i := range 20 {
			item := object{"pk": textOf("p"), "sk": textOf(fmt.Sprintf("s%03d", i)), "d": textOf(strings.Repeat("x", size-10))}
			exchange{operation: "PutItem", request: object{"TableName": "differential", "Item": item, "ReturnConsumedCapacity": "TOTAL"}}.run(t, ours, theirs)
		}
		for _, more := range []object{{}, {"ScanIndexForward": false}, {"ConsistentRead": true, "Limit": 3}, {"Select": "COUNT"}, {"ProjectionExpression": "sk", "ExclusiveStartKey": object{"pk": textOf("p"), "sk": textOf("s001")}}} {
			r := object{"TableName": "differential", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": object{":p": textOf("p")}, "ReturnConsumedCapacity": "INDEXES"}
			for name, v := range more {
				r[name] = v
			}
			exchange{operation: "Query", request: r}.run(t, ours, theirs)
		}
		exchange{operation: "Scan", request: object{"TableName": "differential", "ProjectionExpression": "sk", "ReturnConsumedCapacity": "TOTAL"}}.run(t, ours, theirs)
	}
}

// TestDifferentialReservedWords: the list is DynamoDB Local's too.
func TestDifferentialReservedWords(t *testing.T) {
	ours, theirs := both(t, "differential", "S", "S")
	for _, word := range append(strings.Fields(reservedList), "pk", "exp", "sockets", "contains", "begins_with", "attribute_exists", "a1", "lastSeen") {
		key := object{"pk": textOf("p"), "sk": textOf("s")}
		exchange{operation: "GetItem", request: object{"TableName": "differential", "Key": key, "ProjectionExpression": strings.ToLower(word)}}.run(t, ours, theirs)
	}
}
