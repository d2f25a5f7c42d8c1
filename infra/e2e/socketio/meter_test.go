package socketio

import (
	"context"
	"sync"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// meter counts what AWS bills for, since the start.
type meter struct {
	mu      sync.Mutex
	reading reading
	invoked map[string]int // messages of each connection that a function has answered
}

// reading of a meter.
type reading struct {
	Invocations int     // attempts of functions that ended
	Write, Read float64 // request units
	Messages    int     // of clients, and to clients through @connections; each of them has less than the 32 KB that count as one
	Lookups     int     // GetConnection
}

// add adds s so many times.
func (r reading) add(s reading, times int) reading {
	return reading{
		Invocations: r.Invocations + times*s.Invocations,
		Write:       r.Write + float64(times)*s.Write,
		Read:        r.Read + float64(times)*s.Read,
		Messages:    r.Messages + times*s.Messages,
		Lookups:     r.Lookups + times*s.Lookups,
	}
}

func (m *meter) read() reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reading
}

// answered counts the messages of a connection that a function has answered.
func (m *meter) answered(connection string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.invoked[connection]
}

func (m *meter) count(add func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add()
}

func (m *meter) table(_ context.Context, op table.Op) error {
	m.count(func() {
		m.reading.Read += op.Units.Read
		m.reading.Write += op.Units.Write
	})
	return nil
}

func (m *meter) invocation(lambda.Invocation) { m.count(func() { m.reading.Invocations++ }) }

func (m *meter) gateway(e gateway.Event) {
	m.count(func() {
		switch {
		case e.Kind == gateway.KindMessage:
			m.reading.Messages++
		case e.Kind == gateway.KindInvoke && e.RouteKey != "$connect" && e.RouteKey != "$disconnect":
			if m.invoked == nil {
				m.invoked = map[string]int{}
			}
			m.invoked[e.ConnectionID]++
		case e.Status < 200 || e.Status > 299:
		case e.Kind == gateway.PostToConnection:
			m.reading.Messages++
		case e.Kind == gateway.GetConnection:
			m.reading.Lookups++
		}
	})
}
