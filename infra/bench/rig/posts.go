package rig

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"example.org/realtime/infra/local/stack"
)

// connections is an @connections API to which everybody is connected. It answers after a latency, as API Gateway does.
type connections struct {
	server  *httptest.Server
	meter   *meter
	latency time.Duration
}

func newConnections(m *meter, latency time.Duration) *connections {
	c := &connections{meter: m, latency: latency}
	c.server = httptest.NewServer(c)
	return c
}

func (c *connections) endpoint() string { return c.server.URL + "/" + stack.Stage }

func (c *connections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the caller has gone
	}
	if c.latency > 0 {
		time.Sleep(c.latency)
	}
	switch r.Method {
	case http.MethodPost:
		c.meter.post(int(size))
	case http.MethodGet:
		c.meter.lookup()
		const layout = "2006-01-02T15:04:05.000Z"
		// As the last sign of life is this old, a keep-alive that is due is sent.
		silent := time.Now().Add(-time.Hour).UTC().Format(layout)
		_, _ = fmt.Fprintf(w, `{"connectedAt":%q,"identity":{"sourceIp":"192.0.2.1","userAgent":"bench"},"lastActiveAt":%q}`, silent, silent)
	default:
		c.meter.remove()
		w.WriteHeader(http.StatusNoContent)
	}
}
