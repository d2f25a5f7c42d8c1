package rig

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// Reading is what was counted of what AWS bills for, and of what comes of it.
type Reading struct {
	Invocations map[string]int `json:"invocations"` // attempts that ended, by function
	Write       float64        `json:"write_units"`
	Read        float64        `json:"read_units"`
	Inbound     float64        `json:"messages_in"` // messages of clients, in API Gateway's steps of 32 KB
	Outbound    float64        `json:"messages_out"`
	Posts       int            `json:"posts"` // that were taken; their messages are Outbound
	Lookups     int            `json:"lookups"`
	Closes      int            `json:"closes"`
	BytesOut    int            `json:"bytes_out"`
	LogBytes    int            `json:"log_bytes"` // that functions wrote
	Busy        time.Duration  `json:"-"`         // all invocations together, on this machine
}

// Minus is what came after s.
func (r Reading) Minus(s Reading) Reading {
	left := map[string]int{}
	for name, n := range r.Invocations {
		if n -= s.Invocations[name]; n != 0 {
			left[name] = n
		}
	}
	return Reading{
		Invocations: left, Write: r.Write - s.Write, Read: r.Read - s.Read, Inbound: r.Inbound - s.Inbound, Outbound: r.Outbound - s.Outbound,
		Posts: r.Posts - s.Posts, Lookups: r.Lookups - s.Lookups, Closes: r.Closes - s.Closes, BytesOut: r.BytesOut - s.BytesOut,
		LogBytes: r.LogBytes - s.LogBytes, Busy: r.Busy - s.Busy,
	}
}

// meter counts, and knows what is under way.
type meter struct {
	mu      sync.Mutex
	reading Reading
	memory  map[string]int             // MB, by function
	metrics map[string]map[string]bool // names of custom metrics, by function
	asked   int                        // events that the Invoke API took
	ended   int                        // attempts that ended
	failed  []string                   // attempts that failed, as they said
	begun   int                        // connections
	gone    int                        // of them
	told    int                        // of those, and $disconnect has run or is lost
	posted  time.Time                  // the last post
	heard   int                        // messages of clients
	handled int                        // of them, by a function
}

func newMeter() *meter {
	return &meter{reading: Reading{Invocations: map[string]int{}}, memory: map[string]int{}, metrics: map[string]map[string]bool{}}
}

func (m *meter) locked(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
}

func (m *meter) read() (r Reading) {
	m.locked(func() {
		r = m.reading
		r.Invocations = maps.Clone(r.Invocations)
	})
	return r
}

// idle tells whether nothing is under way: in API Gateway, in a function, or waiting for one.
func (m *meter) idle() (idle bool) {
	m.locked(func() { idle = m.asked == m.ended && m.heard == m.handled && m.gone == m.told })
	return idle
}

func (m *meter) table(_ context.Context, op table.Op) error {
	m.locked(func() {
		m.reading.Read += op.Units.Read
		m.reading.Write += op.Units.Write
	})
	return nil
}

func (m *meter) ask(lambda.Invocation) { m.locked(func() { m.asked++ }) }

func (m *meter) invocation(i lambda.Invocation) {
	m.locked(func() {
		m.ended++
		m.reading.Invocations[i.Function]++
		m.reading.Busy += i.Duration
		m.memory[i.Function] = i.MemoryMB
		if i.Error != "" {
			m.failed = append(m.failed, i.Function+": "+i.Error)
		}
	})
}

// output counts a line of the log, and which metrics are in it.
func (m *meter) output(function, line string) {
	var put struct {
		AWS struct {
			CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
		} `json:"_aws"`
	}
	_ = json.Unmarshal([]byte(line), &put) // a line that is no JSON has no metrics
	m.locked(func() {
		m.reading.LogBytes += len(line)
		for _, directive := range put.AWS.CloudWatchMetrics {
			for _, metric := range directive.Metrics {
				if m.metrics[function] == nil {
					m.metrics[function] = map[string]bool{}
				}
				m.metrics[function][metric.Name] = true
			}
		}
	})
}

// post counts a message that was posted to a client.
func (m *meter) post(size int) {
	m.locked(func() {
		m.reading.Posts++
		m.reading.Outbound += price.Messages(size)
		m.reading.BytesOut += size
		m.posted = time.Now()
	})
}

func (m *meter) lookup() { m.locked(func() { m.reading.Lookups++ }) }
func (m *meter) remove() { m.locked(func() { m.reading.Closes++ }) }

func (m *meter) gateway(e gateway.Event) {
	switch {
	case e.Kind == gateway.KindMessage:
		m.locked(func() {
			m.heard++
			m.reading.Inbound += price.Messages(e.Bytes)
		})
	case e.Kind == gateway.KindConnect:
		m.locked(func() { m.begun++ })
	case e.Kind == gateway.KindClose:
		m.locked(func() { m.gone++ })
	case e.Kind == gateway.KindInvoke && e.RouteKey == "$disconnect", e.Kind == gateway.KindLostDisconnect:
		m.locked(func() { m.told++ })
	case e.Kind == gateway.KindInvoke && e.RouteKey != "$connect":
		m.locked(func() { m.handled++ })
	case e.Status < 200 || e.Status > 299:
	case e.Kind == gateway.PostToConnection:
		m.post(e.Bytes)
	case e.Kind == gateway.GetConnection:
		m.lookup()
	case e.Kind == gateway.DeleteConnection:
		m.remove()
	}
}
