package stack

import (
	"context"
	"net/http"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

// prepareFaults puts Faults behind the hooks that the options have already, and what roles refuse before them.
func (s *Stack) prepareFaults() error {
	var err error
	if s.Faults, err = faults.New(s.options.Faults); err != nil {
		return err
	}
	o := &s.options
	o.Table.Hook = inTurn(s.guard, inTurn(o.Table.Hook, s.Faults.Before))
	o.Table.After = inTurn(o.Table.After, s.Faults.After)
	if o.Lambda.Kill == nil {
		o.Lambda.Kill = s.Faults.Kill
	}
	if o.Lambda.Duplicate == nil {
		o.Lambda.Duplicate = s.Faults.Duplicate
	}
	if o.DynamoDBEndpoint == "" { // in a table that may have been used before, an id must not come again
		o.Gateway.NewConnectionID = s.Faults.ConnectionID
	}
	fault, lose := o.Gateway.Fault, o.Gateway.LoseDisconnect
	o.Gateway.Fault = func(op, connection string) gateway.Fault {
		if fault != nil {
			if ordered := fault(op, connection); ordered != (gateway.Fault{}) {
				return ordered
			}
		}
		return s.Faults.Management(op, connection)
	}
	o.Gateway.LoseDisconnect = func(connection string) bool {
		return lose != nil && lose(connection) || s.Faults.LoseDisconnect(connection)
	}
	return nil
}

// inTurn asks a hook of the table and, unless it has an answer, the next.
func inTurn(first, second func(context.Context, table.Op) error) func(context.Context, table.Op) error {
	if first == nil {
		return second
	}
	return func(ctx context.Context, op table.Op) error {
		if err := first(ctx, op); err != nil {
			return err
		}
		return second(ctx, op)
	}
}

// watched has h know which function calls it, and functions killed at their calls.
func (s *Stack) watched(h http.Handler) http.Handler {
	if s.Functions == nil {
		return h
	}
	return s.Functions.Watch(h)
}
