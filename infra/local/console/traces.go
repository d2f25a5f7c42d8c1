package console

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"example.org/realtime/infra/local/gateway"
)

// Bounds of what is remembered.
const (
	keptTraces   = 500
	keptSpans    = 300 // of a trace
	keptLines    = 60  // of a trace's log
	newPerSecond = 100 // traces begun; those beyond are counted, and not followed
)

// traces follows what events caused.
type traces struct {
	now  func() time.Time
	user func(connection string) string

	mu      sync.Mutex
	byID    map[string]*Trace
	order   []*Trace // the oldest first
	changed uint64   // of the trace that changed last

	second int64 // the one in which begun and passed count
	begun  int
	rate   load
	seen   int64 // since the start
}

// load is what a second brought.
type load struct {
	Seen int `json:"seen"` // events that begin a trace
	Kept int `json:"kept"` // of them, traces that are followed
}

// Trace is what one event caused: that of a client, of a backend, or of the schedule.
type Trace struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"` // connect, event, disconnect, or the function that was invoked
	Title      string  `json:"title"`
	Connection string  `json:"connection,omitempty"`
	User       string  `json:"user,omitempty"`
	At         int64   `json:"at"` // Unix epoch milliseconds
	MS         float64 `json:"ms"` // from the beginning to what came last
	Functions  int     `json:"functions"`
	Posts      int     `json:"posts"`
	Gone       int     `json:"gone"`
	Usage      usage   `json:"usage"`
	Dollars    float64 `json:"dollars"`
	Failed     bool    `json:"failed"`
	Outcome    string  `json:"outcome"`
	Dropped    int     `json:"dropped"` // spans beyond what is kept; they are counted

	begun, last time.Time
	change      uint64
	spans       []Span
	lines       []Line
}

// Span is one thing that a trace consists of.
type Span struct {
	Kind    string  `json:"kind"` // gateway, function, table, post
	Name    string  `json:"name"`
	Detail  string  `json:"detail,omitempty"`
	ID      string  `json:"id,omitempty"`     // of an invocation, which others have as their Parent
	Parent  string  `json:"parent,omitempty"` // the invocation that asked for it
	At      float64 `json:"at"`               // ms since the trace began
	MS      float64 `json:"ms"`
	Read    float64 `json:"read,omitempty"`
	Write   float64 `json:"write,omitempty"`
	Bytes   int     `json:"bytes,omitempty"`
	Status  int     `json:"status,omitempty"`
	Outcome string  `json:"outcome,omitempty"`
	Failed  bool    `json:"failed,omitempty"`
	Dollars float64 `json:"dollars"`

	request string // id of an invocation
	begun   time.Time
}

// Line is one that a function logged.
type Line struct {
	At       float64 `json:"at"` // ms since the trace began
	Function string  `json:"function"`
	Level    string  `json:"level"`
	Message  string  `json:"message"`
	Details  string  `json:"details,omitempty"`
}

func newTraces(now func() time.Time, user func(string) string) *traces {
	return &traces{now: now, user: user, byID: map[string]*Trace{}}
}

// begin starts to follow a trace, unless too many have begun in this second.
func (t *traces) begin(id, kind, title, connection string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count(); t.begun <= newPerSecond {
		t.add(id, kind, title, connection, at)
	}
}

// follow starts to follow a trace that somebody waits for, however many have begun.
func (t *traces) follow(id, kind, title string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count()
	t.add(id, kind, title, "", at)
}

func (t *traces) add(id, kind, title, connection string, at time.Time) {
	if id == "" || t.byID[id] != nil {
		return
	}
	trace := &Trace{ID: id, Kind: kind, Title: title, Connection: connection, At: at.UnixMilli(), begun: at, last: at}
	t.byID[id] = trace
	t.order = append(t.order, trace)
	if len(t.order) > keptTraces {
		delete(t.byID, t.order[0].ID)
		t.order = slices.Delete(t.order, 0, 1)
	}
	t.touch(trace, at)
}

// count counts a trace that begins, in the second in which it is told of: what happened just before the second's end is told of after it.
func (t *traces) count() {
	t.seen++
	if second := t.now().Unix(); second != t.second {
		t.rate = load{}
		if second == t.second+1 {
			t.rate = load{t.begun, min(t.begun, newPerSecond)}
		}
		t.second, t.begun = second, 0
	}
	t.begun++
}

func (t *traces) touch(trace *Trace, at time.Time) {
	t.changed++
	trace.change = t.changed
	if at.After(trace.last) {
		trace.last = at
	}
	trace.MS = inMS(trace.last.Sub(trace.begun))
	if trace.User == "" && trace.Connection != "" {
		trace.User = t.user(trace.Connection)
	}
}

// span adds a span, with what it costs, to its trace, if that is followed.
func (t *traces) span(id string, s Span, begun time.Time, took time.Duration, u usage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	trace := t.byID[id]
	if trace == nil {
		return
	}
	s.At, s.MS, s.begun = inMS(begun.Sub(trace.begun)), inMS(took), begun
	s.Read, s.Write, s.Dollars = u.Read, u.Write, u.Total()
	trace.Usage.add(u)
	trace.Dollars += s.Dollars
	switch s.Kind {
	case kindFunction:
		trace.Functions++
	case kindPost:
		switch {
		case s.Status == http.StatusGone:
			trace.Gone++
		case !s.Failed && s.Name == gateway.PostToConnection:
			trace.Posts++
		}
	}
	if s.Failed {
		trace.Failed = true
		trace.Outcome = cmp.Or(trace.Outcome, s.Name+": "+s.Outcome)
	}
	if len(trace.spans) < keptSpans {
		trace.spans = append(trace.spans, s)
	} else {
		trace.Dropped++
	}
	t.touch(trace, begun.Add(took))
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// summaries are the traces that changed after that change, the oldest change first and at most so many, and the change up to which
// that is all.
func (t *traces) summaries(after uint64, limit int) (changed []Trace, now uint64, rate load, seen int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = []Trace{}
	for _, trace := range t.order {
		if trace.change > after {
			changed = append(changed, *trace)
		}
	}
	slices.SortFunc(changed, func(a, b Trace) int { return cmp.Compare(a.change, b.change) })
	rate = t.rate
	if second := t.now().Unix(); second > t.second+1 {
		rate = load{}
	}
	if len(changed) > limit {
		return changed[:limit], changed[limit-1].change, rate, t.seen
	}
	return changed, t.changed, rate, t.seen
}

// tracePage is a trace with all that is kept of it, in the order of time.
type tracePage struct {
	Trace
	Spans []Span `json:"spans"`
	Lines []Line `json:"lines"`
}

func (t *traces) page(id string) (tracePage, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	trace := t.byID[id]
	if trace == nil {
		return tracePage{}, false
	}
	page := tracePage{Trace: *trace, Spans: append([]Span{}, trace.spans...), Lines: append([]Line{}, trace.lines...)}
	slices.SortStableFunc(page.Spans, func(a, b Span) int { return a.begun.Compare(b.begun) })
	slices.SortStableFunc(page.Lines, func(a, b Line) int { return cmp.Compare(a.At, b.At) })
	return page, true
}
