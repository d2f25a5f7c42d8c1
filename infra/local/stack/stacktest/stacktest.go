// Package stacktest has the part of a stack that the tests of what is beside it need: a gateway and an embedded table, in a moment, without
// the template, functions and ports.
package stacktest

import (
	"context"
	"fmt"
	"time"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/store"
)

// New makes a stack with the gateway and the table of o, and the rows of that table by the clock now. The caller closes the gateway.
func New(ctx context.Context, o stack.Options, now func() time.Time) (*stack.Stack, *store.Table, error) {
	s := &stack.Stack{Table: table.New(o.Table), TableName: "realtime", DynamoDBEndpoint: "http://127.0.0.1:8000"}
	_, err := s.Table.Client().CreateTable(ctx, store.Schema(s.TableName))
	if err != nil {
		return nil, nil, fmt.Errorf("create table: %w", err)
	}
	o.Gateway.Stage = stack.Stage
	if s.Gateway, err = gateway.New(o.Gateway); err != nil {
		return nil, nil, err
	}
	if s.Faults, err = faults.New(faults.Config{}); err != nil {
		return nil, nil, err
	}
	return s, store.New(s.Table.Client(), s.TableName, now), nil
}
