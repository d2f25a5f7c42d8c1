package metrics

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/realtime"
)

var _ realtime.Metrics = (*Writer)(nil)

func TestPut(t *testing.T) {
	tests := []struct {
		name   string
		values map[string]float64
		want   string
	}{
		{"two", map[string]float64{"Gone": 0, "Delivered": 12.5}, `{"Delivered":12.5,"Function":"rt-publish","Gone":0,"_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"Realtime","Dimensions":[["Function"]],"Metrics":[{"Name":"Delivered"},{"Name":"Gone"}]}]}}` + "\n"},
		{"one that is no number", map[string]float64{"A": math.NaN(), "B": math.Inf(1), "C": 1}, `{"C":1,"Function":"rt-publish","_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"Realtime","Dimensions":[["Function"]],"Metrics":[{"Name":"C"}]}]}}` + "\n"},
		{"none that is", map[string]float64{"A": math.NaN()}, ""},
		{"none", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			New(&out, "rt-publish", func() time.Time { return time.UnixMilli(1700000000123) }).Put(test.values)
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
