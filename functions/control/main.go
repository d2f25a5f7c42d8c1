// Command control does what backends ask besides publishing: participants, groups, disconnecting, and looking. They invoke it.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/backend"
	"example.org/realtime/shared/config"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

const function = "control"

func main() { logs.Start(function, build) }

func build(ctx context.Context, getenv func(string) string) (func(context.Context, json.RawMessage) (answer, error), error) {
	cfg, err := config.Load(function, getenv)
	if err != nil {
		return nil, err
	}
	aws, err := config.AWS(ctx)
	if err != nil {
		return nil, err
	}
	table := store.New(dynamodb.NewFromConfig(aws), cfg.TableName, time.Now)
	publishing := backend.New(lambdaapi.NewFromConfig(aws, awaiting), backend.Functions{Publish: cfg.PublishFunction})
	c := &control{&realtime.Control{
		Roster: &realtime.Roster{
			Participants: table.Participants,
			Members:      table.Participants,
			Presences:    table.Presences,
			Rooms:        table.Rooms,
			Now:          time.Now,
		},
		Users:          table.Presences,
		Connections:    table.Connections,
		Recorded:       table.Connections,
		Rooms:          table.Rooms,
		Timers:         table.Timers,
		Publishing:     publishing,
		Publishes:      table.Ledger,
		Now:            time.Now,
		RoomsPerSocket: cfg.RoomsPerSocket,
	}}
	return logs.Invocation(logs.New(os.Stdout, function, cfg.LogLevel), c.handle, describe), nil
}

// awaiting has a client wait for the answer of a function, for as long as the context lets it. No connection is kept for
// that: one that died while Lambda had frozen the function would look like a function that takes its time.
func awaiting(o *lambdaapi.Options) {
	o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
}
