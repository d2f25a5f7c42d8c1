package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.org/realtime/infra/local/trace"
)

// proxyEvent is what an integration gets: CONNECT has headers, MESSAGE a body, DISCONNECT four fixed headers. The order of the
// fields is that of captured events.
type proxyEvent struct {
	Headers           map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Query             map[string]string   `json:"queryStringParameters,omitempty"`
	MultiValueQuery   map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	RequestContext    requestContext      `json:"requestContext"`
	Body              *string             `json:"body,omitempty"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

// authorizerEvent is what a REQUEST authorizer gets.
type authorizerEvent struct {
	Type              string              `json:"type"`
	MethodARN         string              `json:"methodArn"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Query             map[string]string   `json:"queryStringParameters"`
	MultiValueQuery   map[string][]string `json:"multiValueQueryStringParameters"`
	StageVariables    struct{}            `json:"stageVariables"`
	RequestContext    requestContext      `json:"requestContext"`
}

type requestContext struct {
	RouteKey             string          `json:"routeKey"`
	DisconnectStatusCode int             `json:"disconnectStatusCode,omitempty"`
	Authorizer           json.RawMessage `json:"authorizer,omitempty"`
	MessageID            string          `json:"messageId,omitempty"`
	EventType            string          `json:"eventType"`
	ExtendedRequestID    string          `json:"extendedRequestId"`
	RequestTime          string          `json:"requestTime"` // common log format
	MessageDirection     string          `json:"messageDirection"`
	DisconnectReason     *string         `json:"disconnectReason,omitempty"`
	Stage                string          `json:"stage"`
	ConnectedAt          int64           `json:"connectedAt"`      // ms
	RequestTimeEpoch     int64           `json:"requestTimeEpoch"` // ms
	Identity             identity        `json:"identity"`
	RequestID            string          `json:"requestId"`
	DomainName           string          `json:"domainName"`
	ConnectionID         string          `json:"connectionId"`
	APIID                string          `json:"apiId"`

	trace string // Root of the trace that begins with the event
}

type identity struct {
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// requestContext is that of a new event of c at the time now, with ids of its own.
func (c *conn) requestContext(routeKey, eventType string, now time.Time) requestContext {
	id := newID(now)
	return requestContext{
		RouteKey:          routeKey,
		Authorizer:        c.authorizer,
		EventType:         eventType,
		ExtendedRequestID: id,
		RequestTime:       now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		MessageDirection:  "IN",
		Stage:             c.g.cfg.Stage,
		ConnectedAt:       c.connectedAt.UnixMilli(),
		RequestTimeEpoch:  now.UnixMilli(),
		Identity:          identity{UserAgent: c.userAgent, SourceIP: c.sourceIP},
		RequestID:         id,
		DomainName:        c.domain,
		ConnectionID:      c.id,
		APIID:             c.g.cfg.APIID,
		trace:             trace.NewRoot(now),
	}
}

// disconnectEvent is the DISCONNECT event: its headers are always these four.
func (c *conn) disconnectEvent(e ending, now time.Time) proxyEvent {
	ctx := c.requestContext(routeDisconnect, "DISCONNECT", now)
	ctx.DisconnectStatusCode = e.code
	ctx.DisconnectReason = &e.reason
	headers := map[string][]string{"Host": {c.domain}, "x-api-key": {""}, "X-Forwarded-For": {""}, "x-restapi": {""}}
	return proxyEvent{Headers: last(headers), MultiValueHeaders: headers, RequestContext: ctx}
}

// hopHeaders never reach an integration; the authorizer gets them as API Gateway's front end writes them.
var hopHeaders = map[string][]string{"Connection": {"upgrade"}, "Upgrade": {"websocket"}, "content-length": {"0"}}

// authorizerEvent is the REQUEST event: the CONNECT event with more headers, and maps that are empty rather than absent.
func (g *Gateway) authorizerEvent(headers, query map[string][]string, ctx requestContext) authorizerEvent {
	headers = maps.Clone(headers)
	maps.Copy(headers, hopHeaders)
	if query == nil {
		query = map[string][]string{}
	}
	return authorizerEvent{
		Type:              "REQUEST",
		MethodARN:         fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s/%s", g.cfg.Region, g.cfg.Account, g.cfg.APIID, g.cfg.Stage, routeConnect),
		Headers:           last(headers),
		MultiValueHeaders: headers,
		Query:             last(query),
		MultiValueQuery:   query,
		RequestContext:    ctx,
	}
}

// headers returns the handshake's headers by the names that API Gateway gives them.
func (c *conn) headers(r *http.Request, ctx requestContext) map[string][]string {
	headers := map[string][]string{}
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Content-Length":
		default:
			// net/http has Sec-Websocket-Key, API Gateway Sec-WebSocket-Key.
			headers[strings.Replace(name, "Sec-Websocket-", "Sec-WebSocket-", 1)] = values
		}
	}
	proto, port := "http", ""
	if r.TLS != nil {
		proto = "https"
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		_, port, _ = net.SplitHostPort(local.String())
	}
	headers["Host"] = []string{c.domain}
	headers["X-Forwarded-For"] = []string{strings.Join(slices.Concat(r.Header.Values("X-Forwarded-For"), []string{c.sourceIP}), ", ")}
	headers["X-Forwarded-Port"] = []string{port}
	headers["X-Forwarded-Proto"] = []string{proto}
	if r.Header.Get(trace.Name) == "" {
		headers[trace.Name] = []string{trace.Header{Root: ctx.trace}.String()}
	}
	return headers
}

// query returns the handshake's query, nil without one: the maps are then absent from the event.
func query(r *http.Request) map[string][]string {
	if values, _ := url.ParseQuery(r.URL.RawQuery); len(values) > 0 {
		return values
	}
	return nil
}

// last is the single-value form of a multi-value map: the last value of each name.
func last(values map[string][]string) map[string]string {
	if values == nil {
		return nil
	}
	single := make(map[string]string, len(values))
	for name, v := range values {
		single[name] = v[len(v)-1]
	}
	return single
}

// idLength, in bytes, of connection, message and request ids: 16 characters of base64url that always end in =.
const idLength = 11

// newID returns an id like API Gateway's: 30 bits count tenths of a second, so ids of one moment share their first five
// characters, and the rest is random. The offset makes ids of captured events and their times agree.
func newID(now time.Time) string {
	const offset = 652133373
	id := random(idLength)
	tenths := uint32(now.UnixMilli()/100-offset) << 2 //nolint:gosec // G115: wraps every 3.4 years
	binary.BigEndian.PutUint32(id, tenths|uint32(id[3]&3))
	return base64.URLEncoding.EncodeToString(id)
}

// validID reports whether id could be one of newID's.
func validID(id string) bool {
	b, err := base64.URLEncoding.DecodeString(id)
	return err == nil && len(b) == idLength && len(id) == base64.URLEncoding.EncodedLen(idLength)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
