package price

import (
	"fmt"
	"math"
	"strings"
)

// messageStep, in bytes: API Gateway counts a message for each step that it begins.
const messageStep = 32 << 10

// Usage is what AWS bills for. Every field is a number of things, of whatever time the usage is about.
type Usage struct {
	Messages          float64 // to and from clients, in steps of 32 KB: see Messages
	ConnectionMinutes float64
	Invocations       float64 // attempts of functions
	GBSeconds         float64 // memory times duration
	Write, Read       float64 // request units
	StoredByteMonths  float64
	LogBytes          float64 // of the functions; see PlatformLogBytes
	Metrics           float64 // months of custom metrics: a name in a namespace with its dimensions
	AlarmMetrics      float64 // months of metrics that alarms watch
	BytesOut          float64 // to clients
}

// Messages is how many messages API Gateway counts for one of that size in bytes.
func Messages(size int) float64 {
	return max(1, math.Ceil(float64(size)/messageStep))
}

// Plus is the sum of both.
func (u Usage) Plus(v Usage) Usage {
	return Usage{
		Messages: u.Messages + v.Messages, ConnectionMinutes: u.ConnectionMinutes + v.ConnectionMinutes,
		Invocations: u.Invocations + v.Invocations, GBSeconds: u.GBSeconds + v.GBSeconds,
		Write: u.Write + v.Write, Read: u.Read + v.Read, StoredByteMonths: u.StoredByteMonths + v.StoredByteMonths,
		LogBytes: u.LogBytes + v.LogBytes, Metrics: u.Metrics + v.Metrics, AlarmMetrics: u.AlarmMetrics + v.AlarmMetrics,
		BytesOut: u.BytesOut + v.BytesOut,
	}
}

// Times is the usage so many times.
func (u Usage) Times(n float64) Usage {
	return Usage{
		Messages: n * u.Messages, ConnectionMinutes: n * u.ConnectionMinutes, Invocations: n * u.Invocations, GBSeconds: n * u.GBSeconds,
		Write: n * u.Write, Read: n * u.Read, StoredByteMonths: n * u.StoredByteMonths, LogBytes: n * u.LogBytes,
		Metrics: n * u.Metrics, AlarmMetrics: n * u.AlarmMetrics, BytesOut: n * u.BytesOut,
	}
}

// Dollars is the bill, by service. Every service is in it.
func (u Usage) Dollars() map[string]float64 {
	bill := map[string]float64{}
	for _, i := range Items {
		bill[i.Service] += i.Of(u) / i.Per * i.Dollars
	}
	return bill
}

// Total is the sum of Dollars.
func (u Usage) Total() float64 {
	sum := 0.0
	for _, i := range Items { // not over the map, whose order would move the last digit
		sum += i.Of(u) / i.Per * i.Dollars
	}
	return sum
}

// Table is the prices in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| service | what | price |\n|---|---|--:|\n")
	for _, i := range Items {
		price := fmt.Sprintf("$%.2f", i.Dollars)
		if math.Abs(i.Dollars*100-math.Round(i.Dollars*100)) > 1e-9 {
			price = fmt.Sprintf("$%g", i.Dollars)
		}
		unit := "per " + i.Unit
		if i.Per == 1 {
			unit = "each"
		}
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s %s |\n", i.Service, i.Source, i.What, price, unit)
	}
	return b.String()
}
