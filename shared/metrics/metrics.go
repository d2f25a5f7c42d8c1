// Package metrics writes CloudWatch metrics in the embedded metric format: a line of JSON in the log, which CloudWatch turns
// into metrics.
package metrics

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

const (
	namespace = "Realtime"
	dimension = "Function" // the deployed function's name
)

// Writer is a realtime.Metrics.
type Writer struct {
	to       io.Writer
	function string
	now      func() time.Time
}

// New takes where the log goes, and the name of the function as deployed.
func New(to io.Writer, function string, now func() time.Time) *Writer {
	return &Writer{to, function, now}
}

type metric struct {
	Name string
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metadata struct {
	Timestamp         int64 // epoch milliseconds
	CloudWatchMetrics []directive
}

// Put writes the values in one line. A value that is no number is left out; JSON has none.
func (w *Writer) Put(values map[string]float64) {
	d := directive{Namespace: namespace, Dimensions: [][]string{{dimension}}}
	line := map[string]any{dimension: w.function}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if value := values[name]; !math.IsNaN(value) && !math.IsInf(value, 0) {
			d.Metrics = append(d.Metrics, metric{name})
			line[name] = value
		}
	}
	if len(d.Metrics) == 0 {
		return
	}
	line["_aws"] = metadata{w.now().UnixMilli(), []directive{d}}
	if b, err := json.Marshal(line); err == nil {
		_, _ = w.to.Write(append(b, '\n')) // one call, so that lines written side by side stay whole
	}
}
