package console

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// Each second has what came in it, the totals have all, and dollars are those of the price table.
func TestMeter(t *testing.T) {
	c := &clock{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	m := newMeter(c.now)
	for _, e := range []gateway.Event{
		{Kind: gateway.KindHandshake},
		{Kind: gateway.KindHandshake},
		{Kind: gateway.KindReject, Status: 401},
		{Kind: gateway.KindConnect},
		{Kind: gateway.KindMessage, Bytes: 33_000},
		{Kind: gateway.KindReply, Bytes: 10},
		{Kind: gateway.PostToConnection, Bytes: 20, Status: 200},
		{Kind: gateway.PostToConnection, Bytes: 20, Status: 410},
		{Kind: gateway.PostToConnection, Bytes: 20, Status: 429},
		{Kind: gateway.GetConnection, Status: 200},
		{Kind: gateway.DeleteConnection, Status: 204},
		{Kind: gateway.KindInvoke},
		{Kind: gateway.KindClose},
	} {
		m.gateway(e)
	}
	m.invocation(lambda.Invocation{Duration: time.Second, MemoryMB: 512})
	m.invocation(lambda.Invocation{Error: "x: y"})
	m.operation(table.Op{Units: table.Units{Read: 2.5, Write: 1}})
	m.output("12345")
	c.forward(30 * time.Second)
	m.sample(4, 5)
	c.forward(time.Second)
	m.gateway(gateway.Event{Kind: gateway.KindMessage, Bytes: 1})
	m.sample(2, 5)

	want := figures{
		Handshakes: 2, Refused: 1, Events: 1, Posts: 1, Gone: 1, Failed: 1, Errors: 1,
		Usage: usage{price.Usage{
			Messages: 4, ConnectionMinutes: 2, Invocations: 2, GBSeconds: 0.5, Read: 2.5, Write: 1, BytesOut: 30, LogBytes: 5 + 2*price.PlatformLogBytes,
		}},
	}
	want.Dollars = want.Usage.Total()
	got := m.after(-1)
	if diff := cmp.Diff(sample{At: c.now().UnixMilli() - 1000, Active: 4, figures: want}, got.Samples[0], cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("the first: -want +got:\n%s", diff)
	}
	second := got.Samples[1]
	if second.Events != 1 || second.Posts != 0 || second.Active != 2 || second.Usage.Messages != 1 || second.Dollars <= 0 {
		t.Errorf("the second: %+v", second)
	}
	if got.Peak != 5 || got.Total.Events != 2 || got.Total.Usage.ConnectionMinutes != 2+2.0/60 {
		t.Errorf("in all: peak %d, %+v", got.Peak, got.Total)
	}
	if later := m.after(got.Samples[0].At); len(later.Samples) != 1 || later.Peak != 5 {
		t.Errorf("after the first: %+v", later)
	}
}

func TestSamplesAreBounded(t *testing.T) {
	c := &clock{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	m := newMeter(c.now)
	m.sample(7, 7)
	for range keptSamples + 10 {
		c.forward(time.Second)
		m.sample(1, 7)
	}
	if got := m.after(-1); len(got.Samples) != keptSamples || got.Peak != 7 {
		t.Errorf("%d samples, peak %d", len(got.Samples), got.Peak)
	}
}

func TestUsageAsThePageReadsIt(t *testing.T) {
	got, err := json.Marshal(usage{price.Usage{Messages: 1, Invocations: 2, Write: 3, Read: 4.5, LogBytes: 9}})
	if err != nil || string(got) != `{"messages":1,"invocations":2,"write":3,"read":4.5}` {
		t.Errorf("%s, %v", got, err)
	}
}
