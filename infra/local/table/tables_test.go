package table

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTables(t *testing.T) {
	now := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	e := embedded(New(Options{Now: func() time.Time { return now }}))
	createTable(t, e, "app")
	status, answer := e(t, "DescribeTable", object{"TableName": "app"})
	if diff := cmp.Diff(object{"Table": object{
		"AttributeDefinitions":      []any{object{"AttributeName": "pk", "AttributeType": "S"}, object{"AttributeName": "sk", "AttributeType": "S"}},
		"BillingModeSummary":        object{"BillingMode": "PAY_PER_REQUEST"},
		"CreationDateTime":          float64(now.Unix()),
		"DeletionProtectionEnabled": false,
		"ItemCount":                 0.0,
		"KeySchema":                 []any{object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}},
		"ProvisionedThroughput":     object{"NumberOfDecreasesToday": 0.0, "ReadCapacityUnits": 0.0, "WriteCapacityUnits": 0.0},
		"TableArn":                  "arn:aws:dynamodb:local:000000000000:table/app",
		"TableName":                 "app",
		"TableSizeBytes":            0.0,
		"TableStatus":               "ACTIVE",
	}}, answer); status != http.StatusOK || diff != "" {
		t.Errorf("DescribeTable: status %d (-want +got):\n%s", status, diff)
	}
	put(t, e, sample)
	put(t, e, object{"pk": textOf("p"), "sk": textOf("t")})
	put(t, e, object{"pk": textOf("p"), "sk": textOf("t"), "a": textOf("b")})
	_, answer = e(t, "DescribeTable", object{"TableName": "app"})
	if described := answer["Table"].(object); described["ItemCount"] != 2.0 {
		t.Errorf("ItemCount %v of 2", described["ItemCount"])
	}
	for i := range 4 {
		createTable(t, e, fmt.Sprintf("more%d", i))
	}
	var names []any
	r := object{"Limit": 2}
	for {
		_, answer := e(t, "ListTables", r)
		names = append(names, answer["TableNames"].([]any)...)
		last, more := answer["LastEvaluatedTableName"]
		if !more {
			break
		}
		r["ExclusiveStartTableName"] = last
	}
	if diff := cmp.Diff([]any{"app", "more0", "more1", "more2", "more3"}, names); diff != "" {
		t.Errorf("ListTables (-want +got):\n%s", diff)
	}
	if status, answer := e(t, "DeleteTable", object{"TableName": "app"}); status != http.StatusOK || answer["TableDescription"].(object)["TableStatus"] != "DELETING" {
		t.Errorf("DeleteTable: %v", answer)
	}
	if status, answer := e(t, "DescribeTable", object{"TableName": "app"}); status != http.StatusBadRequest || answer["__type"] != typeResourceNotFound {
		t.Errorf("DescribeTable of a deleted one: %v", answer)
	}
	createTable(t, e, "app")
	if _, answer := e(t, "Scan", object{"TableName": "app"}); answer["Count"] != 0.0 {
		t.Errorf("a table made again holds %v", answer)
	}
}

func TestTableErrors(t *testing.T) {
	e := embedded(New(Options{}))
	createTable(t, e, "app")
	pk := object{"AttributeName": "pk", "AttributeType": "S"}
	hash := object{"AttributeName": "pk", "KeyType": "HASH"}
	valid := func(change object) object {
		r := object{"TableName": "other", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": []any{pk}, "KeySchema": []any{hash}}
		for name, v := range change {
			r[name] = v
		}
		return r
	}
	for _, test := range []struct {
		operation string
		r         object
		kind      string
		want      string // part of the message
	}{
		{"CreateTable", valid(object{"TableName": "app"}), typeResourceInUse, "Table already exists: app"},
		{"CreateTable", valid(object{"KeySchema": nil}), typeValidation, "'keySchema'"},
		{"CreateTable", valid(object{"AttributeDefinitions": nil}), typeValidation, "not defined in AttributeDefinitions. Keys: [pk]"},
		{"CreateTable", valid(object{"AttributeDefinitions": []any{pk, object{"AttributeName": "x", "AttributeType": "S"}}}), typeValidation, "does not exactly match"},
		{"CreateTable", valid(object{"AttributeDefinitions": []any{object{"AttributeName": "pk", "AttributeType": "M"}}}), typeValidation, "enum value set: [B, N, S]"},
		{"CreateTable", valid(object{"KeySchema": []any{object{"AttributeName": "pk", "KeyType": "RANGE"}}}), typeValidation, "one HASH key"},
		{"CreateTable", valid(object{"KeySchema": []any{hash, object{"AttributeName": "pk", "KeyType": "RANGE"}}}), typeValidation, "same name"},
		{"CreateTable", valid(object{"KeySchema": []any{"pk"}}), typeSerialization, "STRING_VALUE"},
		{"CreateTable", valid(object{"BillingMode": "FREE"}), typeValidation, "enum value set: [PAY_PER_REQUEST, PROVISIONED]"},
		{"CreateTable", valid(object{"BillingMode": nil}), typeValidation, "must both be specified when BillingMode is PROVISIONED"},
		{"CreateTable", valid(object{"ProvisionedThroughput": object{"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}), typeValidation, "can be specified when BillingMode is PAY_PER_REQUEST"},
		{"CreateTable", valid(object{"BillingMode": "PROVISIONED", "ProvisionedThroughput": object{"ReadCapacityUnits": 1}}), typeValidation, "at least 1"},
		{"CreateTable", valid(object{"TableName": strings.Repeat("x", 256)}), typeValidation, "less than or equal to 255"},
		{"CreateTable", valid(object{"StreamSpecification": object{"StreamEnabled": true}}), typeValidation, wayOut},
		{"DeleteTable", object{"TableName": "nothere"}, typeResourceNotFound, "nothere"},
		{"ListTables", object{"Limit": 0}, typeValidation, "greater than or equal to 1"},
		{"ListTables", object{"Limit": 101}, typeValidation, "less than or equal to 100"},
		{"ListTables", object{"Limit": "a"}, typeSerialization, "STRING_VALUE cannot be converted to Integer"},
		{"UpdateTimeToLive", object{"TableName": "app"}, typeValidation, "'timeToLiveSpecification'"},
		{"UpdateTimeToLive", object{"TableName": "app", "TimeToLiveSpecification": object{"Enabled": true}}, typeValidation, "attributeName"},
		{"UpdateTimeToLive", object{"TableName": "nothere", "TimeToLiveSpecification": object{"Enabled": true, "AttributeName": "exp"}}, typeResourceNotFound, "nothere"},
		{"UpdateTimeToLive", object{"TableName": "app", "TimeToLiveSpecification": object{"Enabled": false, "AttributeName": "exp"}}, typeValidation, "already disabled"},
	} {
		if status, answer := e(t, test.operation, test.r); status != http.StatusBadRequest || answer["__type"] != test.kind || !strings.Contains(messageOf(answer), test.want) {
			t.Errorf("%s %.150v: status %d, %.200v, want %s %s", test.operation, test.r, status, answer, test.kind, test.want)
		}
	}
	provisioned := valid(object{"BillingMode": nil, "ProvisionedThroughput": object{"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}})
	if status, answer := e(t, "CreateTable", provisioned); status != http.StatusOK || answer["TableDescription"].(object)["BillingModeSummary"] != nil {
		t.Errorf("a provisioned table: %v", answer)
	}
}

func timeToLive(enabled bool) object {
	return object{"TableName": "app", "TimeToLiveSpecification": object{"Enabled": enabled, "AttributeName": "exp"}}
}

func TestTimeToLive(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	table := New(Options{Now: func() time.Time { return now }})
	e := embedded(table)
	createTable(t, e, "app")
	seconds := func(at time.Time) object { return numberOf(fmt.Sprint(at.Unix())) }
	items := map[string]any{ // exp, and whether the item outlives now
		"past": seconds(now.Add(-time.Second)), "now": seconds(now), "future": seconds(now.Add(time.Hour)), "none": nil, "text": textOf("1"),
		"long ago": seconds(now.Add(-6 * 365 * 24 * time.Hour)), "not so long ago": seconds(now.Add(-4 * 365 * 24 * time.Hour)), "fraction": numberOf(fmt.Sprintf("%d.5", now.Unix()-1)),
	}
	for name, exp := range items {
		item := object{"pk": textOf(name), "sk": textOf("s")}
		if exp != nil {
			item["exp"] = exp
		}
		put(t, e, item)
	}
	if n := table.Expire(now); n != 0 {
		t.Errorf("without a time to live, %d items expired", n)
	}
	if status, answer := e(t, "UpdateTimeToLive", timeToLive(true)); status != http.StatusOK {
		t.Fatal(answer)
	}
	if _, answer := e(t, "UpdateTimeToLive", timeToLive(true)); messageOf(answer) != "TimeToLive is already enabled" {
		t.Errorf("enabled twice: %v", answer)
	}
	_, answer := e(t, "DescribeTimeToLive", object{"TableName": "app"})
	if diff := cmp.Diff(object{"TimeToLiveDescription": object{"AttributeName": "exp", "TimeToLiveStatus": "ENABLED"}}, answer); diff != "" {
		t.Errorf("DescribeTimeToLive (-want +got):\n%s", diff)
	}
	_, answer = e(t, "Scan", object{"TableName": "app"})
	if answer["Count"] != float64(len(items)) {
		t.Errorf("before somebody expires them there are %v of %d items", answer["Count"], len(items))
	}
	if n := table.Expire(now); n != 3 {
		t.Errorf("%d items expired, want 3", n)
	}
	for name := range items {
		_, answer := e(t, "GetItem", object{"TableName": "app", "Key": object{"pk": textOf(name), "sk": textOf("s")}})
		if gone := answer["Item"] == nil; gone != (name == "past" || name == "not so long ago" || name == "fraction") {
			t.Errorf("%s: gone %t", name, gone)
		}
	}
	if status, _ := e(t, "UpdateTimeToLive", timeToLive(false)); status != http.StatusOK {
		t.Error("the time to live cannot be disabled")
	}
	if n := table.Expire(now.Add(24 * time.Hour)); n != 0 {
		t.Errorf("after it was disabled, %d items expired", n)
	}
	_, answer = e(t, "DescribeTimeToLive", object{"TableName": "app"})
	if diff := cmp.Diff(object{"TimeToLiveDescription": object{"TimeToLiveStatus": "DISABLED"}}, answer); diff != "" {
		t.Errorf("DescribeTimeToLive (-want +got):\n%s", diff)
	}
}

func TestExpireEvery(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	e := embedded(New(Options{Now: func() time.Time { return now }, ExpireEvery: time.Minute}))
	createTable(t, e, "app")
	e(t, "UpdateTimeToLive", timeToLive(true))
	put(t, e, object{"pk": textOf("p"), "sk": textOf("s"), "exp": numberOf(fmt.Sprint(now.Unix() - 10))})
	count := func() any {
		_, answer := e(t, "Scan", object{"TableName": "app"})
		return answer["Count"]
	}
	now = now.Add(59 * time.Second)
	if n := count(); n != 1.0 {
		t.Errorf("before the minute there are %v items", n)
	}
	now = now.Add(time.Second)
	if n := count(); n != 0.0 {
		t.Errorf("after the minute there are %v items", n)
	}
}

func TestProtocol(t *testing.T) {
	table := New(Options{})
	for _, test := range []struct {
		method, target, body string
		status               int
		want                 string // part of the body
	}{
		{"POST", "DynamoDB_20120810.ListTables", "{}", 200, `{"TableNames":[]}`},
		{"GET", "DynamoDB_20120810.ListTables", "{}", 400, typeUnknownOperation},
		{"POST", "", "{}", 400, typeUnknownOperation},
		{"POST", "DynamoDBStreams_20120810.ListStreams", "{}", 400, typeUnknownOperation},
		{"POST", "DynamoDB_20120810.Nonsense", "{}", 400, "Nonsense is outside"},
		{"POST", "DynamoDB_20120810.ListTables", "", 400, typeSerialization},
		{"POST", "DynamoDB_20120810.ListTables", "null", 400, typeSerialization},
		{"POST", "DynamoDB_20120810.ListTables", "[]", 400, typeSerialization},
		{"POST", "DynamoDB_20120810.ListTables", `{"Limit":1.5}`, 400, typeSerialization},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(test.method, "/", strings.NewReader(test.body))
		r.Header.Set("X-Amz-Target", test.target)
		table.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) || w.Header().Get("Content-Type") != contentType || w.Header().Get("X-Amzn-Requestid") == "" || w.Header().Get("X-Amz-Crc32") == "" {
			t.Errorf("%s %s %s: %d %s %v", test.method, test.target, test.body, w.Code, w.Body, w.Header())
		}
	}
}

// TestText: every character survives the way through JSON.
func TestText(t *testing.T) {
	e := newSample(t)
	for _, s := range []string{"\"\\/\b\f\n\r\t\x00\x1f\x7f", "<&>", "é😀\u2028\ufffd", strings.Repeat("\"", 300)} {
		put(t, e, object{"pk": textOf("p"), "sk": textOf("s"), s: textOf(s)})
		_, answer := e(t, "GetItem", object{"TableName": "app", "Key": keyOf(sample)})
		if got := answer["Item"].(object)[s]; !cmp.Equal(got, any(textOf(s))) {
			t.Errorf("%q came back as %v", s, answer)
		}
	}
}
