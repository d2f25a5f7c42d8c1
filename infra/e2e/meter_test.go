package e2e

import (
	"context"
	"maps"
	"sync"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// meter counts what AWS bills for.
type meter struct {
	mu          sync.Mutex
	reading     reading
	invocations map[string]int // by function
	messages    int            // of clients, that API Gateway got
	answered    int            // of them, by a function
	opened      int            // connections
	ended       int            // of them, and $disconnect has run or is lost
}

// reading of a meter.
type reading struct {
	Write, Read float64 // request units
	Invocations int     // attempts of functions that ended
	Posts       int     // that API Gateway took; a 410 of a handshake under way is tried again, and is not among them
	Lookups     int     // GetConnection
	Closes      int     // DeleteConnection
}

func (r reading) minus(s reading) reading {
	return reading{
		Write: r.Write - s.Write, Read: r.Read - s.Read,
		Invocations: r.Invocations - s.Invocations, Posts: r.Posts - s.Posts, Lookups: r.Lookups - s.Lookups, Closes: r.Closes - s.Closes,
	}
}

func (m *meter) count(add func(*reading)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.reading)
}

// read is the sum since the start.
func (m *meter) read() reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reading
}

// idle tells whether API Gateway, which has so many connections open, waits for no function.
func (m *meter) idle(open int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.messages == m.answered && m.opened-open == m.ended
}

// invoked says how many invocations of each function have ended since the start.
func (m *meter) invoked() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.invocations)
}

// received says how many messages of clients API Gateway has got since the start.
func (m *meter) received() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.messages
}

func (m *meter) table(_ context.Context, op table.Op) error {
	m.count(func(r *reading) {
		r.Read += op.Units.Read
		r.Write += op.Units.Write
	})
	return nil
}

func (m *meter) invocation(i lambda.Invocation) {
	m.count(func(r *reading) {
		r.Invocations++
		if m.invocations == nil {
			m.invocations = map[string]int{}
		}
		m.invocations[i.Function]++
	})
}

func (m *meter) gateway(e gateway.Event) {
	m.count(func(r *reading) {
		switch {
		case e.Kind == gateway.KindMessage:
			m.messages++
		case e.Kind == gateway.KindConnect:
			m.opened++
		case e.Kind == gateway.KindInvoke && e.RouteKey == "$disconnect", e.Kind == gateway.KindLostDisconnect:
			m.ended++
		case e.Kind == gateway.KindInvoke && e.RouteKey != "$connect":
			m.answered++
		case e.Status < 200 || e.Status > 299:
		case e.Kind == gateway.PostToConnection:
			r.Posts++
		case e.Kind == gateway.GetConnection:
			r.Lookups++
		case e.Kind == gateway.DeleteConnection:
			r.Closes++
		}
	})
}
