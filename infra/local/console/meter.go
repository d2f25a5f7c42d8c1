package console

import (
	"net/http"
	"sync"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// keptSamples is a quarter of an hour.
const keptSamples = 900

// meter counts everything, and keeps what each second came to.
type meter struct {
	now func() time.Time

	mu      sync.Mutex
	since   time.Time
	total   figures
	before  figures // total when the last sample was taken
	peak    int     // as the last sample said
	samples []sample
}

// figures count since the stack started.
type figures struct {
	Handshakes int     `json:"handshakes"`
	Refused    int     `json:"refused"` // handshakes
	Events     int     `json:"events"`  // messages of clients
	Posts      int     `json:"posts"`
	Gone       int     `json:"gone"`   // posts and other requests answered 410
	Failed     int     `json:"failed"` // those answered with another error
	Errors     int     `json:"errors"` // of functions
	Usage      usage   `json:"usage"`
	Dollars    float64 `json:"dollars"`
}

// sample is what one second came to, but for what is as it is then.
type sample struct {
	At     int64 `json:"at"`
	Active int   `json:"active"` // open connections
	figures
}

func newMeter(now func() time.Time) *meter { return &meter{now: now, since: now()} }

func (m *meter) gateway(e gateway.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Usage.add(gatewayUsage(e))
	switch e.Kind {
	case gateway.KindHandshake:
		m.total.Handshakes++
	case gateway.KindReject:
		m.total.Refused++
	case gateway.KindMessage:
		m.total.Events++
	case gateway.PostToConnection, gateway.GetConnection, gateway.DeleteConnection:
		switch {
		case e.Status == http.StatusGone:
			m.total.Gone++
		case e.Status >= 300:
			m.total.Failed++
		case e.Kind == gateway.PostToConnection:
			m.total.Posts++
		}
	}
}

func (m *meter) invocation(i lambda.Invocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Usage.add(invocationUsage(i))
	if i.Error != "" {
		m.total.Errors++
	}
}

func (m *meter) operation(op table.Op) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Usage.add(operationUsage(op))
}

func (m *meter) output(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Usage.add(outputUsage(line))
}

// sample closes a second at whose end so many connections were open, and so many at once, at most, since the start.
func (m *meter) sample(open, peak int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	last := sample{At: millis(m.since)}
	if n := len(m.samples); n > 0 {
		last = m.samples[n-1]
	}
	m.total.Usage.ConnectionMinutes += float64(open) * float64(now.UnixMilli()-last.At) / float64(time.Minute/time.Millisecond)
	m.total.Dollars = m.total.Usage.Total()
	m.samples = append(m.samples, sample{
		At: now.UnixMilli(), Active: open, figures: m.total.minus(m.before),
	})
	if len(m.samples) > keptSamples {
		m.samples = append([]sample(nil), m.samples[1:]...)
	}
	m.before, m.peak = m.total, peak
}

func (f figures) minus(g figures) figures {
	f.Handshakes -= g.Handshakes
	f.Refused -= g.Refused
	f.Events -= g.Events
	f.Posts -= g.Posts
	f.Gone -= g.Gone
	f.Failed -= g.Failed
	f.Errors -= g.Errors
	f.Usage.add(usage{g.Usage.Times(-1)})
	f.Dollars -= g.Dollars
	return f
}

// metrics is what the page draws.
type metrics struct {
	Since   int64    `json:"since"`
	Total   figures  `json:"total"`
	Peak    int      `json:"peak"` // of open connections, however short it was
	Samples []sample `json:"samples"`
}

// after returns the samples that are younger than at, and the totals.
func (m *meter) after(at int64) metrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := metrics{Since: millis(m.since), Total: m.total, Peak: m.peak, Samples: []sample{}}
	all.Total.Dollars = m.total.Usage.Total()
	for _, s := range m.samples {
		if s.At > at {
			all.Samples = append(all.Samples, s)
		}
	}
	return all
}
