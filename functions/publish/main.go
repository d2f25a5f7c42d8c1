// Command publish sends events to connections: what backends ask for, and the jobs of the other functions.
package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/config"
	"example.org/realtime/shared/invoke"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/metrics"
	"example.org/realtime/shared/push"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

const function = "publish"

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
	poster, err := push.New(aws, cfg.ConnectionsEndpoint, time.Now)
	if err != nil {
		return nil, err
	}
	log := logs.New(os.Stdout, function, cfg.LogLevel)
	table := store.New(dynamodb.NewFromConfig(aws), cfg.TableName, time.Now)
	p := &publish{&realtime.Publisher{
		Connections:       table.Connections,
		Sessions:          table.Connections,
		Everyone:          table.Connections,
		Presences:         table.Presences,
		Rooms:             table.Rooms,
		Ledger:            table.Ledger,
		Parts:             table.Parts,
		Timers:            table.Timers,
		Budget:            table.Budget,
		Poster:            poster,
		Asker:             invoke.NewPublish(lambdaapi.NewFromConfig(aws), cfg.PublishFunction),
		Metrics:           metrics.New(os.Stdout, lambdacontext.FunctionName, time.Now),
		Log:               log,
		Now:               time.Now,
		FanoutRPS:         cfg.FanoutRPS,
		PresenceGlobalMax: cfg.PresenceGlobalMax,
		PresenceRPS:       cfg.PresenceRPS,
		ClientInfo:        cfg.ClientInfoAll,
		PingInterval:      cfg.PingInterval,
		PingTimeout:       cfg.PingTimeout,
		MaxPayload:        cfg.MaxPayload,
	}}
	return logs.Invocation(log, p.handle, describe), nil
}
