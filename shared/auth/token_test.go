package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestToken(t *testing.T) {
	const ws = "Sec-Websocket-Protocol"
	tests := []struct {
		name   string
		header http.Header
		query  url.Values
		want   string
	}{
		{"none", nil, nil, ""},
		{"header", http.Header{"Authorization": {"Bearer a.b.c"}}, nil, "a.b.c"},
		{"header, scheme in lower case and spaces", http.Header{"Authorization": {"  bearer   a.b.c "}}, nil, "a.b.c"},
		{"query", nil, url.Values{"token": {"a.b.c"}}, "a.b.c"},
		{"query, empty and twice", nil, url.Values{"token": {"", "a.b.c", "d"}}, "a.b.c"},
		{"subprotocols", http.Header{ws: {"bearer, a.b.c"}}, nil, "a.b.c"},
		{"subprotocols without a space", http.Header{ws: {"bearer,a.b.c"}}, nil, "a.b.c"},
		{"subprotocols in two headers", http.Header{ws: {"json, bearer", "a.b.c"}}, nil, "a.b.c"},
		{"bearer alone", http.Header{ws: {"bearer"}}, nil, ""},
		{"other subprotocols", http.Header{ws: {"json, a.b.c"}}, nil, ""},
		{"header before query before subprotocols", http.Header{"Authorization": {"Bearer 1"}, ws: {"bearer, 3"}}, url.Values{"token": {"2"}}, "1"},
		{"query before subprotocols", http.Header{ws: {"bearer, 3"}}, url.Values{"token": {"2"}}, "2"},
		{"another scheme gives way", http.Header{"Authorization": {"Basic YTpi", "Bearer a.b.c"}}, nil, "a.b.c"},
		{"an empty bearer gives way", http.Header{"Authorization": {"Bearer "}}, url.Values{"token": {"2"}}, "2"},
		{"Bearer without a space", http.Header{"Authorization": {"Bearera.b.c"}}, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Token(test.header, test.query); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSubprotocols(t *testing.T) {
	got := Subprotocols(http.Header{"Sec-Websocket-Protocol": {" a,,b ,", "c"}})
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Whatever a handshake carries, what is found was in it and has no space around it.
func FuzzToken(f *testing.F) {
	f.Add("Bearer a.b.c", "", "")
	f.Add("Basic x", "a.b.c", "bearer, a.b.c")
	f.Add("", "", ",bearer,,")
	f.Fuzz(func(t *testing.T, authorization, query, subprotocol string) {
		got := Token(
			http.Header{"Authorization": {authorization}, "Sec-Websocket-Protocol": {subprotocol}},
			url.Values{"token": {query}},
		)
		if !strings.Contains(authorization, got) && query != got && !strings.Contains(subprotocol, got) {
			t.Fatalf("%q is none of theirs", got)
		}
	})
}
