package console

import (
	"encoding/json"

	"example.org/realtime/infra/bench/price"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// usage is what AWS would bill for. Durations of functions are this machine's.
type usage struct{ price.Usage }

// MarshalJSON has what the page shows of it.
func (u usage) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Messages    float64 `json:"messages"` // from clients and to them, each 32 KB of one
		Invocations float64 `json:"invocations"`
		Write       float64 `json:"write"` // units
		Read        float64 `json:"read"`  // units
	}{u.Messages, u.Invocations, u.Write, u.Read})
}

func (u *usage) add(v usage) { u.Usage = u.Plus(v.Usage) }

// gatewayUsage is that of one thing that the gateway did. A handshake is no message, and neither are requests about a connection.
func gatewayUsage(e gateway.Event) usage {
	switch {
	case e.Kind == gateway.KindMessage:
		return usage{price.Usage{Messages: price.Messages(e.Bytes)}}
	case e.Kind == gateway.KindReply, e.Kind == gateway.PostToConnection && e.Status < 300:
		return usage{price.Usage{Messages: price.Messages(e.Bytes), BytesOut: float64(e.Bytes)}}
	}
	return usage{}
}

func invocationUsage(i lambda.Invocation) usage {
	return usage{price.Usage{Invocations: 1, GBSeconds: i.Duration.Seconds() * float64(i.MemoryMB) / 1024, LogBytes: price.PlatformLogBytes}}
}

func operationUsage(op table.Op) usage {
	return usage{price.Usage{Read: op.Units.Read, Write: op.Units.Write}}
}

func outputUsage(line string) usage { return usage{price.Usage{LogBytes: float64(len(line))}} }
