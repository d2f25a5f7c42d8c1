package table

import (
	"net/http"
	"testing"
)

// createTable makes a table with keys pk (S) and sk (S).
func createTable(t *testing.T, e engine, name string) {
	t.Helper()
	createTableOf(t, e, name, "S", "S")
}

func createTableOf(t *testing.T, e engine, name, partition, sort string) {
	t.Helper()
	status, answer := e(t, "CreateTable", object{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{object{"AttributeName": "pk", "AttributeType": partition}, object{"AttributeName": "sk", "AttributeType": sort}},
		"KeySchema":            []any{object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}},
	})
	if status != http.StatusOK {
		t.Fatalf("CreateTable: %v", answer)
	}
}
