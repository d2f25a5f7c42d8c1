package main

import (
	"context"
	"log/slog"
	"net/http"

	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/realtime"
)

type rule interface {
	Connect(ctx context.Context, e realtime.Connected) error
}

type connect struct {
	rule    rule
	metrics realtime.Metrics
	log     *slog.Logger
}

// handle opens the connection or answers 500. It returns no error: API Gateway would make 502 of it, as of a function that is
// broken.
func (c *connect) handle(ctx context.Context, e gateway.Event) (gateway.Response, error) {
	if err := gateway.CheckTransport(e); err != nil {
		c.log.InfoContext(ctx, "handshake refused", "connection_id", e.RequestContext.ConnectionID, "reason", err.Error())
		return gateway.Response{StatusCode: http.StatusBadRequest}, nil
	}
	response, err := gateway.Serve(gateway.Connected, c.rule.Connect)(ctx, e)
	if err != nil {
		c.log.ErrorContext(ctx, "connection not opened", "connection_id", e.RequestContext.ConnectionID, "error", err)
		c.metrics.Put(map[string]float64{"InternalErrors": 1})
		return gateway.Response{StatusCode: http.StatusInternalServerError}, nil
	}
	if response.StatusCode == http.StatusOK {
		response.Headers = gateway.Subprotocol(e)
	}
	return response, nil
}
