package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/wire"
)

type values = map[string][]string

func TestToken(t *testing.T) {
	const ws = "Sec-WebSocket-Protocol"
	tests := []struct {
		name          string
		header, query values
		want          string
	}{
		{"none", nil, nil, ""},
		{"header", values{"Authorization": {"Bearer a.b.c"}}, nil, "a.b.c"},
		{"header in lower case", values{"authorization": {"Bearer a.b.c"}}, nil, "a.b.c"},
		{"header, scheme in lower case and spaces", values{"Authorization": {"  bearer   a.b.c "}}, nil, "a.b.c"},
		{"query", nil, values{"token": {"a.b.c"}}, "a.b.c"},
		{"query, empty and twice", nil, values{"token": {"", "a.b.c", "d"}}, "a.b.c"},
		{"query of another name", nil, values{"Token": {"a.b.c"}}, ""},
		{"subprotocols", values{ws: {"bearer, a.b.c"}}, nil, "a.b.c"},
		{"subprotocols in lower case", values{"sec-websocket-protocol": {"bearer,a.b.c"}}, nil, "a.b.c"},
		{"subprotocols in two headers", values{ws: {"json, bearer", "a.b.c"}}, nil, "a.b.c"},
		{"bearer alone", values{ws: {"bearer"}}, nil, ""},
		{"other subprotocols", values{ws: {"json, a.b.c"}}, nil, ""},
		{"header before query before subprotocols", values{"Authorization": {"Bearer 1"}, ws: {"bearer, 3"}}, values{"token": {"2"}}, "1"},
		{"query before subprotocols", values{ws: {"bearer, 3"}}, values{"token": {"2"}}, "2"},
		{"another scheme gives way", values{"Authorization": {"Basic YTpi", "Bearer a.b.c"}}, nil, "a.b.c"},
		{"an empty bearer gives way", values{"Authorization": {"Bearer "}}, values{"token": {"2"}}, "2"},
		{"Bearer without a space", values{"Authorization": {"Bearera.b.c"}}, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Token(Event{MultiValueHeaders: test.header, MultiValueQueryStringParameters: test.query}); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			single := Event{Headers: last(test.header), QueryStringParameters: last(test.query)}
			if len(test.header["Authorization"]) < 2 && len(test.query["token"]) < 2 && len(test.header[ws]) < 2 {
				if got := Token(single); got != test.want {
					t.Errorf("single values: got %q, want %q", got, test.want)
				}
			}
		})
	}
}

// last is API Gateway's single-value map: the last of each.
func last(multi values) map[string]string {
	single := map[string]string{}
	for name, list := range multi {
		single[name] = list[len(list)-1]
	}
	return single
}

func TestSubprotocol(t *testing.T) {
	accepted := map[string]string{"Sec-WebSocket-Protocol": "bearer"}
	tests := []struct {
		name   string
		header values
		want   map[string]string
	}{
		{"none", nil, nil},
		{"bearer and a token", values{"Sec-WebSocket-Protocol": {"bearer, a.b.c"}}, accepted},
		{"bearer alone", values{"sec-websocket-protocol": {"bearer"}}, accepted},
		{"among others", values{"Sec-WebSocket-Protocol": {"json", "bearer,x"}}, accepted},
		{"others only", values{"Sec-WebSocket-Protocol": {"json, bearer2"}}, nil},
		{"another header", values{"Authorization": {"bearer"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Subprotocol(Event{MultiValueHeaders: test.header})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Whatever a handshake carries, the token found was in it.
func FuzzToken(f *testing.F) {
	f.Add("Bearer a.b.c", "", "")
	f.Add("Basic x", "a.b.c", "bearer, a.b.c")
	f.Add("", "", ",bearer,,")
	f.Fuzz(func(t *testing.T, authorization, query, subprotocol string) {
		e := Event{
			MultiValueHeaders:               values{"authorization": {authorization}, "Sec-WebSocket-Protocol": {subprotocol}},
			MultiValueQueryStringParameters: values{"token": {query}},
		}
		got := Token(e)
		if !strings.Contains(authorization, got) && query != got && !strings.Contains(subprotocol, got) {
			t.Fatalf("%q is none of theirs", got)
		}
	})
}

func TestTransport(t *testing.T) {
	for _, tt := range []struct {
		query    map[string]string
		protocol wire.Protocol
		refused  string
	}{
		{nil, wire.JSON, ""},
		{map[string]string{"token": "t", "transport": "websocket"}, wire.JSON, ""},
		{map[string]string{"EIO": "4", "transport": "websocket"}, wire.SocketIO, ""},
		{map[string]string{"EIO": "4", "transport": "websocket", "t": "x", "sid": ""}, wire.SocketIO, ""},
		{map[string]string{"EIO": "4", "transport": "polling"}, wire.SocketIO, "transport: "},
		{map[string]string{"EIO": "4"}, wire.SocketIO, "transport: "},
		{map[string]string{"EIO": "4", "transport": "websocket", "sid": "x"}, wire.SocketIO, "transport: "},
		{map[string]string{"EIO": "3", "transport": "websocket"}, wire.SocketIO, "EIO: "},
	} {
		e := Event{QueryStringParameters: tt.query}
		err := CheckTransport(e)
		if got := Protocol(e); got != tt.protocol || (err != nil) != (tt.refused != "") || err != nil && !strings.HasPrefix(err.Error(), tt.refused) {
			t.Errorf("%v: %s, %v", tt.query, got, err)
		}
	}
	several := Event{MultiValueQueryStringParameters: map[string][]string{"EIO": {"3", "4"}, "transport": {"websocket"}}}
	if err := CheckTransport(several); err != nil {
		t.Errorf("API Gateway's single value is the last, %v", err)
	}
}
