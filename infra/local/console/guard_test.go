package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOnlyThisMachinesOwnPagesAreServed(t *testing.T) {
	c := New(Config{})
	navigation := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	own := map[string]string{"Origin": "http://127.0.0.1:3001", "Content-Type": "application/json"}
	tests := []struct {
		name, method, path, host, remote string
		header                           map[string]string
		refused                          string // "" is served
	}{
		{"a browser", "GET", Path, "127.0.0.1:3001", "", map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, ""},
		{"localhost", "GET", Path, "localhost:3001", "", nil, ""},
		{"IPv6", "GET", Path, "[::1]:3001", "[::1]:9", nil, ""},
		{"no port", "GET", Path, "127.0.0.1", "", nil, ""},
		{"a program", "GET", Path + "/api/connections", "127.0.0.1:3001", "", nil, ""},
		{"its own script", "GET", Path + "/api/stream", "127.0.0.1:3001", "", map[string]string{"Sec-Fetch-Site": "same-origin"}, ""},
		{"a link on another site", "GET", Path, "127.0.0.1:3001", "", navigation, ""},
		{"its own request", "POST", Path + "/api/token", "127.0.0.1:3001", "", own, ""},
		{"DNS rebinding", "GET", Path, "evil.example:3001", "", nil, "Host: "},
		{"a name below localhost's", "GET", Path, "localhost.evil.example", "", nil, "Host: "},
		{"a name that begins like it", "GET", Path, "127.0.0.1.evil.example", "", nil, "Host: "},
		{"no host", "GET", Path, "", "", nil, "Host: "},
		{"localhost, fully qualified", "GET", Path, "localhost.:3001", "", nil, "Host: "},
		{"another name for this machine", "GET", Path, "0.0.0.0:3001", "", nil, "Host: "},
		{"an interface's name", "GET", Path, "[::1%25lo]:3001", "", nil, "Host: "},
		{"an address in a name", "GET", Path, "127.0.0.1.nip.io:3001", "", nil, "Host: "},
		{"a name before an address", "GET", Path, "evil.example@127.0.0.1:3001", "", nil, "Host: "},
		{"a policy for a port", "GET", Path, "127.0.0.1:;sandbox", "", nil, "Host: "},
		{"no such port", "GET", Path, "127.0.0.1:65536", "", nil, "Host: "},
		{"another machine", "GET", Path, "127.0.0.1:3001", "192.0.2.7:9", nil, "it is for this machine alone"},
		{"another machine over IPv6", "GET", Path, "127.0.0.1:3001", "[2001:db8::1]:9", nil, "it is for this machine alone"},
		{"another site's script", "GET", Path + "/api/connections", "127.0.0.1:3001", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, "Sec-Fetch-Site: "},
		{"another site's frame", "GET", Path, "127.0.0.1:3001", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "Sec-Fetch-Site: "},
		{"another port's script", "GET", Path + "/api/stream", "127.0.0.1:3001", "", map[string]string{"Origin": "http://127.0.0.1:8080"}, "Origin: "},
		{"another site's form", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Origin": "https://evil.example", "Content-Type": "application/json"}, "Origin: "},
		{"https is another origin", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Origin": "https://127.0.0.1:3001", "Content-Type": "application/json"}, "Origin: "},
		{"an opaque origin", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Origin": "null", "Content-Type": "application/json"}, "Origin: "},
		{"localhost is another origin", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Origin": "http://localhost:3001", "Content-Type": "application/json"}, "Origin: "},
		{"no origin", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Content-Type": "application/json"}, "Origin: "},
		{"a form's content type", "POST", Path + "/api/token", "127.0.0.1:3001", "", map[string]string{"Origin": "http://127.0.0.1:3001", "Content-Type": "text/plain"}, "Content-Type: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "http://127.0.0.1:3001"+test.path, strings.NewReader("{}"))
			r.Host, r.RemoteAddr = test.host, "127.0.0.1:9"
			if test.remote != "" {
				r.RemoteAddr = test.remote
			}
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if refused := w.Code == http.StatusForbidden; refused != (test.refused != "") || refused && !strings.HasPrefix(w.Body.String(), "console: "+test.refused) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			policy := w.Header().Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("policy %q lacks %s", policy, want)
				}
			}
			if test.refused != "" && (strings.Contains(policy, "evil") || strings.Contains(policy, "sandbox")) {
				t.Errorf("policy %q names a stranger", policy)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"": true, "localhost": true, "127.0.0.1": true, "127.0.0.2": true, "::1": true, "0.0.0.0": false, "::": false, "192.168.1.2": false, "example.org": false} {
		if Loopback(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}
