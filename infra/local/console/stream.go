package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.org/realtime/infra/local/stack"
)

const (
	// tick is how often a page is told what is new.
	tick = 250 * time.Millisecond
	// tracesPerTick is how many traces it is told of at most; of the others it is told with the next ticks.
	tracesPerTick = 40
	// slowPage is how long a page may take to read one tick before it is given up; it connects again by itself.
	slowPage = 10 * time.Second
)

// hello is what a page is told first.
type hello struct {
	Boot           string   `json:"boot"`
	Stage          string   `json:"stage"` // path of the WebSocket API on this host
	LambdaEndpoint string   `json:"lambdaEndpoint"`
	Table          string   `json:"table"`
	Hidden         []string `json:"hidden"` // what cannot be seen here, and why
	Traces         int      `json:"traces"` // how many are kept
}

// news is what a page is told with every tick.
type news struct {
	At      int64    `json:"at"`
	Counts  counts   `json:"counts"`
	Rate    load     `json:"rate"` // of the second before: sampled when Kept is less than Seen
	Seen    int64    `json:"seen"` // traces begun since the start
	Traces  []Trace  `json:"traces"`
	Metrics *metrics `json:"metrics,omitempty"` // once a second
}

// stream sends server-sent events until the page or the stack ends.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, s *stack.Stack) {
	response := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(event string, data any) error {
		body, err := json.Marshal(data)
		if err != nil {
			return err
		}
		_ = response.SetWriteDeadline(time.Now().Add(slowPage)) // where there are none, TCP's own
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, body); err != nil {
			return err
		}
		return response.Flush()
	}
	if send("hello", c.hello(s)) != nil {
		return
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var change uint64
	sampled := int64(-1)
	for {
		n := news{At: c.Now().UnixMilli(), Counts: c.rows.counts()}
		n.Counts.Open = s.Gateway.Open()
		n.Traces, change, n.Rate, n.Seen = c.traces.summaries(change, tracesPerTick)
		if m := c.meter.after(sampled); sampled < 0 || len(m.Samples) > 0 {
			n.Metrics = &m
			sampled = 0
			if len(m.Samples) > 0 {
				sampled = m.Samples[len(m.Samples)-1].At
			}
		}
		if send("news", n) != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

func (c *Console) hello(s *stack.Stack) hello {
	h := hello{Boot: c.boot, Stage: "/" + stack.Stage, LambdaEndpoint: s.LambdaEndpoint, Table: s.TableName, Hidden: []string{}, Traces: keptTraces}
	if s.Table == nil {
		h.Hidden = append(h.Hidden, "The table is elsewhere ("+s.DynamoDBEndpoint+"): users, rooms, presence and request units cannot be seen here.")
	}
	if s.Functions == nil {
		h.Hidden = append(h.Hidden, "The functions run elsewhere ("+s.LambdaEndpoint+"): what they do, and what a trace costs beyond the gateway, cannot be seen here.")
	}
	return h
}
