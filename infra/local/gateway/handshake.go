package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// maxURL, in bytes (WebSocket API quotas).
const maxURL = 4096

var (
	errDeclined  = errors.New("$connect declined")                                       // it returned another status than 2xx
	errThrottled = errors.New("$connect is throttled")                                   // by the stage
	errQuota     = errors.New("more new connections a second than the account may have") // Config.NewConnections
)

// connect serves a handshake. The upgrade is held until the authorizer and $connect have answered.
func (g *Gateway) connect(w http.ResponseWriter, r *http.Request) {
	now := g.cfg.Now()
	c := &conn{g: g, id: g.connectionID(now), connectedAt: now, domain: g.cfg.DomainName, userAgent: r.UserAgent()}
	if c.domain == "" {
		c.domain = r.Host
	}
	c.sourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	ctx := c.requestContext(routeConnect, "CONNECT", now)

	g.observe(Event{Kind: KindHandshake, ConnectionID: c.id, RequestID: ctx.RequestID, TraceID: ctx.trace})

	status, err := upgradable(r)
	var protocol string
	if err == nil {
		protocol, status, err = g.accept(c, r, ctx) //nolint:contextcheck // an invocation outlives the request
	}
	if err != nil {
		g.observe(Event{Kind: KindReject, ConnectionID: c.id, RequestID: ctx.RequestID, TraceID: ctx.trace, Status: status, Err: err})
		reject(w, status, err, ctx)
		return
	}
	header := http.Header{}
	if protocol != "" {
		header["Sec-WebSocket-Protocol"] = []string{protocol}
	}
	g.observe(Event{Kind: KindConnect, ConnectionID: c.id, TraceID: ctx.trace})
	if err := c.open(w, r, header); err != nil { //nolint:contextcheck // the connection outlives the request
		g.cfg.Log.Error("upgrade failed", "connection", c.id, "error", err)
	}
}

// connectionID is that of a handshake that comes now.
func (g *Gateway) connectionID(now time.Time) string {
	if g.cfg.NewConnectionID != nil {
		if id := g.cfg.NewConnectionID(); id != "" {
			return id
		}
	}
	return newID(now)
}

// upgradable reports why r cannot become a WebSocket connection, and the status that says so.
func upgradable(r *http.Request) (status int, err error) {
	switch {
	case r.Method != http.MethodGet:
		return http.StatusForbidden, fmt.Errorf("method %s", r.Method)
	case len("wss://")+len(r.Host)+len(r.RequestURI) > maxURL:
		return http.StatusRequestURITooLong, fmt.Errorf("the URL is longer than %d bytes", maxURL)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return http.StatusUpgradeRequired, errors.New("no WebSocket upgrade")
	case !token(r.Header.Values("Connection"), "upgrade"):
		return http.StatusBadRequest, errors.New("no Connection: Upgrade")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return http.StatusBadRequest, errors.New("the WebSocket version is not 13")
	case len(r.Header.Get("Sec-WebSocket-Key")) != 24:
		return http.StatusBadRequest, errors.New("no Sec-WebSocket-Key of 24 characters")
	}
	return 0, nil
}

// token reports whether a header that lists tokens has this one.
func token(values []string, want string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(values, ","), ","), func(t string) bool {
		return strings.EqualFold(strings.TrimSpace(t), want)
	})
}

// accept asks the authorizer and $connect. It returns the subprotocol that $connect chose, or why and with which status the
// handshake is refused.
func (g *Gateway) accept(c *conn, r *http.Request, ctx requestContext) (protocol string, status int, err error) {
	switch {
	case !g.allowedOn(routeConnect):
		return "", http.StatusTooManyRequests, errThrottled
	case !g.take(g.entrance):
		return "", http.StatusTooManyRequests, errQuota
	}
	route, ok := g.cfg.Routes[routeConnect]
	if !ok {
		return "", 0, nil
	}
	headers, query := c.headers(r, ctx), query(r)
	if g.cfg.Authorizer != nil {
		ctx.Authorizer, status, err = g.authorize(c, g.authorizerEvent(headers, query, ctx))
		if err != nil {
			return "", status, err
		}
	}
	event := proxyEvent{
		Headers: last(headers), MultiValueHeaders: headers, Query: last(query), MultiValueQuery: query, RequestContext: ctx,
	}
	result, err := g.call(route.Function, route.timeout(), ctx, event)
	switch {
	case errors.Is(err, errTimedOut):
		return "", http.StatusGatewayTimeout, err
	case errors.Is(err, errFunction):
		return "", http.StatusBadGateway, err
	case err != nil:
		return "", http.StatusInternalServerError, err
	}
	response, err := parseResponse(result.Payload)
	if err != nil {
		return "", http.StatusBadGateway, err
	}
	if response.statusCode > 299 {
		return "", response.statusCode, fmt.Errorf("%w with status %d", errDeclined, response.statusCode)
	}
	return response.header("Sec-WebSocket-Protocol"), 0, nil
}

// reject answers a refused handshake: in the gateway's own words, or with nothing but $connect's status.
func reject(w http.ResponseWriter, status int, err error, ctx requestContext) {
	w.Header().Set("x-amzn-RequestId", ctx.RequestID)
	if errors.Is(err, errDeclined) {
		w.WriteHeader(status)
		return
	}
	message := map[int]string{
		http.StatusUnauthorized:        "Unauthorized",
		http.StatusForbidden:           "Forbidden",
		http.StatusInternalServerError: "Internal server error",
		http.StatusBadGateway:          "Internal server error",
		http.StatusGatewayTimeout:      "Endpoint request timed out",
	}[status]
	if message == "" {
		message = http.StatusText(status)
	}
	if status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, errorFrame(message, ctx))
}

// open writes the 101 and starts to serve c. Whoever finds c waits until the 101 is written: a post before it is 410, one after
// it arrives.
func (c *conn) open(w http.ResponseWriter, r *http.Request, header http.Header) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	closing := c.g.add(c)
	socket, buffered, _, err := ws.HTTPUpgrader{Header: header, Timeout: c.g.cfg.Timers.Close}.Upgrade(r, w)
	if socket == nil {
		c.g.forget(c)
		return err
	}
	// With an error the client is gone already, and the first read says so.
	first, _ := buffered.Peek(buffered.Reader.Buffered())
	first = slices.Clone(first) // nil when empty: the buffer is not kept
	c.socket, c.state = socket, stateOpen
	c.lastActive.Store(c.connectedAt.UnixMilli())
	c.g.running.Go(func() { c.serve(first) })
	if closing {
		c.shutLocked(goingAway(CauseShutdown))
	}
	return nil
}
