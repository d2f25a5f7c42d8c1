package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// The events of one connection, byte for byte but for ids (C is the connection's, R, M the request's and message's).
const (
	goldenAuthorizer = `{
"type":"REQUEST","methodArn":"arn:aws:execute-api:eu-west-1:123456789012:abcd/local/$connect",
"headers":{"Connection":"upgrade","Host":"abcd.execute-api.eu-west-1.amazonaws.com","Origin":"https://example.org","Sec-WebSocket-Key":"dGhlIHNhbXBsZSBub25jZQ==","Sec-WebSocket-Version":"13","Upgrade":"websocket","User-Agent":"golden/1 <&>","X-Amzn-Trace-Id":"Root=1-65d2ff2e-0","X-Forwarded-For":"192.0.2.1, 127.0.0.1","X-Forwarded-Port":"PORT","X-Forwarded-Proto":"http","X-Twice":"b","content-length":"0"},
"multiValueHeaders":{"Connection":["upgrade"],"Host":["abcd.execute-api.eu-west-1.amazonaws.com"],"Origin":["https://example.org"],"Sec-WebSocket-Key":["dGhlIHNhbXBsZSBub25jZQ=="],"Sec-WebSocket-Version":["13"],"Upgrade":["websocket"],"User-Agent":["golden/1 <&>"],"X-Amzn-Trace-Id":["Root=1-65d2ff2e-0"],"X-Forwarded-For":["192.0.2.1, 127.0.0.1"],"X-Forwarded-Port":["PORT"],"X-Forwarded-Proto":["http"],"X-Twice":["a","b"],"content-length":["0"]},
"queryStringParameters":{"k":"last one","n":""},"multiValueQueryStringParameters":{"k":["first","last one"],"n":[""]},
"stageVariables":{},
"requestContext":{"routeKey":"$connect","eventType":"CONNECT","extendedRequestId":"R","requestTime":"29/Nov/2023:08:04:01 +0000","messageDirection":"IN","stage":"local","connectedAt":1701245041796,"requestTimeEpoch":1701245041796,"identity":{"userAgent":"golden/1 <&>","sourceIp":"127.0.0.1"},"requestId":"R","domainName":"abcd.execute-api.eu-west-1.amazonaws.com","connectionId":"C","apiId":"abcd"}}`

	goldenConnect = `{
"headers":{"Host":"abcd.execute-api.eu-west-1.amazonaws.com","Origin":"https://example.org","Sec-WebSocket-Key":"dGhlIHNhbXBsZSBub25jZQ==","Sec-WebSocket-Version":"13","User-Agent":"golden/1 <&>","X-Amzn-Trace-Id":"Root=1-65d2ff2e-0","X-Forwarded-For":"192.0.2.1, 127.0.0.1","X-Forwarded-Port":"PORT","X-Forwarded-Proto":"http","X-Twice":"b"},
"multiValueHeaders":{"Host":["abcd.execute-api.eu-west-1.amazonaws.com"],"Origin":["https://example.org"],"Sec-WebSocket-Key":["dGhlIHNhbXBsZSBub25jZQ=="],"Sec-WebSocket-Version":["13"],"User-Agent":["golden/1 <&>"],"X-Amzn-Trace-Id":["Root=1-65d2ff2e-0"],"X-Forwarded-For":["192.0.2.1, 127.0.0.1"],"X-Forwarded-Port":["PORT"],"X-Forwarded-Proto":["http"],"X-Twice":["a","b"]},
"queryStringParameters":{"k":"last one","n":""},"multiValueQueryStringParameters":{"k":["first","last one"],"n":[""]},
"requestContext":{"routeKey":"$connect","authorizer":{"admin":false,"integrationLatency":0,"level":3,"principalId":"u1","userId":"u1"},"eventType":"CONNECT","extendedRequestId":"R","requestTime":"29/Nov/2023:08:04:01 +0000","messageDirection":"IN","stage":"local","connectedAt":1701245041796,"requestTimeEpoch":1701245041796,"identity":{"userAgent":"golden/1 <&>","sourceIp":"127.0.0.1"},"requestId":"R","domainName":"abcd.execute-api.eu-west-1.amazonaws.com","connectionId":"C","apiId":"abcd"},
"isBase64Encoded":false}`

	goldenMessage = `{
"requestContext":{"routeKey":"join","authorizer":{"admin":false,"level":3,"principalId":"u1","userId":"u1"},"messageId":"M","eventType":"MESSAGE","extendedRequestId":"R","requestTime":"29/Nov/2023:08:05:01 +0000","messageDirection":"IN","stage":"local","connectedAt":1701245041796,"requestTimeEpoch":1701245101796,"identity":{"userAgent":"golden/1 <&>","sourceIp":"127.0.0.1"},"requestId":"R","domainName":"abcd.execute-api.eu-west-1.amazonaws.com","connectionId":"C","apiId":"abcd"},
"body":"{\"event\":\"join\", \"x\":\"<é>\"}","isBase64Encoded":false}`

	goldenDisconnect = `{
"headers":{"Host":"abcd.execute-api.eu-west-1.amazonaws.com","X-Forwarded-For":"","x-api-key":"","x-restapi":""},
"multiValueHeaders":{"Host":["abcd.execute-api.eu-west-1.amazonaws.com"],"X-Forwarded-For":[""],"x-api-key":[""],"x-restapi":[""]},
"requestContext":{"routeKey":"$disconnect","disconnectStatusCode":1001,"authorizer":{"admin":false,"level":3,"principalId":"u1","userId":"u1"},"eventType":"DISCONNECT","extendedRequestId":"R","requestTime":"29/Nov/2023:08:05:01 +0000","messageDirection":"IN","disconnectReason":"","stage":"local","connectedAt":1701245041796,"requestTimeEpoch":1701245101796,"identity":{"userAgent":"golden/1 <&>","sourceIp":"127.0.0.1"},"requestId":"R","domainName":"abcd.execute-api.eu-west-1.amazonaws.com","connectionId":"C","apiId":"abcd"},
"isBase64Encoded":false}`
)

func TestEvents(t *testing.T) {
	t.Run("row 9: the event shapes", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{
			Region: "eu-west-1", Account: "123456789012", APIID: "abcd", DomainName: "abcd.execute-api.eu-west-1.amazonaws.com",
			Authorizer: &Authorizer{Function: "authorizer"}, Now: clock.Now,
		}, map[string]function{
			"authorizer": returns(strings.Replace(allow, connectARN, "*", 1)), "$connect": ok, "join": ok, "$disconnect": ok,
		})
		c, _ := a.handshake("/local?k=first&k=last+one&n", http.Header{
			"User-Agent": {"golden/1 <&>"}, "Origin": {"https://example.org"}, "X-Twice": {"a", "b"}, "Content-Length": {"0"},
			"X-Amzn-Trace-Id": {"Root=1-65d2ff2e-0"}, "X-Forwarded-For": {"192.0.2.1"},
		})
		clock.advance(time.Minute)
		c.text(`{"event":"join", "x":"<é>"}`)
		a.await(KindInvoke, 3)
		c.frame(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
		a.await(KindClose, 1)
		a.close()

		for name, golden := range map[string]string{
			"authorizer": goldenAuthorizer, "$connect": goldenConnect, "join": goldenMessage, "$disconnect": goldenDisconnect,
		} {
			calls := a.called(name)
			if len(calls) != 1 {
				t.Fatalf("%s was invoked %d times", name, len(calls))
			}
			ctx := a.event(name, 1).RequestContext
			got := strings.NewReplacer(ctx.ConnectionID, "C", ctx.RequestID, "R", a.url[strings.LastIndex(a.url, ":")+1:], "PORT").Replace(string(calls[0]))
			if ctx.MessageID != "" {
				got = strings.ReplaceAll(got, ctx.MessageID, "M")
			}
			if diff := cmp.Diff(strings.ReplaceAll(golden, "\n", ""), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})

	t.Run("row 9: no query, no user agent, no authorizer, no domain name", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"$connect": ok, "$default": ok, "$disconnect": ok})
		a.dial().text("not JSON")
		a.await(KindInvoke, 2)
		a.close()
		for _, name := range []string{"$connect", "$default", "$disconnect"} {
			payload := a.called(name)[0]
			var e map[string]json.RawMessage
			if err := json.Unmarshal(payload, &e); err != nil {
				t.Fatal(err)
			}
			for _, absent := range []string{"queryStringParameters", "multiValueQueryStringParameters", "stageVariables", "pathParameters"} {
				if _, ok := e[absent]; ok {
					t.Errorf("%s has %s", name, absent)
				}
			}
			if bytes.Contains(payload, []byte("null")) || bytes.Contains(payload, []byte("authorizer")) || bytes.Contains(payload, []byte("userAgent")) {
				t.Errorf("%s: %s", name, payload)
			}
			if got, want := a.event(name, 1).RequestContext.DomainName, strings.TrimPrefix(a.url, "http://"); got != want {
				t.Errorf("%s: domainName %s, want %s", name, got, want)
			}
		}
		if trace := a.event("$connect", 1).Headers["X-Amzn-Trace-Id"]; !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`).MatchString(trace) {
			t.Errorf("X-Amzn-Trace-Id: %s", trace)
		}
	})

	t.Run("row 10: ids", func(t *testing.T) {
		a := start(t, Config{}, map[string]function{"$connect": ok, "$default": ok, "$disconnect": ok})
		c := a.dial()
		c.text("one")
		a.await(KindInvoke, 2)
		c.text("two")
		a.await(KindInvoke, 3)
		a.close()

		form := regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`)
		seen := map[string]bool{}
		for name, n := range map[string]int{"$connect": 1, "$default": 2, "$disconnect": 1} {
			for i := range n {
				ctx := a.event(name, i+1).RequestContext
				if ctx.ConnectionID != c.id || ctx.RequestID != ctx.ExtendedRequestID || (ctx.MessageID != "") != (name == "$default") {
					t.Errorf("%s: ids %+v", name, ctx)
				}
				for _, id := range []string{ctx.RequestID, ctx.MessageID} {
					if id != "" && (!form.MatchString(id) || seen[id]) {
						t.Errorf("%s: id %q is malformed or not fresh", name, id)
					}
					seen[id] = true
				}
			}
		}
		if !form.MatchString(c.id) || seen[c.id] {
			t.Errorf("connection id %q", c.id)
		}
	})
}

// The ids and times of events captured from deployed APIs.
func TestNewIDStartsWithTheTime(t *testing.T) {
	for _, tt := range []struct {
		ms   int64
		want string
	}{
		{1701245041796, "PJqB0f"},
		{1705751697419, "R1kmxc"},
		{1705751708326, "R1koeH"},
	} {
		got := newID(time.UnixMilli(tt.ms))
		if !validID(got) || got[:5] != tt.want[:5] {
			t.Errorf("newID(%d) = %s, want %s...", tt.ms, got, tt.want[:5])
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"L0SM9cOFvHcCIhw=": true, "PJqB0E1tKRcF-Qw=": true, "TX0tuFp2joEF5_w=": true,
		"": false, "x": false, "L0SM9cOFvHcCIhw": false, "L0SM9cOFvHcCIhwA": false, "L0SM9cOFvHc+Ihw=": false, "L0SM9cOFvHcCIhw==": false,
		"L0SM9cOFvHcCIh==": false, "L0SM9cOFvHcCIhw=/": false, "L0SM9cOFvHcCIhw=\n": false, "\nL0SM9cOFvHcCIhw": false,
	} {
		if got := validID(id); got != want {
			t.Errorf("validID(%q) = %t", id, got)
		}
	}
}
