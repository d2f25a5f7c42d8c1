package table

import (
	"context"
	"errors"
	"net/http"
	"time"

	"example.org/realtime/infra/local/trace"
)

// Op is one operation as Hook and After see it.
type Op struct {
	Name  string // the operation: "PutItem"
	Table string // empty for ListTables and for a batch over more than one table
	Keys  []Key  // the items it is about: one, none for a Scan or an operation on a table, all of a batch in the order of the request

	TraceID string // Root of the call's X-Amzn-Trace-Id: the trace that it is part of; "" when it has none
	Segment string // its Parent: the invocation that makes the call

	Units Units // what it consumed; After and Observe only
	Err   error // how it failed, a failed condition for example; After and Observe only

	Duration time.Duration // since the call came; Observe only
}

// Key names an item, or with an empty Sort the partition that a Query reads. Numbers are in decimal, binary values as they are.
type Key struct {
	Table, Partition, Sort string
}

// Unprocessed is what a Hook returns to have a BatchGetItem or BatchWriteItem leave the items at these indexes of Op.Keys undone, as DynamoDB does
// under load. Other operations take it for no error.
type Unprocessed []int

func (Unprocessed) Error() string { return "table: items of a batch left unprocessed" }

// call is a decoded operation. run happens after the Hook; skip are the indexes of a batch's items to leave alone.
type call struct {
	op  Op
	run func(skip map[int]bool) (answer, Units, error)
}

// operations by their name in X-Amz-Target.
var operations = map[string]func(*Table, *request) (*call, error){
	"BatchGetItem":       (*Table).batchGetItem,
	"BatchWriteItem":     (*Table).batchWriteItem,
	"CreateTable":        (*Table).createTable,
	"DeleteItem":         (*Table).deleteItem,
	"DeleteTable":        (*Table).deleteTable,
	"DescribeTable":      (*Table).describeTable,
	"DescribeTimeToLive": (*Table).describeTimeToLive,
	"GetItem":            (*Table).getItem,
	"ListTables":         (*Table).listTables,
	"PutItem":            (*Table).putItem,
	"Query":              (*Table).query,
	"Scan":               (*Table).scan,
	"UpdateItem":         (*Table).updateItem,
	"UpdateTimeToLive":   (*Table).updateTimeToLive,
}

// do decodes and runs one operation.
func (t *Table) do(ctx context.Context, name string, header trace.Header, body []byte) (answer, error) {
	begun := time.Now()
	decode, exists := operations[name]
	if !exists {
		return nil, unknownOperation(name)
	}
	r, err := newRequest(name, body)
	if err != nil {
		return nil, err
	}
	c, err := decode(t, r)
	if err != nil {
		return nil, err
	}
	c.op.Name, c.op.TraceID, c.op.Segment = name, header.Root, header.Parent
	result, err := t.perform(ctx, c)
	if t.options.Observe != nil {
		c.op.Err, c.op.Duration = err, time.Since(begun)
		t.options.Observe(c.op)
	}
	return result, err
}

// perform runs a decoded operation between Hook and After.
func (t *Table) perform(ctx context.Context, c *call) (answer, error) {
	var skip Unprocessed
	if t.options.Hook != nil {
		if err := t.options.Hook(ctx, c.op); err != nil && !errors.As(err, &skip) {
			return nil, injected(err)
		}
	}
	t.expire()
	result, units, err := c.run(skip.set())
	c.op.Units = units
	t.count(c.op.Name, units)
	if t.options.After != nil {
		c.op.Err = err
		if err := t.options.After(ctx, c.op); err != nil {
			return nil, injected(err)
		}
	}
	return result, err
}

func (u Unprocessed) set() map[int]bool {
	if len(u) == 0 {
		return nil
	}
	set := make(map[int]bool, len(u))
	for _, i := range u {
		set[i] = true
	}
	return set
}

// injected is the answer for an error of a Hook. The SDK's errors have a code and a message.
func injected(err error) error {
	var typed interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
	if !errors.As(err, &typed) {
		return &apiError{status: http.StatusInternalServerError, kind: typeInternal, message: err.Error()}
	}
	e := &apiError{status: http.StatusBadRequest, kind: typePrefix + typed.ErrorCode(), message: typed.ErrorMessage()}
	switch typed.ErrorCode() {
	case "InternalServerError", "InternalFailure":
		e.status = http.StatusInternalServerError
	case "ServiceUnavailable":
		e.status = http.StatusServiceUnavailable
	}
	return e
}
