package gateway

import (
	"errors"
	"fmt"
)

// received routes a message. Messages of one connection are invoked concurrently, in no order.
func (c *conn) received(body []byte) {
	g := c.g
	now := g.cfg.Now()
	c.mu.Lock()
	open := c.state == stateOpen
	c.mu.Unlock()
	if !open {
		return
	}
	c.lastActive.Store(now.UnixMilli())

	key := g.selection.key(body)
	route, ok := g.cfg.Routes[key]
	if !ok || key == routeConnect || key == routeDisconnect {
		key = routeDefault
		if route, ok = g.cfg.Routes[key]; !ok {
			key = ""
		}
	}
	ctx := c.requestContext(key, "MESSAGE", now)
	g.observe(Event{Kind: KindMessage, ConnectionID: c.id, RequestID: ctx.RequestID, TraceID: ctx.trace, RouteKey: key, Function: route.Function, Bytes: len(body)})
	switch {
	case !g.allowedOn(key), !g.allowed():
		c.reply([]byte(errorFrame("Too Many Requests", ctx)), ctx)
	case !ok:
		c.reply([]byte(errorFrame("Forbidden", ctx)), ctx)
	default:
		jitter := g.jitter()
		g.running.Go(func() {
			g.sleep(g.ctx, jitter)
			c.invoke(route, ctx, string(body))
		})
	}
}

// invoke runs a route's function for a message and tells the client what a client is told: nothing, unless it failed or the route
// is two-way.
func (c *conn) invoke(route Route, ctx requestContext, body string) {
	ctx.MessageID = newID(c.g.cfg.Now())
	result, err := c.g.call(route.Function, route.timeout(), ctx, proxyEvent{RequestContext: ctx, Body: &body})
	var response proxyResponse
	if err == nil && route.TwoWay {
		response, err = parseResponse(result.Payload)
	}
	switch {
	case errors.Is(err, errTimedOut):
		c.reply([]byte(errorFrame("Endpoint request timed out", ctx)), ctx)
	case err != nil:
		c.reply([]byte(errorFrame("Internal server error", ctx)), ctx)
	case route.TwoWay:
		c.reply([]byte(response.body), ctx)
	}
}

// reply sends what the gateway itself has to say. A client that is gone, or does not read, misses it.
func (c *conn) reply(text []byte, ctx requestContext) {
	c.g.observe(Event{Kind: KindReply, ConnectionID: c.id, RequestID: ctx.RequestID, TraceID: ctx.trace, RouteKey: ctx.RouteKey, Bytes: len(text)})
	_, _ = c.send(text)
}

// errorFrame is what API Gateway itself says to a client, spaces as captured.
func errorFrame(message string, ctx requestContext) string {
	return fmt.Sprintf(`{"message": "%s", "connectionId":"%s", "requestId":"%s"}`, message, ctx.ConnectionID, ctx.RequestID)
}

// disconnected tells of the end, and $disconnect of it, best effort: whatever the function answers is ignored.
func (c *conn) disconnected(e ending) {
	g := c.g
	event := c.disconnectEvent(e, g.cfg.Now())
	g.observe(Event{
		Kind: KindClose, ConnectionID: c.id, TraceID: event.RequestContext.trace, Code: e.code, Reason: e.reason, Cause: e.cause, Err: e.err,
	})
	route, ok := g.cfg.Routes[routeDisconnect]
	if !ok {
		return
	}
	if g.cfg.LoseDisconnect != nil && g.cfg.LoseDisconnect(c.id) {
		g.observe(Event{Kind: KindLostDisconnect, ConnectionID: c.id, RequestID: event.RequestContext.RequestID, TraceID: event.RequestContext.trace, Function: route.Function})
		return
	}
	g.sleep(g.ctx, g.jitter())
	_, _ = g.call(route.Function, route.timeout(), event.RequestContext, event)
}
